package mail

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

const (
	maxAuthValue = 256 // octets of one value: keeps every line far below 998 (RFC 5322 section 2.1.1)
	maxAuthCount = 64  // results in one field
	authLine     = 78
)

var authOrder = []string{"iprev", "spf", "dkim", "dmarc", "arc"}

// FormatAuthResults gives the value of an Authentication-Results field (RFC 8601 section 2.2) without its name and
// without a line end: folded with CRLF TAB, in ASCII, the results ordered by method and then as given. Values may hold
// what a client sent: what is not a token, or an address whose parts are, becomes a quoted string, in which controls,
// quotes, backslashes and what is not ASCII are replaced by "?". A method, result or property that is not a keyword is left
// out. Without a result the value says "none".
func FormatAuthResults(authserv string, results []AuthResult) string {
	w := authWriter{}
	w.word(authValue(authserv))
	sorted := slices.Clone(results)
	slices.SortStableFunc(sorted, func(a, b AuthResult) int { return cmp.Compare(authRank(a.Method), authRank(b.Method)) })
	n := 0
	for _, r := range sorted {
		if !isAuthKeyword(r.Method) || !isAuthKeyword(r.Result) || n == maxAuthCount {
			continue
		}
		n++
		w.result(r)
	}
	if n == 0 {
		w.b.WriteString("; none")
	}
	return w.b.String()
}

func authRank(method string) int {
	if i := slices.Index(authOrder, method); i >= 0 {
		return i
	}
	return len(authOrder)
}

type authWriter struct {
	b    strings.Builder
	line int
}

func (w *authWriter) result(r AuthResult) {
	w.b.WriteString(";\r\n\t")
	w.line = 8
	w.word(r.Method + "=" + r.Result)
	if r.Reason != "" {
		w.next("reason=" + authQuoted(r.Reason))
	}
	for _, p := range r.Props {
		ptype, prop, ok := strings.Cut(p.Key, ".")
		if ok && isAuthKeyword(ptype) && isAuthKeyword(prop) {
			w.next(p.Key + "=" + authPvalue(p.Value))
		}
	}
}

func (w *authWriter) word(s string) {
	w.b.WriteString(s)
	w.line += len(s)
}

// next writes a further word of the same result, on a new line where this one is full.
func (w *authWriter) next(s string) {
	if w.line+1+len(s) > authLine {
		w.b.WriteString("\r\n\t ")
		w.line = 9
	} else {
		w.b.WriteByte(' ')
		w.line++
	}
	w.word(s)
}

// isAuthKeyword is the Keyword of RFC 5321 section 4.1.2, with the dots, underscores and digits that registered
// properties do not use left out.
func isAuthKeyword(s string) bool {
	if s == "" || len(s) > 40 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// authPvalue is pvalue of RFC 8601 section 2.2: a value, or an address or @domain as it is.
func authPvalue(s string) string {
	if local, domain, ok := strings.Cut(s, "@"); ok && len(s) <= maxAuthValue && IsHostname(domain) &&
		(local == "" || isDotAtom(local)) {
		return s
	}
	return authValue(s)
}

// authValue is value of RFC 2045 section 5.1: a token where s is one, else a quoted string.
func authValue(s string) string {
	if s == "" || len(s) > maxAuthValue {
		return authQuoted(s)
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7F || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return authQuoted(s)
		}
	}
	return s
}

func isDotAtom(s string) bool {
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(".!#$%&'*+-/=?^_`{|}~", c) < 0 {
			return false
		}
	}
	return true
}

// authQuoted never needs a backslash: readers that do not know quoted pairs must not see a quote where there is none.
func authQuoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	n := 0
	for _, r := range s {
		if n++; n > maxAuthValue {
			break
		}
		if r < ' ' || r >= 0x7F || r == '"' || r == '\\' {
			r = '?'
		}
		b.WriteByte(byte(r))
	}
	b.WriteByte('"')
	return b.String()
}

// ForeignAuthResults returns the Authentication-Results fields of m that claim our authserv-id: whoever sent them, they
// are not ours and must not reach readers who trust that name (RFC 8601 section 5). The name counts in any case, quoted,
// behind comments and folds, before a version number, with a final dot, and as U-labels. In a field that is
// malformed before the name ends, our name anywhere counts.
func ForeignAuthResults(m *Message, authserv string) []Field {
	var found []Field
	for _, f := range m.Header {
		if strings.EqualFold(strings.TrimSpace(f.Name), "Authentication-Results") && claimsAuthserv(f.Value, authserv) {
			found = append(found, f)
		}
	}
	return found
}

func claimsAuthserv(value, authserv string) bool {
	id, ok := authservID(value)
	if !ok {
		return strings.Contains(strings.ToLower(value), strings.ToLower(authserv))
	}
	return sameAuthserv(id, authserv)
}

func sameAuthserv(id, ours string) bool {
	id = foldAuthserv(id)
	ours = foldAuthserv(ours)
	// RFC 5451 readers wrote a version as NAME/1 as well.
	name, _, _ := strings.Cut(id, "/")
	return id == ours || name == ours
}

func foldAuthserv(s string) string {
	if len(s) > 4*255 {
		return s // no name; the time of Punycode grows with the square of the length
	}
	s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if a, err := idna.Lookup.ToASCII(s); err == nil {
		return a
	}
	return s
}

// authservID reads the authserv-id of a field value (RFC 8601 section 2.2): [CFWS] value. ok is false when a comment or
// a quoted string does not end, or there is no id.
func authservID(value string) (id string, ok bool) {
	rest, ok := skipCFWS(value)
	if !ok || rest == "" {
		return "", false
	}
	var b strings.Builder
	for rest != "" {
		switch c := rest[0]; {
		case c == '"':
			s, after, closed := cutQuoted(rest)
			if !closed {
				return "", false
			}
			b.WriteString(s)
			rest = after
		case c == '(':
			// A comment inside the id parts it, for readers who know comments; for others it does not.
			if rest, ok = skipCFWS(rest); !ok {
				return "", false
			}
			if rest == "" || rest[0] != '.' && !strings.HasSuffix(b.String(), ".") {
				return b.String(), b.Len() > 0
			}
		case c == ';' || c == ' ' || c == '\t' || c == '\r' || c == '\n':
			return b.String(), b.Len() > 0
		default:
			b.WriteByte(c)
			rest = rest[1:]
		}
	}
	return b.String(), b.Len() > 0
}

func cutQuoted(s string) (text, rest string, closed bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] != '\r' && s[i] != '\n':
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// skipCFWS skips white space, folds and nested comments (RFC 5322 section 3.2.2).
func skipCFWS(s string) (string, bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n':
		default:
			return s[i:], true
		}
	}
	return "", depth == 0
}
