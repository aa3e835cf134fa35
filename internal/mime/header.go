package mime

import (
	"bytes"
	"strings"

	"sekimori/internal/mail"
)

// scanner reads header fields from raw, starting at off. It yields one field per call of next and stops behind the
// empty line.
type scanner struct {
	raw    []byte
	off    int    // where the next line starts
	shared string // raw[base:base+len(shared)] as a string, so that most values need no allocation
	base   int
	first  bool // no line was read yet
	flags  *flags
	stop   *boundaries // lines of these end the header too; nil for the message itself
}

// field is one header field found by the scanner, its value still folded.
type field struct {
	name       string
	start, end int // in raw, with the last line end
	value      int // where the value starts in raw
	folded     bool
}

func newScanner(raw []byte, off int, f *flags) scanner {
	return scanner{raw: raw, off: off, base: off, first: true, flags: f}
}

// next returns the next field. ok is false at the end of the header; then off is behind the empty line, or where the
// body starts when there is none.
func (s *scanner) next() (f field, ok bool) {
	for s.off < len(s.raw) {
		start := s.off
		end, text := s.line(start)
		if text == start {
			s.off = end
			return field{}, false
		}
		if s.stop != nil && s.raw[start] == '-' {
			if _, ok := s.stop.match(s.raw[start:text]); ok {
				return field{}, false
			}
		}
		colon := fieldColon(s.raw[start:text])
		if colon < 0 {
			if s.first && !s.nextIsField(end) {
				s.flags.add("header_missing")
				return field{}, false
			}
			s.badLine(start, text)
			s.first = false
			s.off = end
			continue
		}
		s.first = false
		name := bytes.TrimRight(s.raw[start:start+colon], " \t")
		if len(name) != colon {
			s.flags.add("header_space")
		}
		f = field{name: s.str(start, start+len(name)), start: start, value: start + colon + 1}
		for end < len(s.raw) && (s.raw[end] == ' ' || s.raw[end] == '\t') {
			next, text := s.line(end)
			if len(bytes.TrimRight(s.raw[end:text], " \t")) == 0 && text-end > 0 {
				s.flags.add("header_blank_fold") // a line of white space: some readers see the end of the header here
			}
			f.folded = true
			end = next
		}
		f.end, s.off = end, end
		return f, true
	}
	s.flags.add("header_unended")
	return field{}, false
}

// line returns where the line at start ends, with and without its line end.
func (s *scanner) line(start int) (end, text int) {
	n := bytes.IndexByte(s.raw[start:], '\n')
	if n < 0 {
		return len(s.raw), len(s.raw)
	}
	end = start + n + 1
	text = end - 1
	if text > start && s.raw[text-1] == '\r' {
		text--
	}
	return end, text
}

// fieldColon returns where the colon of a header field stands in line, or -1. White space before it is tolerated
// (obsolete syntax, RFC 5322 section 4.5).
func fieldColon(line []byte) int {
	const longestName = 200
	if len(line) > longestName {
		line = line[:longestName]
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return -1
	}
	name := bytes.TrimRight(line[:colon], " \t")
	if len(name) == 0 {
		return -1
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7F {
			return -1
		}
	}
	return colon
}

func (s *scanner) nextIsField(off int) bool {
	if off >= len(s.raw) {
		return false
	}
	_, text := s.line(off)
	return fieldColon(s.raw[off:text]) > 0
}

func (s *scanner) badLine(start, text int) {
	line := s.raw[start:text]
	if s.first && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))) {
		s.flags.add("header_mbox")
		return
	}
	s.flags.add("header_malformed")
}

// str returns raw[a:b] as a string, from the shared copy where that holds it.
func (s *scanner) str(a, b int) string {
	if s.shared == "" {
		s.shared = string(s.raw[s.base : s.base+sharedLen(s.raw[s.base:])])
	}
	if b-s.base <= len(s.shared) {
		return s.shared[a-s.base : b-s.base]
	}
	return string(s.raw[a:b])
}

// sharedLen is how much of a header is copied at once: up to its empty line.
func sharedLen(b []byte) int {
	if len(b) > maxShared {
		b = b[:maxShared]
	}
	n := len(b)
	if i := bytes.Index(b, []byte("\n\r\n")); i >= 0 {
		n = i + 1
	}
	if i := bytes.Index(b[:n], []byte("\n\n")); i >= 0 {
		n = i + 1
	}
	return n
}

// value returns the field's value, unfolded and trimmed, cut at maxValue.
func (s *scanner) value(f field) string {
	end := f.end
	if end-f.value > maxValue {
		end = f.value + maxValue
		s.flags.add("header_long")
	}
	v := s.str(f.value, end)
	if f.folded {
		v = unfold(v)
	}
	v = strings.Trim(v, " \t\r\n")
	if strings.IndexByte(v, 0) >= 0 {
		s.flags.add("header_nul")
	}
	return v
}

// unfold takes out the line ends of a folded value and leaves the white space behind them (RFC 5322 section 2.2.3).
func unfold(v string) string {
	var b strings.Builder
	b.Grow(len(v))
	for {
		i := strings.IndexByte(v, '\n')
		if i < 0 {
			b.WriteString(v)
			return b.String()
		}
		line := v[:i]
		b.WriteString(strings.TrimSuffix(line, "\r"))
		v = v[i+1:]
	}
}

// isKeyField reports whether a field is listed even in a header of absurdly many fields: those that decide how the mail
// is read, and those that the front removes or counts.
func isKeyField(name string) bool {
	if len(name) > 40 {
		return false
	}
	switch strings.ToLower(name) {
	case "from", "to", "cc", "sender", "reply-to", "subject", "message-id", "date", "mime-version", "received",
		"authentication-results", "dkim-signature", "list-id":
		return true
	}
	return hasPrefixFold(name, "Content-") || hasPrefixFold(name, "X-Sekimori-")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// entity is what the header of a message or part says about its body.
type entity struct {
	start        int      // where its header begins
	ctype        []string // values of Content-Type, in order
	encoding     string
	id           string
	disposition  string
	dispositions int
	encodings    int
}

// maxID is how long a Content-ID may be.
const maxID = 998

func (e *entity) note(name, value string) {
	if len(name) < 10 || !hasPrefixFold(name, "Content-") {
		return
	}
	switch {
	case strings.EqualFold(name, "Content-Type"):
		if len(e.ctype) < maxBoundaries {
			e.ctype = append(e.ctype, value)
		}
	case strings.EqualFold(name, "Content-Transfer-Encoding"):
		if e.encodings++; e.encoding == "" {
			e.encoding = normalEncoding(value)
		}
	case strings.EqualFold(name, "Content-ID"):
		if e.id == "" && len(value) <= maxID {
			e.id = strings.Trim(value, "<> \t")
		}
	case strings.EqualFold(name, "Content-Disposition"):
		if e.dispositions++; e.disposition == "" {
			e.disposition = value
		}
	}
}

// normalEncoding reads the mechanism of a Content-Transfer-Encoding as leniently as readers of mail do.
func normalEncoding(v string) string {
	if i := strings.IndexAny(v, "; \t("); i >= 0 {
		v = v[:i]
	}
	v = strings.ToLower(strings.Trim(v, "\"' \t"))
	switch {
	case v == "base64" || v == "b64" || v == "base-64":
		return "base64"
	case v == "quoted-printable" || v == "qp" || v == "quotedprintable" || v == "quoted":
		return "quoted-printable"
	case len(v) > 40:
		return v[:40]
	}
	return v
}

// messageHeader reads the header of the message itself into m and returns what it says about the body.
func (w *walker) messageHeader() (entity, int) {
	var e entity
	m := w.msg
	s := newScanner(w.raw, 0, &w.flags)
	m.Header = make([]mail.Field, 0, 24)
	extra := 0
	for {
		f, ok := s.next()
		if !ok {
			break
		}
		if len(m.Header) >= maxFields {
			w.flags.add("header_many")
			if extra > maxKeyFields || !isKeyField(f.name) {
				continue
			}
			if extra++; extra > maxKeyFields {
				w.flags.add("header_overflow")
				continue
			}
		}
		v := s.value(f)
		m.Header = append(m.Header, mail.Field{Name: f.name, Value: v, Start: f.start, End: f.end})
		e.note(f.name, v)
	}
	m.HeaderLen = s.off
	return e, s.off
}

// partHeader reads the header of an inner part or message that starts at off. It ends at its empty line, or at a line
// that belongs to a multipart around it.
func (w *walker) partHeader(off int) (entity, int) {
	e := entity{start: off}
	s := newScanner(w.raw, off, &w.flags)
	s.stop = &w.open
	for n := 0; ; n++ {
		f, ok := s.next()
		if !ok {
			break
		}
		if hasPrefixFold(f.name, "Content-") && (n < maxPartFields || len(e.ctype) == 0) {
			e.note(f.name, s.value(f))
		}
	}
	return e, s.off
}
