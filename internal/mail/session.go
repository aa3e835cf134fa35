package mail

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Session is one client connection. It is never changed after it was handed to a check: HELO and STARTTLS make a copy
// with the new values, so that a check which still runs reads what it was given.
type Session struct {
	ID       string
	Client   netip.Addr           // the real client: the connection's peer, or what a trusted balancer said; unmapped
	Port     uint16               // the client's; 0 when it is not known
	Local    netip.AddrPort       // our end of the connection
	Helo     string               // as given, already validated; empty before HELO
	Esmtp    bool                 // EHLO rather than HELO
	TLS      *tls.ConnectionState // nil in clear text
	Proxy    netip.Addr           // the balancer that named the client in a PROXY header; the zero Addr: there is none
	Verified bool                 // the certificate that the client showed is one that we trust
	Trusted  bool                 // the client is in smtp.mynetworks: connection checks do not apply
	Early    bool                 // it talked before our banner (RFC 5321 section 3.1 says it must not)
	Listener string               // the listener's address, for logs
	// Relay is the trusted relay (smtp.trusted_relays) that handed the mail over; the zero Addr: the client came itself. Until the
	// header of a message is there, Client is the relay; then a copy is made for the message with the client that the relay's
	// Received field names.
	Relay netip.Addr
	// Unknown says why it is not known who is behind the relay, in English and short. Client is the relay then, which nothing may
	// be held against.
	Unknown string
	// KeepRefused says that a rejection is to become a hold: the relay has accepted the mail, and would send it back to a sender
	// who may be forged.
	KeepRefused bool
	Start       time.Time
}

// Relayed reports whether the mail comes by way of a trusted relay.
func (s *Session) Relayed() bool { return s.Relay.IsValid() }

// Params are the parameters of MAIL FROM that matter to us.
type Params struct {
	Size     int64 // SIZE= (RFC 1870); 0: not said
	EightBit bool  // BODY=8BITMIME (RFC 6152)
	UTF8     bool  // SMTPUTF8 (RFC 6531)
}

// Transaction is one message on its way through a session. The gate adds outcomes between stages; a check only reads. It
// is dropped after use, never reset. At the stages Connect and Helo there is no message yet: ID and From are empty.
type Transaction struct {
	Session *Session
	ID      string
	Stage   Stage
	From    Address // the reverse-path; IsNull for <>
	Params  Params
	Rcpts   []Address // accepted so far, in order
	Rcpt    Address   // at stage Rcpt: the one in question
	// Mailboxes are whose mail it is for those of Rcpts and Rcpt that stand for others (aliases, groups).
	Mailboxes map[Address][]Address
	Message   *Message // from stage Data on
	Start     time.Time

	// Outcomes are those of the checks that have finished, in the order of stages. Facts are the values they gave and the
	// base facts (BaseFacts); a fact that is absent is unknown. Facts are for rules: checks get nil and read Outcomes.
	Outcomes []Outcome
	Facts    map[string]any
	// RcptFacts are those that differ between recipients; what is not there is taken from Facts. The facts of BaseFacts that are
	// named rcpt are in neither, but for rcpt.groups: they are made of the recipient and of Mailboxes.
	RcptFacts map[Address]map[string]any
}

// RcptFact returns the value of a fact for one recipient; nil when it is not known.
func (tx *Transaction) RcptFact(rcpt Address, name string) any {
	if v, ok := tx.RcptFacts[rcpt][name]; ok {
		return v
	}
	return tx.Facts[name]
}

// SetRcptFact enters a fact that holds for one recipient.
func (tx *Transaction) SetRcptFact(rcpt Address, name string, value any) {
	if tx.RcptFacts == nil {
		tx.RcptFacts = map[Address]map[string]any{}
	}
	if tx.RcptFacts[rcpt] == nil {
		tx.RcptFacts[rcpt] = map[string]any{}
	}
	tx.RcptFacts[rcpt][name] = value
}

// AddFacts takes over what checks found out: what holds for one recipient into RcptFacts, all else into Facts.
func (tx *Transaction) AddFacts(outcomes []Outcome) {
	for i := range outcomes {
		for _, f := range outcomes[i].Facts {
			if f.Rcpt.IsNull() {
				tx.Facts[f.Name] = f.Value
				continue
			}
			tx.SetRcptFact(f.Rcpt, f.Name, f.Value)
		}
	}
}

// Findings returns what all finished checks found, in the order of Outcomes.
func (tx *Transaction) Findings() []Finding {
	var all []Finding
	for _, o := range tx.Outcomes {
		all = append(all, o.Findings...)
	}
	return all
}

// Outcome returns the last outcome of the named check and whether there is one.
func (tx *Transaction) Outcome(check string) (Outcome, bool) {
	for i := len(tx.Outcomes) - 1; i >= 0; i-- {
		if tx.Outcomes[i].Check == check {
			return tx.Outcomes[i], true
		}
	}
	return Outcome{}, false
}

// Client is what a backend can be told of the client that brought a mail: what of a Session still matters when the mail is
// delivered later. The zero Client means that nobody did (a released mail, a bounce). It is kept in the spool.
type Client struct {
	Addr  netip.Addr `json:"addr,omitzero"` // unmapped
	Port  uint16     `json:"port,omitempty"`
	Name  string     `json:"name,omitempty"`  // its reverse name, forward-confirmed; empty when there is none
	Helo  string     `json:"helo,omitempty"`  // as given
	Esmtp bool       `json:"esmtp,omitempty"` // EHLO rather than HELO
}

// IsZero reports whether nothing is known.
func (c Client) IsZero() bool { return c == Client{} }

// Mailbox returns whose mail it is for a recipient: the one mailbox that it stands for, or with several, itself.
func (tx *Transaction) Mailbox(rcpt Address) Address {
	if boxes := tx.Mailboxes[rcpt]; len(boxes) == 1 {
		return boxes[0]
	}
	return rcpt
}

// MailboxTexts returns all mailboxes that a recipient stands for, at most 500, as strings; itself when it stands for none.
func (tx *Transaction) MailboxTexts(rcpt Address) []string {
	boxes := tx.Mailboxes[rcpt]
	if len(boxes) == 0 {
		return []string{rcpt.String()}
	}
	var all []string
	for _, b := range boxes {
		all = appendMax(all, b.String())
	}
	return all
}
