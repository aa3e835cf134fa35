package front

import (
	"context"
	"io"
	"time"

	"sekimori/internal/mail"
)

// Gate runs the checks and judges. See AdaptGate for how package gate fits.
type Gate interface {
	// Accept starts the connect checks of a new connection and returns at once.
	Accept(ctx context.Context, s *mail.Session) Visit
}

// Visit is one connection as the gate sees it. Its methods are called from one goroutine.
type Visit interface {
	// Suspect waits, at most until ctx ends, for the connect checks and reports whether one found something bad.
	Suspect(ctx context.Context) bool
	// Helo hands over the session after HELO, EHLO or STARTTLS; findings of an earlier HELO are dropped.
	Helo(s *mail.Session)
	// Begin starts a transaction.
	Begin(id string, from mail.Address, p mail.Params) Judging
	// Close ends the visit; no other method is called afterwards.
	Close()
}

// Refuser is implemented by a Visit whose policy may refuse a client before the banner. Refuse waits at most until ctx
// ends; the zero Reply lets the client in, which is the default: a refusal at RCPT names sender and recipient.
type Refuser interface {
	Refuse(ctx context.Context) mail.Reply
}

// Judging is one transaction as the gate sees it. Its methods are called from one goroutine.
type Judging interface {
	// Rcpt judges one recipient, whose mail belongs to mailboxes; Accept remembers that it was accepted.
	Rcpt(ctx context.Context, rcpt mail.Address, mailboxes []mail.Address) mail.Verdict
	Accept(rcpt mail.Address)
	// Client hands over the session with the client for whom a trusted relay brought the message; it comes before Conclude, and
	// only for a relayed session.
	Client(s *mail.Session)
	// Conclude judges the message for every accepted recipient, in order.
	Conclude(ctx context.Context, msg *mail.Message) []mail.Verdict
	// Transaction returns the transaction with all outcomes so far.
	Transaction() *mail.Transaction
}

type visitOf[J Judging] interface {
	Suspect(ctx context.Context) bool
	Helo(s *mail.Session)
	Begin(id string, from mail.Address, p mail.Params) J
	Close()
}

type gateFunc[V visitOf[J], J Judging] func(context.Context, *mail.Session) V

func (g gateFunc[V, J]) Accept(ctx context.Context, s *mail.Session) Visit {
	return adaptedVisit[V, J]{g(ctx, s)}
}

type adaptedVisit[V visitOf[J], J Judging] struct{ v V }

func (a adaptedVisit[V, J]) Suspect(ctx context.Context) bool { return a.v.Suspect(ctx) }
func (a adaptedVisit[V, J]) Helo(s *mail.Session)             { a.v.Helo(s) }
func (a adaptedVisit[V, J]) Close()                           { a.v.Close() }

func (a adaptedVisit[V, J]) Begin(id string, from mail.Address, p mail.Params) Judging {
	return a.v.Begin(id, from, p)
}

func (a adaptedVisit[V, J]) Refuse(ctx context.Context) mail.Reply {
	if r, ok := any(a.v).(Refuser); ok {
		return r.Refuse(ctx)
	}
	return mail.Reply{}
}

// AdaptGate makes a Gate of an Accept method that returns concrete types: front.AdaptGate(g.Accept).
func AdaptGate[V visitOf[J], J Judging](accept func(context.Context, *mail.Session) V) Gate {
	return gateFunc[V, J](accept)
}

// Envelope is one delivery. The fields are those of relay.Envelope, so that one converts to the other. Content is not
// used after the call it was handed to has returned.
type Envelope struct {
	ID       string
	From     mail.Address
	Rcpts    []mail.Address
	Content  mail.Content
	EightBit bool
	UTF8     bool
	Client   mail.Client   // for a backend that wants to know
	Meta     func() []byte // mail.Origin in JSON, asked for when the mail goes to the disk
	Lane     string
}

// Answer is what became of one recipient. The fields are those of relay.Answer.
type Answer struct {
	Rcpt    mail.Address
	State   string // delivered | queued | refused
	Reply   mail.Reply
	Backend string
}

// The states of an Answer.
const (
	Delivered = "delivered"
	Queued    = "queued"
	Refused   = "refused"
)

// The lanes of an Envelope; the words are those of package relay.
const (
	laneOutbound = "outbound"
	laneJournal  = "journal"
)

// Staged is mail that is safe and not yet under way. One of its methods is called, once.
type Staged interface {
	Commit()  // sends it on its way
	Discard() // takes it back
}

// Relay delivers to the backends.
type Relay interface {
	// Route groups recipients that share one set of backends.
	Route(rcpts []mail.Address) [][]mail.Address
	// Deliver hands the mail to the backend now, or to the spool, and answers for every recipient. An error means that
	// nothing is safe.
	Deliver(ctx context.Context, e Envelope) ([]Answer, error)
	// Stage puts the mail into the spool, where it waits for Commit; nil means that it is safe.
	Stage(ctx context.Context, e Envelope) (Staged, error)
	// Queue puts the mail into the spool; nil means that it is safe.
	Queue(ctx context.Context, e Envelope) error
	// UTF8 reports whether every backend offers SMTPUTF8.
	UTF8() bool
	// Down reports whether mail for the recipient is not to be taken for now: none of its backends answers, and
	// on_backend_down says defer.
	Down(rcpt mail.Address) bool
}

// Held is a mail for the quarantine. The fields are those of quarantine.Held.
type Held struct {
	ID         string
	Class      string // refused | undeliverable | what the rule says
	From       mail.Address
	Rcpts      []mail.Address
	Subject    string
	HeaderFrom string
	Time       time.Time
	Size       int64
	Score      float64
	Rule       string
	Reasons    []mail.Counted
	Degraded   []string
	Client     string
	Helo       string
	EightBit   bool
	UTF8       bool
	Trace      []byte
	Body       mail.Content
	Owners     map[string][]mail.Address // by Key of a recipient that stands for others: whose the mail is

	FromName    string
	Confirmed   bool
	Attachments []string
	Attached    int
	Describe    map[string]string
	Final       bool
	Limit       float64
	Proof       mail.Proof

	Keep    time.Duration // for how long; 0: as configured
	Refused bool          // the sender was told 5xx: a copy that nobody was promised

	Shared bool     // the same mail is delivered to somebody
	Others []string // domains of other recipients for whom it is held by itself
}

// Keeper is the quarantine.
type Keeper interface {
	// Hold returns nil only when the mail is safe.
	Hold(ctx context.Context, h Held) error
}

// Spool is the disk.
type Spool interface {
	// Room returns an error when no further mail should be taken in.
	Room() error
	// Temp makes a place for a large message; hint is its size as announced, 0 when it was not.
	Temp(hint int64) (Temp, error)
}

// Temp is a message on its way in. Map ends writing and returns all octets as one read-only slice that is valid until
// Close.
type Temp interface {
	io.Writer
	Map() ([]byte, error)
	Close() error
}

// Observer is told what happens, for metrics and history. Its methods are called from many goroutines and return at
// once.
type Observer interface {
	// Connections is told how many connections are open.
	Connections(open int)
	// Refusal is told of a connection, command or recipient that was refused: where is "connection", "command", "rcpt" or
	// "tls", why one of a few words.
	Refusal(where, why string)
	// Refused is told of the same, for history, where it is known whom it concerns.
	Refused(r Refusal)
	// Concluded is told of every transaction that ended.
	Concluded(r Record)
}

// Refusal is a connection, sender or recipient that was refused before a message.
type Refusal struct {
	Where, Why string // as in Observer.Refusal; where may also be "mail"
	ID         string // of the transaction; empty when there is none
	Session    *mail.Session
	From, Rcpt string // as the client said them; empty before they are known
	Reply      string
	Verdict    mail.Verdict   // when Why is policy
	Outcomes   []mail.Outcome // of the checks that have finished by then
}

type noObserver struct{}

func (noObserver) Connections(int)        {}
func (noObserver) Refusal(string, string) {}
func (noObserver) Refused(Refusal)        {}
func (noObserver) Concluded(Record)       {}
