package recipients

import (
	"context"
	"log/slog"
	"net"
	"time"

	"sekimori/internal/mail"
)

// Entry is one address that a source knows.
type Entry struct {
	// ID is the object the address belongs to, stable in its source (objectGUID, a primary key): an incremental Fetch replaces
	// all entries of an ID that it names.
	ID string `json:"id"`
	// Address is the recipient. With an empty Local it stands for every address of the domain.
	Address mail.Address `json:"address"`
	// Targets are what it stands for, as addresses: those of a group or an alias. Empty for a mailbox.
	Targets []mail.Address `json:"targets,omitempty"`
	// Owner is the primary address of the mailbox, when it is another one than Address: whose quarantine the mail belongs to.
	Owner mail.Address `json:"owner,omitzero"`
	// Internal says that only one's own people may write to it (msExchRequireAuthToSendTo).
	Internal bool `json:"internal,omitempty"`
	// Lang is the language of the person, when the source knows it: "ja", "en", or empty.
	Lang string `json:"lang,omitempty"`
	// Attrs are the values of the attributes that are read for rules, in the order of the source's rule_attributes; nil: none has any.
	Attrs [][]string `json:"attrs,omitempty"`
}

// Batch is what a Fetch brought.
type Batch struct {
	Full    bool     // Entries are everything; otherwise changes since the mark
	Entries []Entry  // of a change: all entries of each ID that changed
	Gone    []string // IDs that are no longer there; of changes only
	Mark    string   // opaque; handed to the next Fetch

	// Problems are what the source holds but could not be understood, one sentence each with the value: an address that is none,
	// a group that contains itself. The rest was read. For people.
	Problems []string
}

// Deps is what a source of recipients needs from outside.
type Deps struct {
	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
	// Dial opens a connection to host:port; nil: a net.Dialer. A SQL source uses it for PostgreSQL and MySQL over TCP only.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// filled replaces what is nil.
func (d Deps) filled() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Dial == nil {
		d.Dial = (&net.Dialer{}).DialContext
	}
	return d
}

// Source is a place outside in which recipients are kept. Safe for concurrent use.
type Source interface {
	// Fetch brings everything when mark is empty, else, if the source can, what changed since. An error means that nothing is
	// known to have changed, never that there are no recipients.
	Fetch(ctx context.Context, mark string) (Batch, error)
	// Lookup asks for one address at once: the entries of the object that has it, none when there is no such object. It is asked
	// for addresses that the snapshot does not have, so that somebody who was added today gets mail today.
	Lookup(ctx context.Context, a mail.Address) ([]Entry, error)
	// Close ends the connections.
	Close() error
}
