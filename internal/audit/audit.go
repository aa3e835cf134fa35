package audit

import (
	"context"
	"net/netip"
	"time"
)

// Entry is one act of one person. Names and details may come from a client: they are cleaned when they are shown.
type Entry struct {
	Time  time.Time  `json:"time"`
	Actor string     `json:"actor"` // the address of a person, the login of an administrator, "command:NAME"
	Role  string     `json:"role"`  // person | helpdesk | admin | auditor | machine
	Act   string     `json:"act"`   // a word: release, undo, delete, report-spam, ask, allow, revoke, look, login, machine-open, …
	IDs   []string   `json:"ids,omitempty"`
	Rcpts []string   `json:"rcpts,omitempty"`
	Peer  netip.Addr `json:"peer,omitzero"`
	Via   string     `json:"via,omitempty"` // web | link | command | digest
	// Count is how often within the hour, in an entry that stands for many alike (see Log.Tally); 0: an entry of its own.
	Count int `json:"count,omitempty"`
	// Detail is the rest, in English and short: a note, a rule, why it failed.
	Detail string `json:"detail,omitempty"`
}

// Query says which entries to list. Zero fields do not restrict.
type Query struct {
	Since, Until time.Time // at or after, and before
	Actor        string    // a part; case does not matter
	Act          string    // the whole word
	ID           string    // of a mail
	Rcpt         string    // a part
	Limit        int       // default 100
	Cursor       string    // Page.Next of the page before
}

// Page is one part of a listing, newest first. Next is where the next page begins, "" at the end. A page may be short although
// there is a next one: so much is read at one time at the most.
type Page struct {
	Entries []Entry
	Next    string
}

// Appender writes entries down. Log is one.
type Appender interface {
	// Append returns nil only when the store has confirmed the entry. A zero Time is filled in.
	Append(ctx context.Context, e Entry) error
}
