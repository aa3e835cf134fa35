package mime

import (
	"bytes"

	"golang.org/x/net/html/atom"
)

// looks gathers the attributes of one element that say whether it is displayed. The slices are those of the tokenizer.
type looks struct {
	sheet                      *sheet
	own                        style // of the older attributes
	css, class, id, alt        []byte
	styled, tinyWide, tinyHigh bool
}

func (l *looks) attribute(tag atom.Atom, key string, v []byte) {
	switch key {
	case "hidden":
		l.own.display = notShown
	case "style":
		if !l.styled {
			l.css, l.styled = v, true
		}
	case "class":
		l.class = v
	case "id":
		l.id = v
	case "bgcolor":
		if l.own.back = attributeColor(v); !l.own.back.known {
			l.own.unknownBack = true
		}
	case "background":
		l.own.unknownBack = true
	case "color", "text":
		if key == "color" && tag == atom.Font || key == "text" && tag == atom.Body {
			l.own.color = attributeColor(v)
			l.own.unknownColor = !l.own.color.known
		}
	case "alt":
		l.alt = v
	case "width":
		l.tinyWide = tiny(v)
	case "height":
		l.tinyHigh = tiny(v)
	}
}

func tiny(v []byte) bool {
	v = bytes.TrimSuffix(bytes.TrimSpace(v), []byte("px"))
	return len(v) == 1 && v[0] <= '2'
}

// dot reports whether it is a picture that nobody sees, and whose text is not shown either.
func (l *looks) dot() bool { return l.tinyWide && l.tinyHigh }

// style is what all attributes say together.
func (l *looks) style(tag atom.Atom) style {
	s := l.own
	forced := l.sheet.style(&s, '.', l.class)
	forced = l.sheet.style(&s, '#', l.id) || forced
	s.read(l.css)
	if forced {
		return style{unknownBack: true, unknownColor: true, size: "16px"}
	}
	s.unknownBack = s.unknownBack || l.sheet.paint
	s.block = s.block || s.laid == 0 && tag != atom.Table && breaksParagraph(tag)
	return s
}
