package front

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"mime"
	"slices"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// classStripped is that of the whole mail, held beside a copy from which a rule has taken something out.
const classStripped = "stripped"

// contentFor is what is delivered under a verdict: the mail as it came, or without the parts that a rule takes out. That is the one
// exception to the same octets, and said in the header; signatures of the mail do not hold any more.
func (d *disposal) contentFor(v *mail.Verdict) mail.Content {
	if len(v.Strip) == 0 || v.Action >= mail.Hold {
		return d.content
	}
	key := fmt.Sprint(v.Strip)
	if c, ok := d.stripped[key]; ok {
		return c
	}
	if d.stripped == nil {
		d.stripped = map[string]mail.Content{}
	}
	c := strip(d.tx.message, d.content, v.Strip)
	d.stripped[key] = c
	return c
}

// span is octets of the message with what stands in their place.
type span struct {
	from, to int
	with     []byte
}

// strip puts a note in the place of parts. content are pieces of m.Raw; a part within another that is taken out goes with it.
func strip(m *mail.Message, content mail.Content, parts []int) mail.Content {
	var spans []span
	for _, i := range parts {
		if i <= 0 || i >= len(m.Parts) {
			continue // the mail itself is no part of it
		}
		p := &m.Parts[i]
		if p.Head <= 0 || p.End < p.Start || p.Start < p.Head || p.End > len(m.Raw) {
			continue
		}
		spans = append(spans, span{p.Head, p.End, note(p)})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var out mail.Content
	at := 0 // offset in Raw of the piece at hand
	for _, piece := range content {
		start := offsetIn(m.Raw, piece, at)
		at = start + len(piece)
		pos := start
		for _, s := range spans {
			if s.from < pos || s.from >= at {
				continue // before this piece, within the span before, or behind
			}
			out = append(out, m.Raw[pos:s.from], s.with)
			pos = min(s.to, at)
		}
		if pos < at {
			out = append(out, m.Raw[pos:at])
		}
	}
	return out
}

// offsetIn finds where in raw a piece of it begins, not before from.
func offsetIn(raw, piece []byte, from int) int {
	if len(piece) == 0 {
		return from
	}
	// A piece shares the end of the capacity of the array that it is cut from.
	if off := cap(raw) - cap(piece); off >= from && off+len(piece) <= len(raw) && &raw[off] == &piece[0] {
		return off
	}
	return from + max(bytes.Index(raw[from:], piece), 0)
}

// note is the part that says what was taken out.
func note(p *mail.Part) []byte {
	name := p.Name
	if name == "" {
		name = p.Type
	}
	e := []mail.Evidence{{Key: "name", Value: name}, {Key: "type", Value: p.Type}}
	words := text.Fill("strip.note", text.Ja, e...) + "\r\n\r\n" + text.Fill("strip.note", text.En, e...) + "\r\n"
	var b bytes.Buffer
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: inline\r\n")
	b.WriteString(fold("X-Sekimori-Stripped", plain(name, maxValue)+" ("+plain(p.Type, maxValue)+")"))
	b.WriteString("\r\n")
	enc := base64.StdEncoding.EncodeToString([]byte(words))
	for len(enc) > 76 {
		b.WriteString(enc[:76] + "\r\n")
		enc = enc[76:]
	}
	b.WriteString(enc)
	return b.Bytes()
}

// added are the fields that rules add, and the one that says what was taken out.
func (t trace) added(v *mail.Verdict) string {
	if v.Action >= mail.Hold {
		return ""
	}
	var b strings.Builder
	for _, f := range v.Header {
		b.WriteString(fold(f.Name, encoded(f.Value)))
	}
	if len(v.Strip) > 0 && t.message != nil {
		var names []string
		for _, i := range v.Strip {
			if i < len(t.message.Parts) {
				p := &t.message.Parts[i]
				names = append(names, plain(p.Name, maxValue)+" ("+plain(p.Type, maxValue)+")")
			}
		}
		b.WriteString(fold("X-Sekimori-Stripped", strings.Join(names, ", ")))
	}
	return b.String()
}

// encoded writes a value in ASCII (RFC 2047). It holds no line ends: rules saw to that, and fold makes its own.
func encoded(s string) string {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return mime.BEncoding.Encode("utf-8", s)
		}
	}
	return s
}

// holdOriginals holds the whole mail for those whose copy something is taken out of, where a rule wants that. Their mail is
// delivered all the same, which is their end state.
func (d *disposal) holdOriginals(ctx context.Context) error {
	ends, kept := slices.Clone(d.tx.ends), d.kept
	defer func() { d.tx.ends, d.kept = ends, kept }()
	for _, b := range d.batches(func(v mail.Verdict) bool {
		return v.Action < mail.Hold && !v.Discard && len(v.Strip) > 0 && v.Original > 0
	}) {
		b.class, b.original = classStripped, b.verdict.Original
		b.verdict.Strip, b.verdict.Header = nil, nil
		b.trace = d.trace.fields(b.verdict)
		if err := d.hold(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
