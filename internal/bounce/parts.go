package bounce

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

const (
	maxHeader  = 64 << 10 // octets of the original header that are returned
	maxLine    = 998      // RFC 5322 section 2.1.1
	maxSubject = 100      // characters
	foldAt     = 76
)

type partFunc func(kind, encoding string, body []byte)

// people writes the sentences.
func (r *Report) people(part partFunc) {
	var all []string
	for _, lang := range r.langs() {
		all = append(all, strings.Join(r.sentences(lang), "\n")+"\n")
	}
	body := []byte(strings.ReplaceAll(strings.Join(all, "\n----------------------------------------\n\n"), "\n", "\r\n"))
	if plain(body) {
		part("text/plain; charset=us-ascii", "7bit", body)
		return
	}
	part("text/plain; charset=utf-8", "base64", text.Base64(body))
}

func (r *Report) sentences(lang text.Lang) []string {
	say := func(key string, pairs ...string) string {
		var list []mail.Evidence
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, mail.Evidence{Key: pairs[i], Value: pairs[i+1]})
		}
		return text.Fill("dsn."+key, lang, list...)
	}
	lines := []string{say("intro."+r.Action, "host", r.Hostname, "until", when(r.Until, lang)), ""}
	if s := r.Message.Subject; s != "" {
		lines = append(lines, say("mail.subject", "subject", text.Clean(s, maxSubject)))
	}
	lines = append(lines, say("mail.arrived", "time", when(r.Arrived, lang)), "")
	for _, c := range r.Rcpts {
		lines = append(lines, say("rcpt", "rcpt", c.Addr.String()), say("why."+r.why(c)))
		if !c.Own {
			lines = append(lines, say("answer", "reply", c.Reply.String()))
		}
		lines = append(lines, "")
	}
	return append(lines, say("id", "id", r.Origin.ID), say("auto"))
}

// why chooses the sentence by the enhanced code (RFC 3463).
func (r *Report) why(c Rcpt) string {
	e := c.Reply.Enhanced()
	switch {
	case r.Action == Delayed:
		return "delayed"
	case c.Own || e[1] == 4 && e[2] == 7:
		return "expired"
	case e[1] == 1 && (e[2] == 0 || e[2] == 1 || e[2] == 2 || e[2] == 3 || e[2] == 6 || e[2] == 10):
		return "unknown"
	case e[1] == 2 && e[2] == 2:
		return "full"
	case e[1] == 2 && e[2] == 3, e[1] == 3 && e[2] == 4, c.Reply.Code() == 552 && e[1] == 0:
		return "size"
	case e[1] == 7:
		return "policy"
	}
	return "other"
}

// when writes a time as it is read, with the day of the week and the zone.
func when(t time.Time, lang text.Lang) string {
	_, offset := t.Zone()
	zone := "UTC"
	switch {
	case offset == 9*60*60 && lang == text.Ja:
		zone = "日本時間"
	case offset != 0:
		zone += t.Format("-07:00")
	}
	if lang == text.Ja {
		return fmt.Sprintf("%s（%s）%s（%s）", t.Format("2006年1月2日"), []string{"日", "月", "火", "水", "木", "金", "土"}[t.Weekday()], t.Format("15時04分"), zone)
	}
	return t.Format("Monday, 2 January 2006, 15:04") + " (" + zone + ")"
}

// status writes the part for programs (RFC 3464 section 2).
func (r *Report) status(part partFunc) {
	var b bytes.Buffer
	field(&b, "Reporting-MTA", "dns; "+r.Hostname)
	if r.Origin.Helo != "" && isASCII([]byte(r.Origin.Helo)) {
		field(&b, "Received-From-MTA", "dns; "+r.Origin.Helo)
	}
	field(&b, "Arrival-Date", date(r.Arrived))
	field(&b, "X-Sekimori-ID", r.Origin.ID)
	for _, c := range r.Rcpts {
		b.WriteString("\r\n")
		kind := "rfc822"
		if r.UTF8 && !isASCII([]byte(c.Addr.Local)) {
			kind = "utf-8"
		}
		field(&b, "Final-Recipient", kind+"; "+c.Addr.String())
		field(&b, "Action", r.Action)
		e := c.Reply.Enhanced()
		field(&b, "Status", fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2]))
		diagnostic := "smtp"
		if c.Own {
			diagnostic = "x-sekimori"
		} else if host := RemoteHost(c.By); host != "" {
			field(&b, "Remote-MTA", "dns; "+remote(host))
		}
		field(&b, "Diagnostic-Code", diagnostic+"; "+c.Reply.String())
		if !c.At.IsZero() {
			field(&b, "Last-Attempt-Date", date(c.At))
		}
		if r.Action == Delayed {
			field(&b, "Will-Retry-Until", date(r.Until))
		}
	}
	if r.UTF8 {
		part("message/global-delivery-status", "base64", text.Base64(b.Bytes()))
		return
	}
	part("message/delivery-status", "7bit", b.Bytes())
}

// remote writes a host; an address stands in brackets (RFC 3464 section 2.1.2).
func remote(host string) string {
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return host
	case a.Is6():
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + host + "]"
}

// field writes one field, folded at spaces.
func field(b *bytes.Buffer, name, value string) {
	b.WriteString(name + ":")
	n := len(name) + 1
	for word := range strings.FieldsSeq(value) {
		if n+1+len(word) > foldAt && n > len(name)+1 {
			b.WriteString("\r\n")
			n = 0
		}
		b.WriteString(" " + word)
		n += 1 + len(word)
	}
	b.WriteString("\r\n")
}

// original returns the header of the mail as it came in.
func (r *Report) original(part partFunc) {
	h := originalHeader(r.Message, r.Hostname)
	switch {
	case r.UTF8:
		part("message/global-headers", "base64", text.Base64(h))
	case plain(h):
		part("text/rfc822-headers", "7bit", h)
	default:
		part("text/rfc822-headers", "base64", text.Base64(h))
	}
}

// originalHeader leaves out the fields that we put on top: everything down to our own Received field.
func originalHeader(m *mail.Message, hostname string) []byte {
	start := 0
	if len(m.Header) > 0 && strings.EqualFold(m.Header[0].Name, "Authentication-Results") {
		for i := range m.Header {
			f := &m.Header[i]
			if strings.EqualFold(f.Name, "Received") {
				words := strings.Fields(f.Value)
				if i := slices.Index(words, "by"); i >= 0 && i+1 < len(words) && words[i+1] == hostname {
					start = f.End
				}
				break
			}
		}
	}
	end := start
	for i := range m.Header {
		if f := &m.Header[i]; f.End > end && f.End-start <= maxHeader {
			end = f.End
		}
	}
	return m.Raw[start:end]
}

// plain reports whether text can stand as it is: lines of printable ASCII that end in CRLF and are not too long.
func plain(b []byte) bool {
	for line := range bytes.Lines(b) {
		text, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || len(text) > maxLine {
			return false
		}
		for _, c := range text {
			if c != '\t' && (c < ' ' || c > '~') {
				return false
			}
		}
	}
	return true
}

// RemoteHost gives the host of a backend's URL; "" for one that is no server.
func RemoteHost(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok || strings.HasPrefix(rest, "/") {
		return ""
	}
	host, _, err := net.SplitHostPort(rest)
	if err != nil {
		return ""
	}
	return host
}
