package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sekimori/internal/mail"
)

// Version is the highest format of an envelope that this package reads. It writes the lowest that says all there is to say, so that
// an earlier program reads as much as it can.
const Version = 2

// layout is the version of the directory.
const layout = 1

// The kinds of entries; each has a folder of its own.
const (
	KindQueue = "queue" // waits for a backend
	KindHold  = "hold"  // waits for the quarantine's store
)

// The states of an entry.
const (
	StateQueued   = "queued"   // kind queue: tried again at Next
	StateInflight = "inflight" // kind queue: sent to a backend whose answer is outstanding
	StatePending  = "pending"  // kind hold
)

// The states of a recipient.
const (
	Waiting   = "waiting"   // not delivered yet
	Inflight  = "inflight"  // sent, the answer is outstanding
	Delivered = "delivered" // the backend has it
	Failed    = "failed"    // given up; Done once that was reported
)

// Errors of this package, for errors.Is.
var (
	ErrFull     = errors.New("spool: no room on the disk")
	ErrNotFound = errors.New("spool: no such entry")
	ErrExists   = errors.New("spool: an entry of this id exists")
	ErrLocked   = errors.New("spool: in use by another process")
	ErrInvalid  = errors.New("spool: not a valid entry")
)

// Rcpt is one recipient of an entry.
type Rcpt struct {
	Addr     mail.Address `json:"addr"`
	Status   string       `json:"status"`
	Attempts int          `json:"attempts"`
	Last     string       `json:"last,omitempty"` // the last words of the backend, or what kept us from asking it
	Done     bool         `json:"done,omitempty"` // nothing is left to do for this recipient
	End      string       `json:"end,omitempty"`  // once done: what became of it, as the ledger calls it
	Detail   string       `json:"detail,omitempty"`
	Unknown  bool         `json:"unknown,omitempty"` // Failed: nobody knows whether the backend has it; see Entry.Once
	By       string       `json:"by,omitempty"`      // the backend that said Last, by its URL
	At       time.Time    `json:"at,omitzero"`       // when it was said
}

// Entry is the envelope of one mail in the spool. Meta belongs to whoever made the entry.
type Entry struct {
	Version  int          `json:"version"`
	ID       string       `json:"id"`
	Kind     string       `json:"kind"`
	State    string       `json:"state"`
	From     mail.Address `json:"from"`
	Rcpts    []Rcpt       `json:"rcpts"`
	Created  time.Time    `json:"created"`
	Next     time.Time    `json:"next,omitzero"`    // when it is tried again
	Size     int64        `json:"size"`             // octets of the data file
	CRC      string       `json:"crc32c,omitempty"` // CRC-32C of the data file, in hex; absent in entries of earlier versions
	EightBit bool         `json:"eight_bit,omitempty"`
	UTF8     bool         `json:"utf8,omitempty"`
	Lane     string       `json:"lane,omitempty"` // kind queue: where it goes when not by its recipients; see package relay
	// Once says that the mail is sent at most once, and to one recipient: it is in flight from before its last octet is sent until the
	// answer is known, and what was in flight when the connection or the process ended is not sent again.
	Once   bool            `json:"once,omitempty"`
	Warned bool            `json:"warned,omitempty"` // kind queue: the sender was told of the delay, or will not be
	Client mail.Client     `json:"client,omitzero"`  // who sent it, for a backend that wants to know
	Meta   json.RawMessage `json:"meta,omitempty"`
}

// ValidID reports whether id can name an entry: 1 to 100 letters, digits, dots, hyphens and underscores, not beginning
// with a dot, because it becomes a file name.
func ValidID(id string) bool {
	if id == "" || len(id) > 100 || id[0] == '.' {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func (e *Entry) validate() error {
	switch {
	case !ValidID(e.ID):
		return fmt.Errorf("%w: id %q", ErrInvalid, e.ID)
	case e.Kind != KindQueue && e.Kind != KindHold:
		return fmt.Errorf("%w: kind %q of %s", ErrInvalid, e.Kind, e.ID)
	case len(e.Rcpts) == 0:
		return fmt.Errorf("%w: %s has no recipients", ErrInvalid, e.ID)
	case e.Once && len(e.Rcpts) != 1:
		return fmt.Errorf("%w: %s is to be sent at most once and has %d recipients instead of one", ErrInvalid, e.ID, len(e.Rcpts))
	}
	return nil
}

// format is the version that an envelope is written in. A program that knows only the first would send again what is to be sent once:
// it reports such an envelope, and leaves it alone.
func (e *Entry) format() int {
	if e.Once {
		return 2
	}
	return 1
}

func encode(e *Entry) ([]byte, error) {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, e.ID, err)
	}
	return append(b, '\n'), nil
}

// Decode reads an envelope from elsewhere, which must be that of id and kind.
func Decode(b []byte, id, kind string) (Entry, error) { return decode(b, id, kind) }

// decode reads an envelope that must be that of id and kind.
func decode(b []byte, id, kind string) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(b, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if e.Version < 1 || e.Version > Version {
		return Entry{}, fmt.Errorf("%w: written in format %d, this program reads up to %d", ErrInvalid, e.Version, Version)
	}
	if e.ID != id || e.Kind != kind {
		return Entry{}, fmt.Errorf("%w: it says id %q and kind %q", ErrInvalid, e.ID, e.Kind)
	}
	return e, e.validate()
}
