package mail

import "strings"

// FactType is the type of a fact in rule files.
type FactType int

// The types of facts, with the Go type of their values.
const (
	Bool    FactType = iota // bool
	Int                     // int
	Float                   // float64
	String                  // string
	Strings                 // []string, at most 500 entries
)

// Fact declares a typed fact that rules may ask for. Its name is "<check>.<word>" or "<base>.<word>"; its meaning is said
// in ja and en by package text.
type Fact struct {
	Name    string
	Type    FactType
	Stage   Stage // from which stage on it can be known
	PerRcpt bool  // it differs between the recipients of one mail
}

// Check returns the part of the name before the dot.
func (f Fact) Check() string {
	check, _, _ := strings.Cut(f.Name, ".")
	return check
}

// FromRelay is the Session.Unknown of a mail that a trusted relay wrote itself: there is no client to know.
const FromRelay = "the mail comes from the relay itself"

// BaseFacts are the facts that need no check: the session, the envelope and the message itself.
var BaseFacts = []Fact{
	{Name: "client.ip", Type: String, Stage: Connect},
	{Name: "client.trusted", Type: Bool, Stage: Connect},
	{Name: "client.early", Type: Bool, Stage: Connect},
	{Name: "client.relay", Type: String, Stage: Connect},
	{Name: "client.unknown", Type: Bool, Stage: Connect},
	{Name: "client.helo", Type: String, Stage: Helo},
	{Name: "client.tls", Type: Bool, Stage: Helo},
	{Name: "from.address", Type: String, Stage: Mail},
	{Name: "from.domain", Type: String, Stage: Mail},
	{Name: "from.null", Type: Bool, Stage: Mail},
	{Name: "rcpt.address", Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.domain", Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.mailbox", Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.mailboxes", Type: Strings, Stage: Rcpt, PerRcpt: true},
	{Name: "message.size", Type: Int, Stage: Data},
	{Name: "message.rcpts", Type: Int, Stage: Data},
	{Name: "message.subject", Type: String, Stage: Data},
	{Name: "message.from", Type: String, Stage: Data},
	{Name: "message.from_domain", Type: String, Stage: Data},
	{Name: "message.from_name", Type: String, Stage: Data},
	{Name: "message.reply_to", Type: String, Stage: Data},
	{Name: "message.id", Type: String, Stage: Data},
	{Name: "message.text", Type: String, Stage: Data},
	{Name: "message.links", Type: Strings, Stage: Data},
	{Name: "message.attachments", Type: Strings, Stage: Data},
	{Name: "message.types", Type: Strings, Stage: Data},
	{Name: "message.anomalies", Type: Strings, Stage: Data},
	{Name: "message.received", Type: Int, Stage: Data},
}

const (
	maxListFact = 500
	maxTextFact = 256 << 10
)

// AddBaseFacts writes into facts what is known of tx at its stage; facts of one recipient are not among them.
func AddBaseFacts(facts map[string]any, tx *Transaction) {
	addClientFacts(facts, tx)
	if tx.Stage >= Mail {
		facts["from.address"] = tx.From.String()
		facts["from.domain"] = tx.From.Domain
		facts["from.null"] = tx.From.IsNull()
	}
	if tx.Message != nil {
		addMessageFacts(facts, tx)
	}
}

// addClientFacts leaves out what a trusted relay did not tell of the client behind it.
func addClientFacts(facts map[string]any, tx *Transaction) {
	s := tx.Session
	facts["client.trusted"] = s.Trusted
	facts["client.relay"] = ""
	facts["client.unknown"] = s.Relayed() && s.Unknown != "" && s.Unknown != FromRelay
	switch {
	case s.Relayed():
		facts["client.relay"] = s.Relay.String()
		if s.Unknown == "" {
			facts["client.ip"] = s.Client.String()
		}
		if s.Helo != "" && tx.Stage >= Helo {
			facts["client.helo"] = s.Helo
		}
		return
	case tx.Stage >= Helo:
		facts["client.helo"] = s.Helo
		facts["client.tls"] = s.TLS != nil
	}
	facts["client.ip"] = s.Client.String()
	facts["client.early"] = s.Early
}

func addMessageFacts(facts map[string]any, tx *Transaction) {
	m := tx.Message
	facts["message.size"] = len(m.Raw)
	facts["message.rcpts"] = len(tx.Rcpts)
	facts["message.subject"] = m.Subject
	var from Mailbox
	if len(m.From) > 0 {
		from = m.From[0]
	}
	facts["message.from"] = from.Addr.String()
	facts["message.from_domain"] = from.Addr.Domain
	facts["message.from_name"] = from.Name
	var replyTo string
	if len(m.ReplyTo) > 0 {
		replyTo = m.ReplyTo[0].Addr.String()
	}
	facts["message.reply_to"] = replyTo
	facts["message.id"] = m.MessageID
	facts["message.text"] = clip(m.Text(), maxTextFact)
	links, names, types := []string{}, []string{}, []string{}
	for _, p := range m.Parts {
		for _, l := range p.Links {
			links = appendMax(links, l.URL)
		}
		if p.Name != "" {
			names = appendMax(names, p.Name)
		}
		for _, n := range p.OtherNames {
			names = appendMax(names, n)
		}
		types = appendMax(types, p.Type)
	}
	facts["message.links"] = links
	facts["message.attachments"] = names
	facts["message.types"] = types
	anomalies := m.Anomalies
	if anomalies == nil {
		anomalies = []string{}
	}
	facts["message.anomalies"] = anomalies
	facts["message.received"] = m.CountHeader("Received")
}

func appendMax(list []string, s string) []string {
	if len(list) >= maxListFact {
		return list
	}
	return append(list, s)
}

// clip cuts at a rune boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
