package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"sekimori/internal/mail"
)

// text decodes the text of Parts[index], if it is a text part or force says so, and what is found in it.
func (w *walker) text(index int, force bool) {
	p := &w.msg.Parts[index]
	isHTML := p.Type == "text/html" || p.Type == "application/xhtml+xml" || htmlName(p.Name)
	if !force && !isHTML && !strings.HasPrefix(p.Type, "text/") {
		return
	}
	w.encoding(p.Encoding)
	body := w.raw[p.Start:p.End]
	if p.Type == "text/plain" && p.Encoding != "base64" && p.Encoding != "quoted-printable" {
		body = w.embedded(index, body)
		p = &w.msg.Parts[index]
	}
	limit := min(maxPartText, w.textLeft)
	if isHTML {
		limit = min(maxHTML, w.textLeft)
	}
	if limit <= 0 {
		if len(body) > 0 {
			w.flags.add("text_cut")
		}
		return
	}
	b, bad := decodeTransfer(p.Encoding, body, limit)
	if bad {
		w.flags.add("encoding_bad")
	}
	if len(b) >= limit {
		w.flags.add("text_cut")
		b = wholeRunes(b)
	}
	text := w.charset(p, b, isHTML)
	if isHTML {
		p.HTML = true
		w.html(p, text)
	} else {
		p.Text = text
		w.plainLinks(p, text)
	}
	if len(p.Text) > maxPartText {
		p.Text = string(wholeRunes([]byte(p.Text[:maxPartText])))
	}
	w.textLeft -= max(len(p.Text), len(b))
}

func htmlName(name string) bool {
	if len(name) < 5 {
		return false
	}
	name = strings.ToLower(name[max(0, len(name)-6):])
	return strings.HasSuffix(name, ".html") || strings.HasSuffix(name, ".htm") || strings.HasSuffix(name, ".xhtml")
}

func (w *walker) encoding(name string) {
	switch name {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable", "7-bit", "8-bit", "8bits", "7bits",
		"x-uuencode", "uuencode", "x-uue":
	default:
		w.flags.add("encoding_unknown")
	}
}

// charset decodes b, with "\n" as the line end.
func (w *walker) charset(p *mail.Part, b []byte, isHTML bool) string {
	label := p.Charset
	if label == "" && isHTML {
		label = metaCharset(b)
	}
	switch {
	case labelFamily(label) == utf7Charset:
		w.flags.add("charset_utf7")
	case isWide(label):
		text, ok := toUTF8(label, b)
		if !ok {
			w.flags.add("charset_unknown")
		}
		return strings.ReplaceAll(text, "\r\n", "\n")
	}
	text, ok := toUTF8(label, withoutCR(b))
	if !ok {
		w.flags.add("charset_unknown")
	}
	return text
}

// metaCharset finds the charset that an HTML page names itself.
func metaCharset(b []byte) string {
	const window = 2048
	if len(b) > window {
		b = b[:window]
	}
	const name = "charset="
	i := 0
	for i+len(name) <= len(b) && !bytes.EqualFold(b[i:i+len(name)], []byte(name)) {
		i++
	}
	if i+len(name) > len(b) {
		return ""
	}
	rest := bytes.TrimLeft(b[i+len(name):], "\"' ")
	n := 0
	for n < len(rest) && n < 40 && (rest[n] > ' ' && rest[n] < 0x7F && !bytes.ContainsRune([]byte("\"'/>;"), rune(rest[n]))) {
		n++
	}
	return normalLabel(string(rest[:n]))
}

// withoutCR returns b with CRLF turned into LF; b itself when there is none.
func withoutCR(b []byte) []byte {
	i := bytes.Index(b, []byte("\r\n"))
	if i < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i >= 0 {
		out = append(out, b[:i]...)
		b = b[i+1:]
		next := bytes.IndexByte(b, '\r')
		for next >= 0 && (next+1 >= len(b) || b[next+1] != '\n') {
			out = append(out, b[:next+1]...)
			b = b[next+1:]
			next = bytes.IndexByte(b, '\r')
		}
		i = next
	}
	return append(out, b...)
}

// wholeRunes takes off a UTF-8 character that a limit cut in two.
func wholeRunes(b []byte) []byte {
	for n := 1; n <= 3 && n <= len(b); n++ {
		c := b[len(b)-n]
		if c < 0x80 {
			return b
		}
		if c >= 0xC0 {
			if !utf8.FullRune(b[len(b)-n:]) {
				return b[:len(b)-n]
			}
			return b
		}
	}
	return b
}

// embedded lists files that stand in a plain text as uuencode or yEnc, and returns the text without them.
func (w *walker) embedded(index int, body []byte) []byte {
	if !bytes.Contains(body, []byte("begin ")) {
		return body
	}
	start := w.msg.Parts[index].Start
	depth := w.msg.Parts[index].Depth + 1
	var kept []byte
	rest, n := body, 0
	for n < maxEmbedded && len(w.msg.Parts) < maxParts {
		f, ok := findEmbedded(rest)
		if !ok {
			break
		}
		w.flags.add(strings.TrimPrefix(f.encoding, "x-"))
		off := start + len(body) - len(rest)
		w.msg.Parts = append(w.msg.Parts, mail.Part{
			Type: "application/octet-stream", Encoding: f.encoding, Attached: true,
			Depth: depth, Start: off + f.body, End: off + f.end,
		})
		w.name(&w.msg.Parts[len(w.msg.Parts)-1], []string{DecodeHeader(f.name)})
		kept = append(kept, rest[:min(f.start, maxPartText)]...)
		rest = rest[f.end:]
		n++
	}
	if n == 0 {
		return body
	}
	return append(kept, rest[:min(len(rest), maxPartText)]...)
}

// embeddedFile is a file within a text; the offsets are of its first line, the line behind that, and its end.
type embeddedFile struct {
	start, body, end int
	name, encoding   string
}

// findEmbedded finds the first "begin 644 name" or "=ybegin … name=…" line of b.
func findEmbedded(b []byte) (embeddedFile, bool) {
	for off := 0; ; {
		n := bytes.Index(b[off:], []byte("begin "))
		if n < 0 {
			return embeddedFile{}, false
		}
		at := off + n
		off = at + 6
		f := embeddedFile{start: at, encoding: "x-uuencode"}
		stop := "\nend"
		if at >= 2 && b[at-1] == 'y' && b[at-2] == '=' {
			f.start, f.encoding, stop = at-2, "x-yenc", "\n=yend"
		}
		if f.start > 0 && b[f.start-1] != '\n' {
			continue
		}
		line := b[off:min(off+maxName, len(b))]
		if e := bytes.IndexByte(line, '\n'); e >= 0 {
			line = line[:e]
		}
		f.body = min(off+len(line)+1, len(b))
		if f.name = embeddedName(string(bytes.TrimSpace(line)), f.encoding); f.name == "" {
			continue
		}
		f.end = len(b)
		if e := bytes.Index(b[f.body:], []byte(stop)); e >= 0 {
			f.end = f.body + e + len(stop)
			if e := bytes.IndexByte(b[f.end:], '\n'); e >= 0 {
				f.end += e + 1
			}
		}
		return f, true
	}
}

func embeddedName(line, encoding string) string {
	if encoding == "x-yenc" {
		_, name, _ := strings.Cut(line, "name=")
		return name
	}
	mode, name, _ := strings.Cut(line, " ")
	if len(mode) < 3 || len(mode) > 4 || strings.Trim(mode, "01234567") != "" {
		return ""
	}
	return strings.TrimSpace(name)
}
