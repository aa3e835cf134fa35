package filters

import (
	"bytes"
	"fmt"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds of what is verified. go-msgauth has none: 20,000 fields named 20,000 times in h= cost it seconds for each
// signature, and long folds and runs of empty lines cost it the square of their length.
const (
	maxDKIMHeader     = 256 << 10
	maxDKIMLines      = 1000
	maxDKIMNames      = 100
	maxDKIMEmpty      = 10_000
	maxDKIMSignatures = 8
)

// dkimMail is a message as DKIM sees it: the header ends at the first empty line (RFC 5322 section 2.1), whatever a MIME
// reader made of it.
type dkimMail struct {
	raw    []byte // ends its header with an empty line
	body   []byte
	fields []dkimField
	sigs   []*dkimSig
	extra  int    // signatures beyond maxDKIMSignatures
	froms  int    // From fields
	over   string // which bound the message exceeds; sigs hold no more than their tags then
}

// dkimField is a header field with its line ends as CRLF.
type dkimField struct {
	name string // lower case
	text string
}

// readDKIM splits a message in time linear to its length. raw is not changed.
func readDKIM(raw []byte) *dkimMail {
	m := &dkimMail{}
	head, lines, ended := dkimHeader(raw)
	m.raw, m.body = raw, raw[len(head):]
	if !ended && len(head) <= maxDKIMHeader {
		// The library cannot read a header that no empty line ends.
		m.raw = slices.Concat(bytes.TrimRight(head, "\r\n"), []byte("\r\n\r\n"))
		m.body = nil
	}
	switch {
	case len(head) > maxDKIMHeader:
		m.over = fmt.Sprintf("header of more than %d KiB", maxDKIMHeader>>10)
	case lines > maxDKIMLines:
		m.over = fmt.Sprintf("header of more than %d lines", maxDKIMLines)
	}
	m.split(head)
	if m.over == "" && len(m.sigs) > 0 && emptyRun(m.body) > maxDKIMEmpty {
		m.over = fmt.Sprintf("more than %d empty lines in a row", maxDKIMEmpty)
	}
	return m
}

// dkimHeader returns the header with the empty line that ends it.
func dkimHeader(raw []byte) (head []byte, lines int, ended bool) {
	for i := 0; i < len(raw); {
		n := bytes.IndexByte(raw[i:], '\n')
		if n < 0 {
			break
		}
		empty := n == 0 || n == 1 && raw[i] == '\r'
		i += n + 1
		if empty {
			return raw[:i], lines, true
		}
		lines++
	}
	return raw, lines, false
}

// split reads the fields as go-msgauth does, so that the n-th signature here is its n-th. Of a message over a bound only
// the signatures are kept.
func (m *dkimMail) split(head []byte) {
	start := 0
	for i := 0; i < len(head); {
		n := bytes.IndexByte(head[i:], '\n')
		end := len(head)
		if n >= 0 {
			end = i + n + 1
		}
		if end == len(head) || head[end] != ' ' && head[end] != '\t' {
			m.field(head[start:end])
			start = end
		}
		i = end
	}
}

func (m *dkimMail) field(text []byte) {
	key, value, _ := bytes.Cut(text, []byte(":"))
	name := textproto.TrimBytes(key)
	if len(name) == 0 && len(textproto.TrimBytes(text)) == 0 {
		return // the empty line
	}
	isSig := len(name) == len("dkim-signature") && bytes.EqualFold(name, []byte("dkim-signature"))
	if bytes.EqualFold(name, []byte("from")) {
		m.froms++
	}
	if m.over != "" && !isSig {
		return
	}
	f := dkimField{name: strings.ToLower(strings.TrimSpace(string(key))), text: crlfText(text)}
	m.fields = append(m.fields, f)
	if !isSig {
		return
	}
	if len(m.sigs) == maxDKIMSignatures {
		m.extra++
		return
	}
	if len(value) > maxDKIMHeader {
		value = nil
	}
	m.sigs = append(m.sigs, parseDKIMSig(f.text, string(value)))
}

func crlfText(text []byte) string {
	s := string(text)
	if strings.Count(s, "\n") == strings.Count(s, "\r\n") && strings.HasSuffix(s, "\n") {
		return s
	}
	s = strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\r\n", "\n")
	return strings.ReplaceAll(strings.TrimSuffix(s, "\r"), "\n", "\r\n") + "\r\n"
}

// emptyRun returns the length of the longest run of empty lines.
func emptyRun(body []byte) int {
	longest, run := 0, 0
	for i := 0; i < len(body); {
		n := bytes.IndexByte(body[i:], '\n')
		if n < 0 {
			break
		}
		if n == 0 || n == 1 && body[i] == '\r' {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
		i += n + 1
	}
	return longest
}

// dkimSig is one DKIM-Signature field (RFC 6376 section 3.5), its folding white space removed where the grammar has it.
type dkimSig struct {
	text     string // the field
	tags     map[string]string
	broken   bool // no tag list: what the library says of it counts
	domain   string
	selector string
	identity string
	algo     string
	b        string
	names    []string // h=, lower case
	over     string   // which bound it exceeds
	key      *dkimKey
}

func parseDKIMSig(text, value string) *dkimSig {
	s := &dkimSig{text: text}
	s.tags, s.broken = parseTags(value)
	s.domain = strings.ToLower(noSpace(s.tags["d"]))
	s.selector = noSpace(s.tags["s"])
	s.identity = noSpace(s.tags["i"])
	s.algo = noSpace(s.tags["a"])
	s.b = noSpace(s.tags["b"])
	if strings.Count(s.tags["h"], ":") >= maxDKIMNames {
		s.over = fmt.Sprintf("more than %d names in h=", maxDKIMNames)
		return s
	}
	for name := range strings.SplitSeq(s.tags["h"], ":") {
		s.names = append(s.names, strings.ToLower(noSpace(name)))
	}
	return s
}

// parseTags reads a tag list (RFC 6376 section 3.2). broken says that a tag has no value or stands twice; the first of
// each name is returned all the same.
func parseTags(s string) (tags map[string]string, broken bool) {
	tags = map[string]string{}
	for part := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !ok {
			broken = broken || name != ""
			continue
		}
		if _, twice := tags[name]; twice {
			broken = true
			continue
		}
		tags[name] = strings.TrimSpace(value)
	}
	return tags, broken
}

func noSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// keyName is where the key stands (RFC 6376 section 3.6.2.1), spelled as the library asks for it.
func (s *dkimSig) keyName() string { return s.selector + "._domainkey." + noSpace(s.tags["d"]) }

// identityDomain is the domain of i=, by default d=.
func (s *dkimSig) identityDomain() string {
	if i := strings.LastIndexByte(s.identity, '@'); i >= 0 {
		return strings.ToLower(s.identity[i+1:])
	}
	return s.domain
}

// expiry reads x=; the zero time without one.
func (s *dkimSig) expiry() time.Time {
	sec, err := strconv.ParseInt(noSpace(s.tags["x"]), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(sec, 0)
}

// libraryB is how go-msgauth finds the value of b=: wherever "b=" stands in the field, be it in an address of i= or in z=.
var libraryB = regexp.MustCompile(`(b\s*=)[^;]+`)

// unlike says that the library cannot be right about the signature: it would cut the field elsewhere than at b=
// (go-msgauth issue 77), it compares i= and d= with regard to case, and it refuses every l=.
func (s *dkimSig) unlike() bool {
	if s.broken {
		return false
	}
	if _, has := s.tags["l"]; has {
		return true
	}
	d := noSpace(s.tags["d"])
	caseOnly := s.identity != "" && !strings.HasSuffix(s.identity, "@"+d) && !strings.HasSuffix(s.identity, "."+d)
	return caseOnly || libraryB.ReplaceAllString(s.text, "$1") != s.unsigned()
}

// unsigned is the field with the value of b= deleted (RFC 6376 section 3.5), all else as it is.
func (s *dkimSig) unsigned() string {
	colon := strings.IndexByte(s.text, ':') + 1
	parts := strings.Split(s.text[colon:], ";")
	i := slices.IndexFunc(parts, func(p string) bool {
		name, _, ok := strings.Cut(p, "=")
		return ok && strings.TrimSpace(name) == "b"
	})
	if i >= 0 {
		parts[i] = parts[i][:strings.IndexByte(parts[i], '=')+1]
	}
	return s.text[:colon] + strings.Join(parts, ";")
}
