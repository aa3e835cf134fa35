package mime

import (
	"golang.org/x/net/html/atom"
)

// maxOpen is how deep elements are followed. Below that all counts as displayed.
const maxOpen = 200

// box is an open element, and what it and those around it do to the text in it.
type box struct {
	tag         atom.Atom
	none        bool // not displayed, with all that is in it
	see         bool // visible; an element within may be again
	size        float64
	color, back rgb
}

// boxes follows which text of an HTML page is displayed. It reads tokens as they come, and where browsers mend what is malformed in ways
// that it does not follow, text counts as displayed: a sender must not be able to show what counts as hidden.
type boxes struct {
	open []box
	lost bool // from here on all counts as displayed
	body box
}

func newBoxes() boxes {
	return boxes{body: box{see: true, size: 16, color: rgb{0, 0, 0, true}, back: rgb{255, 255, 255, true}}}
}

func (b *boxes) top() *box {
	if n := len(b.open); n > 0 {
		return &b.open[n-1]
	}
	return &b.body
}

// hidden reports whether text that comes now is not displayed.
func (b *boxes) hidden() bool {
	if b.lost {
		return false
	}
	at := b.top()
	if inTable(at.tag) {
		at = b.aroundTable()
	}
	return at.none || !at.see || at.size <= 1.5 || near(at.color, at.back)
}

// aroundTable is what holds the innermost table: text and elements that stand between its cells are displayed before it.
func (b *boxes) aroundTable() *box {
	for i := len(b.open) - 1; i >= 0; i-- {
		if b.open[i].tag == atom.Table {
			if i > 0 {
				return &b.open[i-1]
			}
			break
		}
	}
	return &b.body
}

// inTable tells elements in which only the structure of a table may stand.
func inTable(tag atom.Atom) bool {
	switch tag {
	case atom.Table, atom.Tbody, atom.Thead, atom.Tfoot, atom.Tr, atom.Colgroup:
		return true
	}
	return false
}

func isCell(tag atom.Atom) bool { return tag == atom.Td || tag == atom.Th || tag == atom.Caption }

func isVoid(tag atom.Atom) bool {
	switch tag {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Image, atom.Input, atom.Keygen, atom.Link, atom.Meta, atom.Param,
		atom.Source, atom.Track, atom.Wbr, atom.Frame, atom.Html, atom.Head, atom.Script, atom.Style:
		return true
	}
	return false
}

// push opens an element with the style that it has by itself.
func (b *boxes) push(tag atom.Atom, s style) {
	b.lost = b.lost || s.lost
	if b.lost || isVoid(tag) {
		return
	}
	if tag == atom.Body {
		b.body = s.apply(b.body)
		return
	}
	b.ends(tag)
	around := b.top()
	switch {
	case (isCell(tag) || inTable(tag) && tag != atom.Table) && b.find(atom.Table, 0) < 0:
		return // no browser opens a cell outside of a table
	case inTable(around.tag) && !isCell(tag) && !inTable(tag):
		around = b.aroundTable()
	}
	in := *around
	switch tag {
	case atom.Table:
		in.size = b.body.size // browsers let sizes end there in pages without a doctype
	case atom.A:
		in.color = rgb{}
	case atom.Svg, atom.Math, atom.Select, atom.Object, atom.Button, atom.Option, atom.Optgroup:
		s = style{} // what is in them may end up outside
	case atom.Title, atom.Template, atom.Iframe, atom.Noembed, atom.Noframes:
		in.none = in.none || s.display != shown
	}
	in = s.apply(in)
	in.tag = tag
	if len(b.open) == maxOpen {
		b.lost = true
		return
	}
	b.open = append(b.open, in)
}

// find returns the innermost open element of that tag, not looking beyond the barrier; -1 for none.
func (b *boxes) find(tag, barrier atom.Atom) int {
	for i := len(b.open) - 1; i >= 0; i-- {
		switch t := b.open[i].tag; {
		case t == tag:
			return i
		case barrier == atom.Td && (isCell(t) || t == atom.Table || t == atom.Template || t == atom.Object), t == barrier && barrier != 0:
			return -1
		}
	}
	return -1
}

// ends closes what the start of an element ends without a tag of its own (HTML section 13.1.2.4).
func (b *boxes) ends(tag atom.Atom) {
	switch tag {
	case atom.Li, atom.Dd, atom.Dt:
		for _, t := range [...]atom.Atom{atom.Li, atom.Dd, atom.Dt} {
			b.cut(b.find(t, atom.Td))
		}
	case atom.Td, atom.Th, atom.Tr, atom.Tbody, atom.Thead, atom.Tfoot, atom.Caption, atom.Colgroup:
		// All that is open in the table up to what may hold the new one.
		i := len(b.open) - 1
		for i >= 0 && b.open[i].tag != atom.Table {
			t := b.open[i].tag
			if t == atom.Tr && isCell(tag) || (t == atom.Tbody || t == atom.Thead || t == atom.Tfoot) && (tag == atom.Tr || isCell(tag)) {
				break
			}
			i--
		}
		if i >= 0 {
			b.cut(i + 1)
		}
		return
	case atom.A, atom.Nobr:
		if i := b.find(tag, atom.Td); i >= 0 {
			if i != len(b.open)-1 {
				b.lost = true
			}
			b.cut(i)
		}
		return
	}
	if breaksParagraph(tag) {
		b.cut(b.find(atom.P, atom.Td))
		switch b.top().tag {
		case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
			if isHeading(tag) {
				b.cut(len(b.open) - 1)
			}
		}
	}
}

func isHeading(tag atom.Atom) bool {
	switch tag {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return true
	}
	return false
}

func breaksParagraph(tag atom.Atom) bool {
	switch tag {
	case atom.P, atom.Div, atom.Table, atom.Ul, atom.Ol, atom.Dl, atom.Li, atom.Dd, atom.Dt, atom.Hr, atom.Blockquote, atom.Pre, atom.Listing, atom.Center, atom.Form,
		atom.Section, atom.Article, atom.Header, atom.Footer, atom.Nav, atom.Main, atom.Aside, atom.Address, atom.Fieldset, atom.Details, atom.Summary,
		atom.Dir, atom.Menu, atom.Figure, atom.Figcaption, atom.Hgroup, atom.Dialog, atom.Search, atom.Plaintext, atom.Xmp:
		return true
	}
	return isHeading(tag)
}

// pop closes an element and what is open in it. Of the end tags that close nothing there is nothing to do.
func (b *boxes) pop(tag atom.Atom) {
	barrier := atom.Td
	switch {
	case tag == atom.Table || isCell(tag) || inTable(tag):
		barrier = atom.Table
	case tag == atom.Body || tag == atom.Html || isVoid(tag):
		return
	}
	b.cut(b.find(tag, barrier))
}

func (b *boxes) cut(i int) {
	if i >= 0 && i < len(b.open) {
		b.open = b.open[:i]
	}
}
