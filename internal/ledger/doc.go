// Package ledger is the record of what became of every mail that was acknowledged and kept here, or given to
// nobody by a rule: from the acceptance of a (mail, recipient) to its one end. What a backend took before our 250 stands in no ledger.
//
// # Order
//
// A mail is made durable first (an entry of the spool, or the quarantine's store), then its line, and only then it is
// acknowledged. A crash in between leaves an entry without a line: it was never acknowledged, the client sends the mail
// again, and the next start adopts the entry, or sets it aside when it is not whole. A ledger that cannot be written keeps the
// mail from being acknowledged: the entry is taken back.
//
// An end is written, durably, before the spool's entry is removed. A start that finds an entry whose recipients have
// ended in the ledger finishes that instead of sending the mail again: what the backend had taken and was written down is
// not sent twice. Between the backend's answer and the end's line nothing can be known after a crash; such a mail is sent again
// and may arrive twice, unless it is one that is sent at most once: that ends as uncertain.
//
// A mail that goes on under another id (held as undeliverable, released into the queue) is accepted there before it ends here,
// so that a crash in between leaves two lines and not none.
//
// A recipient whose mail a rule discards or redirects has nothing kept: acceptance and end are one line, durable before the mail is
// acknowledged and before a backend is asked about other recipients. When these say no for everybody, or for now, the line is taken
// back by another.
//
// A mail that is held belongs to the ledger of the node that accepted it, although any node may release or delete it: that
// node looks at the store's states and writes down the end, with who brought it about.
//
// # Format, version 1
//
// Everything stands under one directory (data_dir/ledger, mode 0700) and can be read with cat, grep and cut:
//
//	lock                             held (flock) by the one process that writes here
//	ledger-000012-2026-11-27.log     a segment: one for each day, more when it grows beyond 64 MiB
//	new.tmp                          a segment that is being made; removed at start
//
// A segment is UTF-8 text, one line for each event, fields separated by tabs:
//
//	2026-11-27T04:03:21.123456Z  accept  ID  taro@example.jp  queue      DETAIL  5d3a9b01
//	2026-11-27T04:03:25.660021Z  end     ID  taro@example.jp  delivered  DETAIL  0c11fe72
//
//	time     RFC 3339, UTC
//	event    accept: acknowledged and kept; end: it reached its end state
//	         direct: acknowledged, and ended with that: nothing is kept
//	         undone: the direct line of that mail does not hold, it was not acknowledged
//	         open: an accept of an older segment, carried over because it had not ended, with its own time
//	         total: how often the state in the fifth field was written before this segment; the number is the detail
//	         ledger: the first line; the version is the fifth field, the time is when the ledger began
//	id       of the mail: as `queue list` and `quarantine list` show it; - when there is none
//	rcpt     the recipient in lower case; - when there is none
//	word     accept, open: queue or hold; end, direct, undone: the end state
//	detail   words: the backend, who, by which rule, the id under which it goes on; control characters and \ as \xNN
//	crc      CRC-32C of the line before the last tab, in hex
//
// The newest segment is whole in itself: what is open is carried over when it begins, so that a start reads one segment and older
// ones tell only what ended. They are deleted after the retention (relay.ledger_retention). A line is acknowledged when fdatasync has
// returned; lines of several goroutines share one. A last line without its end was never acknowledged and is ignored; any
// other line that does not match its CRC is reported with file:line and skipped. After either the next segment begins.
package ledger

// State is what became of one recipient's mail.
type State string

// The end states. Queued and held lie before them; a release returns to the queue.
const (
	Delivered  State = "delivered"  // a backend took it
	Bounced    State = "bounced"    // the sender was told (DSN)
	Deleted    State = "deleted"    // by whom
	Discarded  State = "discarded"  // by which rule
	Redirected State = "redirected" // by which rule, to whom
	Learned    State = "learned"    // handed in to a learning address, and kept nowhere else
	Expired    State = "expired"    // the retention ended and was announced
	Moved      State = "moved"      // goes on under another id: held as undeliverable, released into the queue, exported
	Uncertain  State = "uncertain"  // sent to a backend whose answer was lost; it is sent at most once, so nobody asks again
	Withdrawn  State = "withdrawn"  // taken back before it was acknowledged: the client was told to come again
)

// States returns the end states in the order in which they are told.
func States() []State {
	return []State{Delivered, Bounced, Deleted, Discarded, Redirected, Learned, Expired, Moved, Uncertain, Withdrawn}
}

// Place is where a mail is kept before its end.
type Place string

// The places.
const (
	Queue Place = "queue" // in the spool, for a backend
	Hold  Place = "hold"  // in the quarantine's store, or in the spool until the store has it
)
