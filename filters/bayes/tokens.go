// Package bayes turns a message into the tokens that the Bayesian check counts.
//
// A token stands for a property that a mail has or has not: a word of its text, the domain of its sender, a header
// field. Each counts once per mail. Learning and checking must see the same tokens, so only the message itself is read,
// never the session, and what is written on the way behind us is left out. Words of the text that is shown stand for themselves; all
// other tokens have a prefix that ends in a colon. Words that are in the mail but that its reader does not see have prefixes of their
// own: hid: for text that HTML does not show, alt: for an alternative part that is not the one shown, att: for files.
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
)

// The shares of MaxTokens. Each part of a mail has its own, so that a sender who fills one crowds out nothing else.
const (
	maxHeader  = 450
	maxForm    = 150
	maxLinks   = 300
	maxWords   = 4500 // of the text that is shown
	maxUnshown = 200  // each of text that is hidden, of the other alternatives, and of files
	maxSubject = 100  // of maxHeader; also of each name of an author
)

// Tokenizer makes tokens. Hostname is for mail that has passed us, as people hand it in for learning: what stands above
// the Received field of that host was written on the way behind us and is left out. For mail that is just arriving it
// stays empty, since a Received field with our name in it is forged then. Safe for concurrent use.
type Tokenizer struct {
	Hostname string
}

// Tokens returns the distinct tokens of m, at most MaxTokens, in a fixed order. Many share one allocation: whoever keeps a few of them
// clones them.
func (t Tokenizer) Tokens(m *mail.Message) []string {
	c := &collector{tokenSet: newTokenSet(expected(m))}
	if len(m.From) > 0 {
		c.from = registrable(strings.ToLower(m.From[0].Addr.Domain))
	}
	c.share(maxHeader, func() {
		c.share(maxSubject, func() { c.subject(m.Subject) })
		c.addresses(m)
		c.headerFields(t.foreignHeader(m))
	})
	c.share(maxForm, func() { c.parts(m) })
	c.share(maxLinks, func() {
		for i := range m.Parts {
			c.links(&m.Parts[i])
		}
	})
	c.texts(m)
	return c.list
}

// expected is about how many tokens a mail has.
func expected(m *mail.Message) int {
	octets := 0
	for i := range m.Parts {
		octets += len(m.Parts[i].Text)
	}
	return 512 + min(octets, maxShownText)/24
}

// share lets f add at most n tokens, and no more than may be added anyway.
func (c *collector) share(n int, f func()) {
	before := c.most
	if c.most = len(c.list) + n; before > 0 {
		c.most = min(c.most, before)
	}
	f()
	c.most = before
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
	tokenSet
	most           int // how long list may become; see share
	buf            []byte
	folded, normal []byte   // see fold
	beside         int      // octets of a prefix without which a token that is there already is not added
	from           string   // the registrable domain of the author
	linked         string   // the host of the last link
	suspects       []string // words of another script that look Latin; see unmasked
	foreign        bool     // there are others in such scripts
}

func (c *collector) add(prefix, s string) {
	c.buf = append(append(c.buf[:0], prefix...), s...)
	c.commit()
}

// commit adds the token in buf, if it is valid UTF-8.
func (c *collector) commit() {
	if len(c.list) < c.most && utf8.Valid(c.token()) {
		c.commitText()
	}
}

// commitText is commit for what is made of a text that was folded, and so is valid.
func (c *collector) commitText() {
	token := c.token()
	if len(token) == 0 || len(c.list) >= c.most {
		return
	}
	hash := c.hash(token)
	slot, ok := c.find(token, hash)
	if ok || c.beside > 0 && c.has(token[min(c.beside, len(token)):]) {
		return
	}
	c.insert(token, hash, slot)
}

// token is buf without what is too long.
func (c *collector) token() []byte {
	n := len(c.buf)
	if n > MaxToken {
		for n = MaxToken; n > 0 && !utf8.RuneStart(c.buf[n]); n-- {
		}
	}
	return c.buf[:n]
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
