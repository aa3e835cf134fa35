package mime

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"sekimori/internal/mail"
)

// html turns HTML into the text that is shown, with its links, and the tags and attributes that it uses. It reads
// tokens, not a tree, so that nesting costs nothing.
func (w *walker) html(p *mail.Part, source string) {
	h := htmlReader{w: w, p: p, tags: make(map[string]struct{}, 32), out: make([]byte, 0, len(source)/3), boxes: newBoxes(), sheet: sheet{spent: w.styled}}
	z := html.NewTokenizer(strings.NewReader(source))
	for len(h.out) < maxPartText {
		switch z.Next() {
		case html.ErrorToken:
			h.end()
			return
		case html.TextToken:
			switch {
			case h.style:
				h.late = h.late || h.unsure
				h.sheet.read(string(z.Text()))
				h.boxes.lost = h.boxes.lost || h.sheet.doubt
			case h.skip:
			case h.boxes.hidden():
				h.unshown(z.Text())
			default:
				h.text(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			h.open(z)
		case html.EndTagToken:
			name, _ := z.TagName()
			h.close(atom.Lookup(name))
		}
	}
	w.flags.add("text_cut")
	h.end()
}

// end fills in the texts. A style element behind hidden text may show it: then it counts as shown.
func (h *htmlReader) end() {
	h.endAnchor()
	h.w.styled = h.sheet.spent
	if h.late {
		h.space('\n')
		h.out = append(h.out, h.hidden...)
		h.hidden = nil
	}
	h.p.Text = strings.TrimSpace(strings.ToValidUTF8(string(h.out), "\uFFFD"))
	h.p.Hidden = strings.TrimSpace(strings.ToValidUTF8(string(wholeRunes(h.hidden)), "\uFFFD"))
}

// unshown keeps text that is not displayed. Links in it count all the same.
func (h *htmlReader) unshown(b []byte) {
	if !h.anchor {
		h.w.findLinks(h.p, b)
	}
	h.unsure = h.unsure || h.boxes.top().tag != atom.Title
	h.hidden = append(h.hidden, b[:min(len(b), max(0, maxHidden-len(h.hidden)))]...)
	if len(h.hidden) < maxHidden {
		h.hidden = append(h.hidden, ' ')
	}
}

type htmlReader struct {
	w      *walker
	p      *mail.Part
	out    []byte
	tags   map[string]struct{}
	key    []byte
	skip   bool   // within script or style
	style  bool   // within style
	unsure bool   // there is hidden text that a style element may yet show
	late   bool   // one came after it
	hidden []byte // text that is not displayed
	boxes  boxes
	sheet  sheet
	href   string // of the open anchor
	anchor bool
	start  int // of the anchor's text in out
}

// text appends b with runs of white space as one space.
func (h *htmlReader) text(b []byte) {
	from := len(h.out)
	for _, c := range b {
		if c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' {
			h.space(' ')
			continue
		}
		h.out = append(h.out, c)
	}
	if !h.anchor && len(h.out) > from {
		h.w.findLinks(h.p, h.out[from:])
	}
}

// space appends white space unless there is some already; a line end wins over a space.
func (h *htmlReader) space(c byte) {
	n := len(h.out)
	switch {
	case n == 0:
	case h.out[n-1] == '\n':
	case h.out[n-1] == ' ':
		h.out[n-1] = max(' ', c)
		if c == '\n' {
			h.out[n-1] = c
		}
	default:
		h.out = append(h.out, c)
	}
}

const maxAttributes = 50

func (h *htmlReader) open(z *html.Tokenizer) {
	name, more := z.TagName()
	tag := atom.Lookup(name)
	h.note(name, nil)
	h.breaks(tag)
	h.skip, h.style = tag == atom.Script || tag == atom.Style, tag == atom.Style
	if tag == atom.A || tag == atom.Area {
		h.endAnchor()
	}
	key := append([]byte(nil), name...)
	look := looks{sheet: &h.sheet}
	for n := 0; more && n < maxAttributes; n++ {
		var k, v []byte
		k, v, more = z.TagAttr()
		h.note(key, k)
		look.attribute(tag, string(k), v)
		h.attribute(tag, string(k), v)
	}
	if look.alt != nil && (tag == atom.Img || tag == atom.Area) {
		h.picture(&look, tag)
	}
	h.boxes.push(tag, look.style(tag))
}

// picture takes the text that a picture carries, which is shown in its place, unless nobody sees the picture.
func (h *htmlReader) picture(look *looks, tag atom.Atom) {
	alt := look.alt[:min(len(look.alt), maxAnchor)]
	s := look.style(tag)
	if in := s.apply(*h.boxes.top()); look.dot() || !h.boxes.lost && (h.boxes.hidden() || in.none || !in.see) {
		h.unshown(alt)
		return
	}
	h.space(' ')
	h.out = append(h.out, alt...)
	h.space(' ')
}

// attribute takes links.
func (h *htmlReader) attribute(tag atom.Atom, key string, v []byte) {
	switch {
	case key == "href" && tag == atom.A:
		h.anchor, h.href, h.start = true, cutURL(v), len(h.out)
	case key == "href" && tag == atom.Area, key == "action" && tag == atom.Form,
		key == "src" && (tag == atom.Img || tag == atom.Iframe || tag == atom.Frame || tag == atom.Script),
		key == "background" && (tag == atom.Body || tag == atom.Table || tag == atom.Td):
		h.w.link(h.p, cutURL(v), "")
	}
}

func (h *htmlReader) close(tag atom.Atom) {
	switch tag {
	case atom.A:
		h.endAnchor()
	case atom.Script, atom.Style:
		h.skip, h.style = false, false
	default:
		h.breaks(tag)
	}
	if tag != atom.Script && tag != atom.Style {
		h.boxes.pop(tag)
	}
}

// breaks appends the white space that a block or cell makes. Other tags make none: v<b></b>iagra is one word.
func (h *htmlReader) breaks(tag atom.Atom) {
	switch tag {
	case atom.Br, atom.P, atom.Div, atom.Tr, atom.Table, atom.Li, atom.Ul, atom.Ol, atom.H1, atom.H2, atom.H3, atom.H4,
		atom.H5, atom.H6, atom.Hr, atom.Blockquote, atom.Pre, atom.Center, atom.Form, atom.Title, atom.Body, atom.Section,
		atom.Article, atom.Header, atom.Footer, atom.Dd, atom.Dt:
		h.space('\n')
	case atom.Td, atom.Th, atom.Option, atom.Button:
		h.space(' ')
	}
}

func (h *htmlReader) endAnchor() {
	if !h.anchor {
		return
	}
	h.anchor = false
	text := h.out[min(h.start, len(h.out)):]
	if len(text) > maxAnchor {
		text = wholeRunes(text[:maxAnchor])
	}
	h.w.link(h.p, h.href, strings.TrimSpace(strings.ToValidUTF8(string(text), "\uFFFD")))
}

// note records a tag, or tag.attribute.
func (h *htmlReader) note(tag, attr []byte) {
	if len(h.tags) >= maxTags || len(tag)+len(attr) > 40 {
		return
	}
	h.key = append(h.key[:0], tag...)
	if attr != nil {
		h.key = append(append(h.key, '.'), attr...)
	}
	if _, ok := h.tags[string(h.key)]; ok {
		return
	}
	s := strings.ToValidUTF8(string(h.key), "\uFFFD")
	h.tags[string(h.key)] = struct{}{}
	h.p.Tags = append(h.p.Tags, s)
}

// cutURL takes white space out of a URL, as browsers do, and cuts it to its limit.
func cutURL(v []byte) string {
	if len(v) > maxLinkLen {
		v = wholeRunes(v[:maxLinkLen])
	}
	s := strings.ToValidUTF8(string(v), "\uFFFD")
	if strings.ContainsAny(s, "\r\n\t ") {
		s = strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(s))
	}
	return s
}
