package front

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

const (
	maxReceived = 100 // RFC 5321 section 6.3
	maxOurs     = 3
	foldAt      = 76
	maxReason   = 4000
	maxValue    = 120 // of one piece of evidence in the header
)

// loops reports whether a mail has passed too many servers, or us too often.
func loops(m *mail.Message, hostname string) bool {
	hops, ours := 0, 0
	for i := range m.Header {
		if strings.EqualFold(m.Header[i].Name, "Received") {
			hops++
			if strings.EqualFold(receivedBy(m.Header[i].Value), hostname) {
				ours++
			}
		}
	}
	return hops > maxReceived || ours >= maxOurs
}

// receivedBy returns the host after "by" in a Received field, comments aside (RFC 5321 section 4.4).
func receivedBy(value string) string {
	depth, by := 0, false
	for word := range strings.FieldsSeq(value) {
		open, shut := strings.Count(word, "("), strings.Count(word, ")")
		if depth == 0 && open == 0 {
			if by {
				return strings.TrimRight(word, ";.")
			}
			by = strings.EqualFold(word, "by")
		}
		depth = max(0, depth+open-shut)
	}
	return ""
}

// kept returns the message without the fields that claim to be ours: in pieces, so that nothing else is touched.
func kept(m *mail.Message, hostname string) mail.Content {
	drop := mail.ForeignAuthResults(m, hostname)
	for _, f := range m.Header {
		if len(f.Name) >= 11 && strings.EqualFold(f.Name[:11], "X-Sekimori-") {
			drop = append(drop, f)
		}
	}
	slices.SortFunc(drop, func(a, b mail.Field) int { return a.Start - b.Start })
	var c mail.Content
	at := 0
	for _, f := range drop {
		if f.Start > at {
			c = append(c, m.Raw[at:f.Start])
		}
		at = max(at, f.End)
	}
	if at < len(m.Raw) {
		c = append(c, m.Raw[at:])
	}
	return c
}

// trace makes the header fields put on top. What is the same for all recipients is made once.
type trace struct {
	auth, received string
	client         string // of whom a trusted relay brought it
	id             string
	normalized     bool
	message        *mail.Message
	lang           text.Lang // of the sentences
}

func (s *Server) newTrace(w *wire, tx *transaction) trace {
	var auth []mail.AuthResult
	for _, f := range tx.judging.Transaction().Findings() {
		if f.Auth != nil {
			auth = append(auth, *f.Auth)
		}
	}
	return trace{
		auth:     "Authentication-Results: " + mail.FormatAuthResults(w.set.cfg.Hostname, auth) + "\r\n",
		received: s.received(w, tx), client: clientField(tx.who(w)), id: tx.id, normalized: tx.normalized, message: tx.message,
		lang: langOf(w.set.cfg, tx.rcpts),
	}
}

// fields are those for recipients with this verdict.
func (t trace) fields(v mail.Verdict) []byte {
	verdict := v.Word()
	if v.RuleID != "" {
		verdict += " (" + token(v.RuleID) + ")"
	}
	rules := ""
	if v.Rules != "" {
		rules = fold("X-Sekimori-Rules", token(v.Rules))
	}
	return []byte(t.auth + fold("X-Sekimori-Verdict", verdict) + fold("X-Sekimori-Score", score(v.Score)) +
		fold("X-Sekimori-ID", t.id) + t.client + fold("X-Sekimori-Reason", reason(v, t.normalized)) +
		encodedField("X-Sekimori-Explanation", sentences(&v, t.lang)) + rules + t.added(&v) + t.received)
}

// received makes the Received field (RFC 5321 section 4.4; the protocol names are of RFC 3848 and RFC 6531). A recipient
// is named only when there is no other.
func (s *Server) received(w *wire, tx *transaction) string {
	var b strings.Builder
	sess := w.session
	name := "unknown "
	if sess.Relayed() {
		name = "" // rdns.name is that of the client behind it
	} else if v, ok := tx.judging.Transaction().Facts["rdns.name"].(string); ok && mail.IsHostname(strings.TrimSuffix(v, ".")) {
		name = strings.TrimSuffix(v, ".") + " "
	}
	fmt.Fprintf(&b, "Received: from %s (%s%s)\r\n", sess.Helo, name, literal(sess.Client))
	if real := tx.who(w); real.Relayed() && real.Unknown == "" {
		fmt.Fprintf(&b, "\t(on behalf of %s)\r\n", literal(real.Client))
	}
	if t := sess.TLS; t != nil {
		fmt.Fprintf(&b, "\t(using %s with cipher %s)\r\n", tls.VersionName(t.Version), tls.CipherSuiteName(t.CipherSuite))
	}
	fmt.Fprintf(&b, "\tby %s with %s id %s", w.set.cfg.Hostname, protocol(sess, tx.params.UTF8), tx.id)
	if len(tx.rcpts) == 1 {
		fmt.Fprintf(&b, "\r\n\tfor <%s>", tx.rcpts[0])
	}
	fmt.Fprintf(&b, ";\r\n\t%s\r\n", s.now().Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	return b.String()
}

func protocol(sess *mail.Session, utf8 bool) string {
	name := "SMTP"
	switch {
	case utf8:
		name = "UTF8SMTP"
	case sess.Esmtp:
		name = "ESMTP"
	}
	if sess.TLS != nil && name != "SMTP" {
		name += "S"
	}
	return name
}

func literal(a netip.Addr) string {
	if a.Is6() {
		return "[IPv6:" + a.WithZone("").String() + "]"
	}
	return "[" + a.String() + "]"
}

func score(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// seen is one piece of evidence. An entry of a list is said in words: those who read the header need not know how rules are written.
func seen(e mail.Evidence) string {
	if list, ok := strings.CutPrefix(e.Key, "lists."); ok {
		return "found in list " + token(list) + ": " + plain(e.Value, maxValue)
	}
	return token(e.Key) + "=" + plain(e.Value, maxValue)
}

// reason is what counted, what was not looked at, and what would have acted, on one line in ASCII.
func reason(v mail.Verdict, normalized bool) string {
	var parts []string
	for _, c := range v.Counted {
		p := token(c.Name) + " " + score(c.Points)
		var evidence []string
		for _, e := range c.Evidence {
			evidence = append(evidence, seen(e))
		}
		if len(evidence) > 0 {
			p += " (" + strings.Join(evidence, " ") + ")"
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing found")
	}
	add := func(what string, list []string) {
		if len(list) > 0 {
			words := make([]string, len(list))
			for i, l := range list {
				words[i] = plain(l, maxValue)
			}
			parts = append(parts, what+": "+strings.Join(words, ", "))
		}
	}
	add("not looked at", v.Degraded)
	add("not judged", v.Unknown)
	add("observed", v.Observed)
	if v.Would != "" {
		add("would have been", []string{v.Would})
	}
	if normalized {
		parts = append(parts, "line ends changed: LF became CR LF")
	}
	line := strings.Join(parts, "; ")
	if len(line) > maxReason {
		line = line[:maxReason] + " ..."
	}
	return line
}

// fold writes a header field of printable ASCII, with line breaks at spaces where lines get long. A word longer than a
// line may be (RFC 5322 section 2.1.1) is cut.
func fold(name, value string) string {
	var b strings.Builder
	b.WriteString(name + ":")
	n := len(name) + 1
	for word := range strings.FieldsSeq(value) {
		if len(word) > 900 {
			word = word[:900]
		}
		if n+1+len(word) > foldAt && n > len(name)+1 {
			b.WriteString("\r\n\t")
			n = 1
		} else {
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	b.WriteString("\r\n")
	return b.String()
}

// plain makes a value fit for a header field: printable ASCII, anything else as \u escapes, at most max octets.
func plain(s string, max int) string {
	q := strconv.QuoteToASCII(s)
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	if len(q) > max {
		q = q[:max] + "..."
	}
	return q
}

// token is plain for names, which hold no spaces or brackets.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune("();", r) {
			return '_'
		}
		return r
	}, s)
}
