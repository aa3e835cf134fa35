package bounce

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// The actions of a report (RFC 3464 section 2.3.3).
const (
	Failed  = "failed"
	Delayed = "delayed"
)

// Rcpt is one recipient of which a report speaks.
type Rcpt struct {
	Addr  mail.Address
	Reply mail.Reply // that ended or delays the delivery
	Own   bool       // the reply is ours (the time was up), not a mail server's
	By    string     // URL of the backend that said it; empty: not known
	At    time.Time  // when it said so; zero: not known
}

// Report is what a report is made of. All must be set.
type Report struct {
	Action   string
	ID       string // of the report; its Message-ID is ID@Hostname
	Hostname string
	From     string // address in the report's header
	Lang     string // ja | en | both
	To       mail.Address
	Now      time.Time
	Origin   mail.Origin   // of the mail
	Arrived  time.Time     // when the mail was accepted
	Until    time.Time     // with Delayed: how long it is tried
	Message  *mail.Message // the mail as it stands in the spool
	UTF8     bool          // the mail was sent with SMTPUTF8
	Rcpts    []Rcpt
}

// ID makes the name of a report from that of the mail and its recipients: a repeated call makes the same.
func ID(entry, action string, rcpts []mail.Address) string {
	sum := fnv.New64a()
	for _, a := range rcpts {
		_, _ = sum.Write([]byte(a.Key() + " "))
	}
	return fmt.Sprintf("%s.%.1s%x", entry, action, sum.Sum64())
}

// Bytes writes the report. Only a report to an address that is not in ASCII needs SMTPUTF8, see NeedsUTF8.
func (r *Report) Bytes() []byte {
	var b bytes.Buffer
	boundary := "=_" + r.ID
	r.header(&b, boundary)
	part := func(kind, encoding string, body []byte) {
		fmt.Fprintf(&b, "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", boundary, kind, encoding)
		b.Write(body)
		b.WriteString("\r\n")
	}
	r.people(part)
	r.status(part)
	r.original(part)
	b.WriteString("--" + boundary + "--\r\n")
	return b.Bytes()
}

// NeedsUTF8 reports whether the report can only be sent with SMTPUTF8.
func (r *Report) NeedsUTF8() bool { return !isASCII([]byte(r.To.Local)) }

func (r *Report) langs() []text.Lang {
	switch r.Lang {
	case "ja":
		return []text.Lang{text.Ja}
	case "en":
		return []text.Lang{text.En}
	}
	return []text.Lang{text.Ja, text.En}
}

func (r *Report) header(b *bytes.Buffer, boundary string) {
	var subject, from []string
	for _, lang := range r.langs() {
		subject = append(subject, text.Fill("dsn.subject."+r.Action, lang))
		from = append(from, text.Fill("dsn.from", lang))
	}
	name := strings.Join(from, " / ")
	if isASCII([]byte(name)) {
		name = `"` + name + `"`
	}
	b.WriteString(text.Field("From", name, "<"+r.From+">"))
	fmt.Fprintf(b, "To: <%s>\r\n", r.To)
	b.WriteString(text.Field("Subject", strings.Join(subject, " / "), ""))
	fmt.Fprintf(b, "Date: %s\r\nMessage-ID: <%s@%s>\r\n", date(r.Now), r.ID, r.Hostname)
	// The original's Message-ID is put in only when it is one: it is what a client wrote.
	if id := r.Message.MessageID; isMessageID(id) {
		fmt.Fprintf(b, "In-Reply-To: %s\r\nReferences: %s\r\n", id, id)
	}
	b.WriteString("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n\r\n", r.kind("delivery-status"), boundary)
	b.WriteString("This is a report about a mail, in MIME format.\r\n\r\n")
}

// kind gives the type of a part, or its international one. The report-type is the subtype of the second part (RFC 6522).
func (r *Report) kind(plain string) string {
	if r.UTF8 {
		return "global-" + plain
	}
	return plain
}

func isMessageID(s string) bool {
	return len(s) > 2 && len(s) <= 250 && s[0] == '<' && s[len(s)-1] == '>' && strings.IndexFunc(s[1:len(s)-1], func(c rune) bool {
		return c <= ' ' || c > '~' || c == '<' || c == '>'
	}) < 0
}

func date(t time.Time) string { return t.Format("Mon, 2 Jan 2006 15:04:05 -0700") }

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
