// Package ledger is the record of what became of every mail that was acknowledged and kept here: one line from the
// acceptance of a (mail, recipient) to its one end. What a backend took before our 250 stands in no ledger.
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
	Expired    State = "expired"    // the retention ended and was announced
	Moved      State = "moved"      // goes on under another id: held as undeliverable, released into the queue, exported
)
