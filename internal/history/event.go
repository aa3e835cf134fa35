package history

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Kind says what an Event tells.
type Kind string

// The kinds of events.
const (
	KindMail     Kind = "mail"     // a transaction ended: Action and Reply say how
	KindRcpt     Kind = "rcpt"     // a recipient was refused or put off before the message
	KindRefused  Kind = "refused"  // a connection or a sender was refused; Count of them
	KindTry      Kind = "try"      // a try of delivery, with the backend's words for each recipient
	KindHeld     Kind = "held"     // it is in the quarantine
	KindDigest   Kind = "digest"   // the mail of ours in Ref told the person in Rcpts of it; who reads puts there what became of that mail
	KindOpened   Kind = "opened"   // the person in By opened its page
	KindAct      Kind = "act"      // By did what Action says (package audit); put there by who reads
	KindEnded    Kind = "ended"    // released, deleted or expired; By says by whom
	KindFailed   Kind = "failed"   // given up after it was acknowledged
	KindLost     Kind = "lost"     // Count events were not kept: the queue was full, or the disk
	KindTaught   Kind = "taught"   // the model learned it as Action says, spam or ham, because other checks were sure
	KindRestored Kind = "restored" // is held again: a release or a deletion was undone
)

// Event is one thing that happened. Texts are as they came, cut to a bound, and to be cleaned where they are shown. What is not
// known is empty.
type Event struct {
	Time time.Time `json:"t"`
	Kind Kind      `json:"k"`
	ID   string    `json:"id,omitempty"`   // of the transaction, or of the part of it that is queued or held: ID-2
	Ref  string    `json:"ref,omitempty"`  // another id under which it goes on or came
	Conn string    `json:"conn,omitempty"` // of the connection
	Node string    `json:"node,omitempty"` // set by who reads

	Client  netip.Addr `json:"ip,omitzero"`
	Relay   netip.Addr `json:"relay,omitzero"` // the trusted relay that brought it
	Host    string     `json:"host,omitempty"` // the client's reverse name
	Helo    string     `json:"helo,omitempty"`
	Country string     `json:"cc,omitempty"`
	ASN     int        `json:"asn,omitempty"`
	TLS     bool       `json:"tls,omitempty"`

	From       string `json:"from,omitempty"`
	Rcpts      []Rcpt `json:"rcpt,omitempty"`
	Subject    string `json:"subj,omitempty"` // decoded
	MessageID  string `json:"mid,omitempty"`
	HeaderFrom string `json:"hfrom,omitempty"`
	Size       int64  `json:"size,omitempty"`

	Action    string    `json:"act,omitempty"`
	Stage     string    `json:"stage,omitempty"`
	Why       string    `json:"why,omitempty"`
	Reply     string    `json:"reply,omitempty"`
	Findings  []Finding `json:"find,omitempty"`
	NotLooked []string  `json:"blind,omitempty"` // what was not looked at, and why
	Gateway   string    `json:"gw,omitempty"`    // what an older gateway in front says: the fact gateway.verdict
	Rules     string    `json:"rules,omitempty"` // version of the set of rules
	Backend   string    `json:"be,omitempty"`
	By        string    `json:"by,omitempty"`
	Took      int64     `json:"ms,omitempty"`

	Count int       `json:"n,omitempty"`     // of events that were put together; 0 is 1
	Until time.Time `json:"until,omitzero"`  // of the last of them
	Hint  string    `json:"hint,omitempty"`  // a detail in words
	Class string    `json:"class,omitempty"` // of a hold
}

// Rcpt is what was decided and done for one recipient.
type Rcpt struct {
	Addr   string    `json:"a"`
	Action string    `json:"act,omitempty"` // mail.Verdict.Word
	End    string    `json:"end,omitempty"` // delivered | queued | held | refused | rejected | deferred | …
	Rule   string    `json:"rule,omitempty"`
	RuleAt string    `json:"at,omitempty"`
	Class  string    `json:"class,omitempty"`
	Score  float64   `json:"s,omitempty"`
	Words  string    `json:"words,omitempty"` // of the backend
	Own    []Counted `json:"own,omitempty"`   // what counted for this one beside Event.Findings
	To     string    `json:"to,omitempty"`    // where a rule sends it instead
	Would  string    `json:"would,omitempty"` // what the policy's mode did not let happen: mail.Verdict.Would
	Watch  []string  `json:"obs,omitempty"`   // rules that would have acted but observe
	Blind  []string  `json:"unk,omitempty"`   // rules that could not be judged
	Limits []float64 `json:"lim,omitempty"`   // thresholds that applied: tag, hold, reject; 0 is absent
}

// Counted is points that a rule gave.
type Counted struct {
	Name   string  `json:"name"`
	Points float64 `json:"p,omitempty"`
	RuleAt string  `json:"at,omitempty"`
}

// Finding is what a check found, with its points.
type Finding struct {
	Name     string      `json:"name"`
	Points   float64     `json:"p,omitempty"`
	Evidence [][2]string `json:"ev,omitempty"`
	Rcpt     string      `json:"a,omitempty"` // when it holds for one recipient
}

// Base is the id of the mail of which id is a part: parts of one mail are ID-2 and so on. Mail of our own, such as digest-…, has no parts.
func Base(id string) string {
	base, _, cut := strings.Cut(id, "-")
	if cut && slices.Contains(ownMail, base) {
		return id
	}
	return base
}

// ownMail begins the ids of mail that we make: digests and lists for people, what administrators are told.
var ownMail = []string{"digest", "list", "alert", "ask"}

// N is how many events this one stands for.
func (e *Event) N() int { return max(e.Count, 1) }
