package mime

import (
	"strings"

	"sekimori/internal/mail"
)

// walk reads the entity whose header was e and whose body starts at off, and everything in it. It ends where a
// multipart around it goes on (w.pending), or at the end of the octets.
func (w *walker) walk(e entity, off, depth int, digest bool) {
	if len(w.msg.Parts) >= maxParts {
		w.rest(off)
		return
	}
	t := w.contentType(&e, digest)
	index := len(w.msg.Parts)
	w.msg.Parts = append(w.msg.Parts, mail.Part{
		Type: t.name, Charset: t.charset, Encoding: e.encoding, ID: e.id, Depth: depth, Head: e.start, Start: off,
	})
	w.disposition(&e, &t, &w.msg.Parts[index])
	encoded := e.encoding == "base64" || e.encoding == "quoted-printable"
	nested := strings.HasPrefix(t.name, "multipart/") || t.name == "message/rfc822" || t.name == "message/global"
	switch {
	case nested && encoded:
		w.flags.add("multipart_encoded")
		w.leaf(index, true)
	case nested && depth >= maxDepth:
		w.flags.add("depth_exceeded")
		w.leaf(index, true)
	case strings.HasPrefix(t.name, "multipart/"):
		w.multipart(index, &t)
	case nested:
		inner, body := w.partHeader(off)
		w.walk(inner, body, depth+1, false)
		w.msg.Parts[index].End = w.bodyEnd(off)
	default:
		w.kinds(t.name)
		w.leaf(index, false)
	}
}

func (w *walker) kinds(ctype string) {
	switch ctype {
	case "message/partial":
		w.flags.add("message_partial")
	case "message/external-body":
		w.flags.add("external_body")
	}
}

// multipart reads the parts of Parts[index].
func (w *walker) multipart(index int, t *ctype) {
	p := w.msg.Parts[index]
	if len(t.boundaries) == 0 {
		w.flags.add("boundary_missing")
		w.guess(p.Start, t)
	}
	level := p.Depth
	w.open.push(level, t.boundaries)
	d := w.nextDelimiter(p.Start)
	if d.level != level && len(t.boundaries) > 0 {
		w.flags.add("boundary_unused")
		if w.guess(p.Start, t) {
			w.open.push(level, t.boundaries[len(t.boundaries)-1:])
			d = w.nextDelimiter(p.Start)
		}
	}
	parts, closed := 0, false
	for d.level == level {
		if d.closing {
			closed = true
			d = w.nextDelimiter(d.end)
			continue
		}
		if closed {
			w.flags.add("boundary_reopened")
		}
		parts++
		w.pending.level = noDelimiter
		inner, body := w.partHeader(d.end)
		w.walk(inner, body, p.Depth+1, t.name == "multipart/digest")
		d = w.pending
	}
	w.pending = d
	w.open.pop(level)
	w.msg.Parts[index].End = w.bodyEnd(p.Start)
	if !closed && parts > 0 {
		w.flags.add("multipart_unended")
	}
	if parts == 0 {
		w.text(index, true)
	}
}

// guess adds a boundary that the octets suggest, and says whether it did. Each guess lets octets be read again, so
// there are few.
func (w *walker) guess(off int, t *ctype) bool {
	if w.guesses >= maxGuesses {
		return false
	}
	w.guesses++
	g := guessBoundary(w.raw[off:])
	if g == "" || contains(t.boundaries, g) {
		return false
	}
	w.flags.add("boundary_guessed")
	t.boundaries = append(t.boundaries, g)
	return true
}

// bodyEnd returns where a body that started at start ends: before the line end that belongs to the pending delimiter
// (RFC 2046 section 5.1.1).
func (w *walker) bodyEnd(start int) int {
	end := w.pending.start
	if w.pending.level >= 0 && end > start && w.raw[end-1] == '\n' {
		end--
		if end > start && w.raw[end-1] == '\r' {
			end--
		}
	}
	return max(end, start)
}

// leaf reads a part that holds no other parts; force reads its text whatever its type.
func (w *walker) leaf(index int, force bool) {
	p := &w.msg.Parts[index]
	w.pending = w.nextDelimiter(p.Start)
	p.End = w.bodyEnd(p.Start)
	w.text(index, force)
}

// rest reads what stands behind the last part that is listed as one raw text, once, and ends the walk.
func (w *walker) rest(off int) {
	w.flags.add("parts_exceeded")
	w.pending = delimiter{level: -1, start: len(w.raw), end: len(w.raw)}
	w.msg.Parts = append(w.msg.Parts, mail.Part{Type: "application/octet-stream", Head: off, Start: off, End: len(w.raw)})
	w.text(len(w.msg.Parts)-1, true)
}

func contains(list []string, s string) bool {
	for _, have := range list {
		if have == s {
			return true
		}
	}
	return false
}

// ctype is what all Content-Type fields of an entity say together.
type ctype struct {
	name       string
	charset    string
	boundaries []string
	names      []string
}

// contentType reads Content-Type. Of several fields the one that makes parts visible counts, because some reader will
// take that one.
func (w *walker) contentType(e *entity, digest bool) ctype {
	t := ctype{name: "text/plain"}
	if digest {
		t.name = "message/rfc822"
	}
	if len(e.ctype) > 1 {
		w.flags.add("type_multiple")
	}
	multi := false
	for i, v := range e.ctype {
		word, params, many := parseParams(v)
		if many {
			w.flags.add("params_many")
		}
		if !validType(word) {
			w.flags.add("type_malformed")
			word = ""
		}
		isMulti := strings.HasPrefix(word, "multipart/")
		if word != "" && (i == 0 || isMulti && !multi) {
			t.name, multi = word, multi || isMulti
		}
		if cs := paramValues(params, "charset"); len(cs) > 0 && t.charset == "" {
			t.charset = normalLabel(cs[0])
		}
		for _, n := range paramValues(params, "name") {
			t.names = appendNew(t.names, n)
		}
		if isMulti {
			w.boundaries(&t, params)
		}
	}
	return t
}

func (w *walker) boundaries(t *ctype, params []param) {
	for _, b := range paramValues(params, "boundary") {
		b = strings.TrimRight(b, " \t")
		if b == "" {
			w.flags.add("boundary_empty")
		}
		if len(t.boundaries) < maxBoundaries && !contains(t.boundaries, b) {
			t.boundaries = append(t.boundaries, b)
		}
	}
	if len(t.boundaries) > 1 {
		w.flags.add("boundary_multiple")
	}
}

// validType reports whether s is type/subtype in the characters of RFC 2045.
func validType(s string) bool {
	slash := strings.IndexByte(s, '/')
	if slash <= 0 || slash == len(s)-1 || len(s) > 127 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7F || strings.IndexByte("()<>@,;:\\\"[]?=", c) >= 0 || c == '/' && i != slash {
			return false
		}
	}
	return true
}

// disposition reads Content-Disposition and the names of the file.
func (w *walker) disposition(e *entity, t *ctype, p *mail.Part) {
	if e.encodings > 1 {
		w.flags.add("encoding_multiple")
	}
	if e.dispositions > 1 {
		w.flags.add("disposition_multiple")
	}
	var names []string
	if e.disposition != "" {
		word, params, many := parseParams(e.disposition)
		if many {
			w.flags.add("params_many")
		}
		p.Attached = word == "attachment"
		names = paramValues(params, "filename")
	}
	for _, n := range t.names {
		names = appendNew(names, n)
	}
	w.name(p, names)
}

// name takes the first of the names given to a file and keeps the others, since readers of mail differ in which they take.
func (w *walker) name(p *mail.Part, names []string) {
	for _, n := range names {
		switch {
		case n == "":
			continue
		case strings.ContainsAny(n, "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200e\u200f"):
			w.flags.add("name_bidi")
		case strings.ContainsAny(n, "/\\"):
			w.flags.add("name_path")
		}
		if strings.IndexByte(n, 0) >= 0 {
			w.flags.add("name_nul")
		}
		if p.Name == "" {
			p.Name = n
		} else {
			w.flags.add("name_conflict")
			p.OtherNames = append(p.OtherNames, n)
		}
	}
}
