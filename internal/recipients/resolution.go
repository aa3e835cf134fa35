package recipients

import (
	"time"

	"sekimori/internal/mail"
)

// Result says what is to be done about a recipient.
type Result int

// The results.
const (
	Foreign  Result = iota // the domain is none of ours; relaying is denied
	Known                  // the address takes mail
	Internal               // it takes mail from one's own people only
	Unknown                // there is no such address, and a place that knows them all has said so
	NotNow                 // nobody can say at the moment; the client has to come again
)

var resultWords = [...]string{"foreign", "known", "internal", "unknown", "not_now"}

// String gives the word for metrics and JSON.
func (r Result) String() string { return resultWords[r] }

// MarshalText lets a Result stand in JSON as its word.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Resolution is what is known of an address.
type Resolution struct {
	Result  Result       `json:"result"`
	Address mail.Address `json:"address"`
	// Mailboxes are whose quarantine the mail belongs to: the address itself, or what it stands for, in the end. Never empty for
	// an address of ours.
	Mailboxes []mail.Address `json:"mailboxes,omitempty"`
	// Via are the addresses that were followed on the way, in order.
	Via    []mail.Address `json:"via,omitempty"`
	Source string         `json:"source,omitempty"` // who said so: "any", "file:PATH", "ldap:NAME", "aliases:PATH", "always open"
	Lang   string         `json:"lang,omitempty"`   // of the person, when known
	Why    string         `json:"why,omitempty"`    // of NotNow, and of Unknown where it rests on a copy
	// Notes are what of a ~/.forward on the way was passed over, or why it was not read. For people.
	Notes []string `json:"notes,omitempty"`

	asked bool // somebody outside was asked
	place place
}

// IsAlias reports whether the mail belongs to somebody else than the address itself.
func (r Resolution) IsAlias() bool {
	return len(r.Mailboxes) > 1 || len(r.Mailboxes) == 1 && r.Mailboxes[0].Key() != r.Address.Key()
}

// Status is how a place is.
type Status struct {
	Source  string    `json:"source"`
	Domains []string  `json:"domains"`
	Entries int       `json:"entries"`           // in memory; 0 where there is nothing to count
	Taken   time.Time `json:"taken,omitzero"`    // when the file was read, or the copy was last confirmed to be complete
	Stale   bool      `json:"stale,omitempty"`   // the copy is too old to say that somebody is unknown
	Error   string    `json:"error,omitempty"`   // what the place said last, when it did not answer
	Accepts []string  `json:"accepts,omitempty"` // callout: the domains for which the backend accepts every address
	// Problems are what the last full list held but could not be understood, and what changes since then added.
	Problems []string `json:"problems,omitempty"`
	Forward  []string `json:"forward,omitempty"` // unix: which ~/.forward, or directory of homes, could not be read, and why
}

// record is what a place has about one address.
type record struct {
	targets  []mail.Address // a Local of "" means the same local part in that domain, a Domain of "" the same domain
	owner    mail.Address
	internal bool
	refused  bool // an alias file says error: there is no such address, whatever else may match
	lang     string
	keeps    bool     // mail to targets belongs to the address itself as well
	notes    []string // of a ~/.forward
	attrs    attributes
}

// verdict is a place's answer to a question.
type verdict struct {
	result Result // Known, Unknown or NotNow
	rec    record
	why    string
	asked  bool // rather than remembered
}
