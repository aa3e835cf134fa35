// Package bayes turns a message into the tokens that the Bayesian check counts.
//
// A token stands for a property that a mail has or has not: a word of its text, the domain of its sender, a header
// field. Each counts once per mail. Learning and checking must see the same tokens, so only the message itself is read,
// never the session, and what is written on the way behind us is left out. Words of the text stand for themselves; all
// other tokens have a prefix that ends in a colon.
package bayes

import (
	"strings"
	"unicode/utf8"

	"sekimori/internal/mail"
)

// Limits of one mail.
const (
	MaxToken  = 64   // octets; a longer one is cut at a character
	MaxTokens = 6000 // more are left out
	maxWords  = 4500 // of the text, so that one long part cannot crowd out the rest
)

// Tokenizer makes tokens. Hostname is for mail that has passed us, as people hand it in for learning: what stands above
// the Received field of that host was written on the way behind us and is left out. For mail that is just arriving it
// stays empty, since a Received field with our name in it is forged then. Safe for concurrent use.
type Tokenizer struct {
	Hostname string
}

// Tokens returns the distinct tokens of m, at most MaxTokens, in a fixed order.
func (t Tokenizer) Tokens(m *mail.Message) []string {
	c := &collector{seen: make(map[string]struct{}, 512), list: make([]string, 0, 512)}
	if len(m.From) > 0 {
		c.from = registrable(strings.ToLower(m.From[0].Addr.Domain))
	}
	c.headerFields(t.foreignHeader(m))
	c.addresses(m)
	c.subject(m.Subject)
	c.parts(m)
	for i := range m.Parts {
		c.links(&m.Parts[i])
	}
	c.limit = maxWords
	for i := range m.Parts {
		c.text(m.Parts[i].Text)
	}
	return c.list
}

// foreignHeader returns the header fields below our own topmost Received field, or all.
func (t Tokenizer) foreignHeader(m *mail.Message) []mail.Field {
	if t.Hostname == "" {
		return m.Header
	}
	for i, f := range m.Header {
		if strings.EqualFold(f.Name, "Received") && receivedBy(f.Value, t.Hostname) {
			return m.Header[i+1:]
		}
	}
	return m.Header
}

func receivedBy(value, hostname string) bool {
	by := false
	for w := range strings.FieldsSeq(value) {
		if by && strings.EqualFold(strings.TrimSuffix(w, ";"), hostname) {
			return true
		}
		by = strings.EqualFold(w, "by")
	}
	return false
}

// collector gathers distinct tokens. buf is reused to build one, so that a token that is there already costs no
// allocation.
type collector struct {
	seen  map[string]struct{}
	list  []string
	buf   []byte
	limit int // words of the text that may still be added; 0 while other tokens are added
	words int
	from  string // the registrable domain of the author
}

func (c *collector) add(prefix, s string) {
	c.buf = append(append(c.buf[:0], prefix...), s...)
	c.commit()
}

// commit adds the token in buf.
func (c *collector) commit() {
	if len(c.buf) > MaxToken {
		n := MaxToken
		for n > 0 && !utf8.RuneStart(c.buf[n]) {
			n--
		}
		c.buf = c.buf[:n]
	}
	if len(c.buf) == 0 || len(c.list) >= MaxTokens || !utf8.Valid(c.buf) {
		return
	}
	if _, ok := c.seen[string(c.buf)]; ok {
		return
	}
	if c.limit > 0 {
		if c.words >= c.limit {
			return
		}
		c.words++
	}
	s := string(c.buf)
	c.seen[s] = struct{}{}
	c.list = append(c.list, s)
}

// addLower is add with the ASCII letters of s in lower case.
func (c *collector) addLower(prefix, s string) {
	c.buf = append(c.buf[:0], prefix...)
	for i := 0; i < len(s) && len(c.buf) <= MaxToken; i++ {
		b := s[i]
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		c.buf = append(c.buf, b)
	}
	c.commit()
}

// class is a number as a power of two, so that similar counts share a token.
func class(n int) string {
	k := 0
	for n > 0 {
		n >>= 1
		k++
	}
	return string(rune('a' + min(k, 25)))
}
