package acts

import (
	"errors"
	"net/netip"
	"time"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

// Role is what somebody may do.
type Role string

// A person sees and acts on mail for his own addresses. The helpdesk finds and releases everybody's mail and reads no bodies; an
// administrator may do all; an auditor sees lists and the audit log and changes nothing.
const (
	Person   Role = "person"
	Helpdesk Role = "helpdesk"
	Admin    Role = "admin"
	Auditor  Role = "auditor"
)

// Actor is who acts, by which way.
type Actor struct {
	Name      string // a person's address, an administrator's login, "command:NAME"
	Role      Role
	Addresses []mail.Address // whose mail a person may act on: his own mailbox and those he looks after
	Peer      netip.Addr     // where the request came from; the zero Addr: this host
	Via       string         // web | link | command
}

// Errors of this package, for errors.Is.
var (
	// ErrForbidden says that the role or the mail's class does not allow the act. For a dangerous class Ask is the way.
	ErrForbidden = errors.New("acts: not allowed")
	// ErrNotFound says that there is no such mail, receipt or permission, or none that this actor may know of.
	ErrNotFound = errors.New("acts: there is nothing with this id")
	// ErrState says that it is too late: the mail is gone, expired, or has left already.
	ErrState = errors.New("acts: not possible any more")
	// ErrInvalid says that what was asked for makes no sense as it stands, such as a bulk act without any restriction.
	ErrInvalid = errors.New("acts: not a valid request")
)

// How a release is made.
type How struct {
	Allow bool // let the sender's mail to these recipients through from now on, narrowly and for a while
	Now   bool // without the time in which it can be undone; for commands
}

// Receipt is what was done, and until when it can be undone.
type Receipt struct {
	ID        string
	Act       string // release | delete | report-spam | ask | bulk.release | bulk.delete
	Left      int    // of a bulk act: so many of those that were selected are not in its plan, because they are decided or dangerous
	Mails     []string
	Rcpts     []mail.Address // for whom, of one mail
	At        time.Time
	UndoUntil time.Time          // zero: it cannot be undone
	Undone    bool               // it was
	Changed   bool               // false: it had been done before
	Earlier   *Earlier           // who had done it, when Changed is false
	Allowed   []reputation.Allow // permissions that were made
	Learned   string             // ham | spam | "": nothing
	NotDone   []string           // what could not be done beside the act itself ("learning: …"), in English
}

// Earlier is what had been done with a mail before an act that therefore changed nothing.
type Earlier struct {
	State string    // of the mail, quarantine.State…
	By    string    // "" when it is not known
	At    time.Time // when the state was asked for
}

// Similar mails are held for the same person for the same reason as another.
type Similar struct {
	IDs    []string // newest first, without the mail itself
	From   string   // the sender they share
	Rule   string   // the rule or class they share
	More   bool     // there are more than IDs
	Reason string   // sender-and-rule | sender
}

// BulkQuery says which held mails a bulk act is about. At least one field must restrict.
type BulkQuery struct {
	Act     string    `json:"act"`            // release | delete
	Rule    string    `json:"rule,omitempty"` // id of the rule that decided, or its file:line
	From    string    `json:"from,omitempty"` // a whole address, a domain, or a part of the sender
	Rcpt    string    `json:"rcpt,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Class   string    `json:"class,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	IDs     []string  `json:"ids,omitempty"` // exactly these, as somebody selected them
}

// Plan is what a bulk act would do. It names the mails, so that Bulk does what was looked at and nothing that came since.
type Plan struct {
	ID       string         `json:"id"`
	Query    BulkQuery      `json:"query"`
	Count    int            `json:"count"`
	Octets   int64          `json:"octets"`
	Classes  map[string]int `json:"classes"`
	Senders  map[string]int `json:"senders"` // the most frequent ones
	Samples  []Sample       `json:"samples"`
	Excluded []Sample       `json:"excluded"` // dangerous ones, which nobody releases in bulk
	Dangers  int            `json:"dangers"`  // how many are excluded; Excluded holds the first
	More     bool           `json:"more"`     // more match than one bulk act may take
	Expires  time.Time      `json:"expires"`
}

// Sample is one mail in a plan.
type Sample struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Class   string    `json:"class"`
	Rcpts   []string  `json:"rcpts"`
	Time    time.Time `json:"time"`
}

// Progress says how far a bulk act has come.
type Progress struct {
	ID      string            `json:"id"`
	Act     string            `json:"act"`
	State   string            `json:"state"` // running | done | undoing | undone
	Total   int               `json:"total"`
	Done    int               `json:"done"`
	Failed  int               `json:"failed"`
	Errors  map[string]string `json:"errors,omitempty"` // of the first that failed: why
	Started time.Time         `json:"started"`
	Last    time.Time         `json:"last,omitzero"`
	Undo    time.Time         `json:"undo_until,omitzero"` // until when all of it can be undone; zero: it cannot
}
