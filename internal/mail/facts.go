package mail

import (
	"strconv"
	"strings"
)

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
	// Values are all that a String fact can be; nil: anything. A rule that compares it with something else is an error.
	Values []string
}

// Kind says in a word or two what the values are: the type, or for the few values that there are, these.
func (f Fact) Kind() string {
	if f.Values != nil {
		words := make([]string, len(f.Values))
		for i, v := range f.Values {
			words[i] = strconv.Quote(v)
		}
		return strings.Join(words, " ")
	}
	return [...]string{"true or false", "integer", "number", "string", "list of strings"}[f.Type]
}

// Check returns the part of the name before the dot.
func (f Fact) Check() string {
	check, _, _ := strings.Cut(f.Name, ".")
	return check
}

// FromRelay is the Session.Unknown of a mail that a trusted relay wrote itself: there is no client to know.
const FromRelay = "the mail comes from the relay itself"

// BaseFacts are the facts that need no check: the session, the time, the envelope and the message itself.
var BaseFacts = []Fact{
	{Name: "client.ip", Type: String, Stage: Connect},
	{Name: "client.port", Type: Int, Stage: Connect},
	{Name: "client.proxy", Type: String, Stage: Connect},
	{Name: "client.local_port", Type: Int, Stage: Connect},
	{Name: "client.trusted", Type: Bool, Stage: Connect},
	{Name: "client.early", Type: Bool, Stage: Connect},
	{Name: "client.relay", Type: String, Stage: Connect},
	{Name: "client.unknown", Type: Bool, Stage: Connect},
	{Name: "client.helo", Type: String, Stage: Helo},
	{Name: "client.esmtp", Type: Bool, Stage: Helo},
	{Name: "client.tls", Type: Bool, Stage: Helo},
	{Name: "client.tls_version", Type: String, Stage: Helo, Values: []string{"", "1.0", "1.1", "1.2", "1.3"}},
	{Name: "client.tls_cipher", Type: String, Stage: Helo},
	{Name: "client.tls_name", Type: String, Stage: Helo},
	{Name: "client.tls_cert", Type: String, Stage: Helo},
	{Name: "client.tls_cert_name", Type: String, Stage: Helo},
	{Name: "client.tls_verified", Type: Bool, Stage: Helo},
	{Name: "time.date", Type: String, Stage: Connect},
	{Name: "time.hour", Type: Int, Stage: Connect},
	{Name: "time.minute", Type: Int, Stage: Connect},
	{Name: "time.weekday", Type: String, Stage: Connect, Values: weekdays},
	{Name: "from.address", Type: String, Stage: Mail},
	{Name: "from.local", Type: String, Stage: Mail},
	{Name: "from.domain", Type: String, Stage: Mail},
	{Name: "from.null", Type: Bool, Stage: Mail},
	{Name: "from.size", Type: Int, Stage: Mail},
	{Name: "rcpt.address", Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.local", Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.domain", Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.mailbox", Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.mailboxes", Type: Strings, Stage: Rcpt, PerRcpt: true},
	{Name: "rcpt.groups", Type: Strings, Stage: Rcpt, PerRcpt: true},
	{Name: "message.size", Type: Int, Stage: Data},
	{Name: "message.rcpts", Type: Int, Stage: Data},
	{Name: "message.subject", Type: String, Stage: Data},
	{Name: "message.from", Type: String, Stage: Data},
	{Name: "message.from_domain", Type: String, Stage: Data},
	{Name: "message.from_name", Type: String, Stage: Data},
	{Name: "message.from_all", Type: Strings, Stage: Data},
	{Name: "message.sender", Type: String, Stage: Data},
	{Name: "message.reply_to", Type: String, Stage: Data},
	{Name: "message.reply_to_domain", Type: String, Stage: Data},
	{Name: "message.reply_to_name", Type: String, Stage: Data},
	{Name: "message.to", Type: Strings, Stage: Data},
	{Name: "message.to_names", Type: Strings, Stage: Data},
	{Name: "message.cc", Type: Strings, Stage: Data},
	{Name: "message.id", Type: String, Stage: Data},
	{Name: "message.text", Type: String, Stage: Data},
	{Name: "message.html", Type: Bool, Stage: Data},
	{Name: "message.charsets", Type: Strings, Stage: Data},
	{Name: "message.links", Type: Strings, Stage: Data},
	{Name: "message.link_hosts", Type: Strings, Stage: Data},
	{Name: "message.attachments", Type: Strings, Stage: Data},
	{Name: "message.extensions", Type: Strings, Stage: Data},
	{Name: "message.attachment_types", Type: Strings, Stage: Data},
	{Name: "message.attachment_count", Type: Int, Stage: Data},
	{Name: "message.attachment_size", Type: Int, Stage: Data},
	{Name: "message.archive_names", Type: Strings, Stage: Data},
	{Name: "message.archive_extensions", Type: Strings, Stage: Data},
	{Name: "message.locked", Type: Strings, Stage: Data},
	{Name: "message.unread_archives", Type: Strings, Stage: Data},
	{Name: "message.macros", Type: Strings, Stage: Data},
	{Name: "message.programs", Type: Strings, Stage: Data},
	{Name: "message.disguised", Type: Strings, Stage: Data},
	{Name: "message.attached_scripts", Type: Strings, Stage: Data},
	{Name: "message.attached_forms", Type: Strings, Stage: Data},
	{Name: "message.types", Type: Strings, Stage: Data},
	{Name: "message.anomalies", Type: Strings, Stage: Data},
	{Name: "message.received", Type: Int, Stage: Data},
}

// RcptLookups are the facts that are asked for by a name: the attributes of the recipient that a directory is read for. Their values
// are those of AttrFact.
var RcptLookups = []Fact{
	{Name: `rcpt.attr("NAME")`, Type: String, Stage: Rcpt, PerRcpt: true},
	{Name: `rcpt.attrs("NAME")`, Type: Strings, Stage: Rcpt, PerRcpt: true},
}

// AttrFact is the name of the fact, for one recipient, that holds all values of an attribute ([]string). Case does not matter.
func AttrFact(attribute string) string { return "rcpt.attr." + strings.ToLower(attribute) }

const (
	maxListFact = 500
	maxTextFact = 256 << 10
)

// AddBaseFacts writes into facts what is known of tx at its stage; facts of one recipient are not among them.
func AddBaseFacts(facts map[string]any, tx *Transaction) {
	addTimeFacts(facts, tx)
	addClientFacts(facts, tx)
	if tx.Stage >= Mail {
		facts["from.address"] = tx.From.String()
		facts["from.local"] = tx.From.Local
		facts["from.size"] = int(tx.Params.Size)
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
	facts["client.local_port"] = int(s.Local.Port())
	facts["client.proxy"] = ""
	if s.Proxy.IsValid() {
		facts["client.proxy"] = s.Proxy.String()
	}
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
		facts["client.esmtp"] = s.Esmtp
		addTLSFacts(facts, s)
	}
	facts["client.ip"] = s.Client.String()
	facts["client.port"] = int(s.Port)
	facts["client.early"] = s.Early
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
