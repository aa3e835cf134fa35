package relay

import (
	"time"

	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// Envelope is a mail to be relayed. ID becomes the name of spool entries and must be unique. Content must not change until the
// call that takes it has returned; the relay does not keep it. Meta is kept with a spooled mail and handed to OnFailed. Lane
// says where it goes: empty, LaneOutbound or LaneJournal; Deliver takes mail without a lane only.
type Envelope struct {
	ID             string
	From           mail.Address
	Rcpts          []mail.Address
	Content        mail.Content
	EightBit, UTF8 bool
	Client         mail.Client   // who sent it, for a backend that wants to know
	Meta           func() []byte // JSON; asked for when the mail goes to the disk; nil: there is none
	Lane           string
	// Once says that the mail, to one recipient, is sent at most once. It always goes by the queue. Should the connection or the process
	// end between the last octet and the backend's answer, it is not sent again: OnFailed hears of it as Unknown.
	Once bool
}

// Answer is what became of one recipient.
type Answer struct {
	Rcpt    mail.Address
	State   string     // Delivered, Queued or Refused
	Reply   mail.Reply // of the backend, when Refused
	Backend string     // its URL, when Delivered or Refused
}

// Failure is a mail that cannot be delivered to some of its recipients although it was acknowledged.
type Failure struct {
	Entry   spool.Entry
	Rcpts   []FailedRcpt
	Content mail.Content // valid during the call
	// Known reports whether an earlier run, which died before the failure was settled, has made something of that id and made it
	// safe, whatever became of it since: it must not be made again.
	Known func(id string) bool
}

// Fate is what became of the recipients of a Failure, for the ledger.
type Fate struct {
	State  ledger.State // Bounced; Moved when they are held; Discarded
	Detail string       // the id under which it goes on, and why, in words
	// Notice is a mail that goes out because of it. The relay stores it before the failure is settled, under its ID, and sends
	// it afterwards: a crash in between makes no second one of the same ID.
	Notice *Envelope
}

// FailedRcpt is one of them with the reply that ended it.
type FailedRcpt struct {
	Addr    mail.Address
	Reply   mail.Reply
	Unknown bool      // nobody knows whether the backend has it, and it is not asked again; see Envelope.Once
	Own     bool      // the reply is no mail server's: the time was up, or nobody answered
	By      string    // URL of the backend that said it; empty: not known
	At      time.Time // when it said so; zero: not known
}

// Try is one try to deliver a mail.
type Try struct {
	ID      string
	Backend string // URL; empty: none was reached
	Rcpts   []Tried
}

// Tried is what came of a try for one recipient.
type Tried struct {
	Addr  mail.Address
	State string // delivered | inflight | refused | deferred
	Words string // of the backend, or what happened to the connection
}
