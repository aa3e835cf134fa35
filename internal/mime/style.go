package mime

import (
	"bytes"
	"strconv"
	"strings"
)

// rgb is a colour, if it is known.
type rgb struct {
	r, g, b uint8
	known   bool
}

// near reports whether text of one colour on the other cannot be seen.
func near(a, b rgb) bool {
	const least = 12
	d := func(x, y uint8) bool { return max(x, y)-min(x, y) <= least }
	return a.known && b.known && d(a.r, b.r) && d(a.g, b.g) && d(a.b, b.b)
}

const (
	shown = 1 + iota
	notShown
)

// style is what an element says of itself about whether its text is displayed. The zero style says nothing.
type style struct {
	display, visibility int // shown or notShown
	size                string
	color, back         rgb
	unknownColor        bool
	unknownBack         bool  // a picture, or what is not understood
	faint, clear        bool  // opacity, or a colour that is transparent
	flat, far           uint8 // bits of properties: without height or width; moved out of the page
	clipped             bool  // what sticks out is cut off
	padded              bool  // there is room all the same
	laid                int   // as display says: 1 as a block, -1 otherwise
	block               bool
	placed              bool // its place can be set
	cut                 bool // clip
	lost                bool // more than is followed here
}

// Bits of style.flat and style.far.
const (
	bitHeight = 1 << iota
	bitMaxHeight
	bitWidth
	bitMaxWidth
	bitLeft
	bitTop
	bitMargin
)

// apply gives the box of an element within another.
func (s *style) apply(in box) box {
	block := s.block || s.laid > 0 || s.placed
	in.none = in.none || s.display == notShown || s.faint || s.clear || block && s.flat != 0 && s.clipped && !s.padded ||
		s.far&bitMargin != 0 || s.placed && (s.far != 0 || s.cut)
	switch s.visibility {
	case shown:
		in.see = true
	case notShown:
		in.see = false
	}
	if s.size != "" && s.size != "inherit" {
		in.size = fontSize(s.size, in.size)
	}
	if s.unknownColor {
		in.color = rgb{}
	} else if s.color.known {
		in.color = s.color
	}
	if s.unknownBack {
		in.back = rgb{}
	} else if s.back.known {
		in.back = s.back
	}
	return in
}

// maxStyle is how many octets of one element's style are read.
const maxStyle = 4 << 10

// read adds the declarations of a style attribute (CSS Style Attributes). What is not understood changes nothing.
func (s *style) read(css []byte) {
	if len(css) > maxStyle || bytes.ContainsAny(css, "\\{}") {
		*s = style{unknownBack: true, unknownColor: true, size: "16px", lost: true} // to be read by those who know all of CSS
		return
	}
	text := uncommented(strings.ToLower(string(css)))
	var weak, strong []string
	for text != "" {
		var d string
		d, text = declaration(text)
		if rest, ok := strings.CutSuffix(strings.TrimSpace(d), "!important"); ok {
			strong = append(strong, rest)
		} else {
			weak = append(weak, d)
		}
	}
	for _, d := range append(weak, strong...) {
		name, value, _ := strings.Cut(d, ":")
		s.set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
}

// declaration cuts off the first declaration; a semicolon in parentheses or quotes does not end it.
func declaration(text string) (d, rest string) {
	depth, quote := 0, byte(0)
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth = max(0, depth-1)
		case c == ';' && depth == 0:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func (s *style) set(name, value string) {
	switch name {
	case "display":
		s.display, s.laid = either(value == "none"), -1
		if value == "block" || value == "inline-block" {
			s.laid = 1
		}
	case "visibility":
		s.visibility = either(value == "hidden" || value == "collapse")
	case "opacity":
		n, err := strconv.ParseFloat(value, 64)
		s.faint = err == nil && n < 0.05
	case "font-size", "font":
		s.font(name, value)
	case "color":
		s.color = parseColor(value)
		s.clear, s.unknownColor = value == "transparent", !s.color.known
	case "background", "background-color", "background-image":
		s.background(value)
	case "box-shadow":
		s.unknownBack = true
	case "height", "max-height", "width", "max-width", "min-height", "min-width", "padding", "padding-top", "padding-bottom", "padding-left", "padding-right",
		"overflow", "overflow-x", "overflow-y":
		s.room(name, value)
	case "left", "top", "margin-left", "margin-top", "position", "clip":
		s.place(name, value)
	case "all", "text-shadow", "-webkit-text-fill-color", "-webkit-text-stroke", "filter", "mix-blend-mode":
		s.lost = true
	}
}

func (s *style) font(name, value string) {
	if name == "font-size" {
		s.size = value
		return
	}
	s.size = "16px"
	for _, w := range strings.Fields(value) {
		if w, _, _ = strings.Cut(w, "/"); w != "" && (w[0] >= '0' && w[0] <= '9' || w[0] == '.') && !isWeight(w) {
			s.size = w
		}
	}
}

func (s *style) room(name, value string) {
	n, ok := pixels(value, 16)
	bit := uint8(0)
	switch name {
	case "overflow", "overflow-x", "overflow-y":
		s.clipped = value == "hidden" || value == "clip"
		return
	case "height":
		bit = bitHeight
	case "max-height":
		bit = bitMaxHeight
	case "width":
		bit = bitWidth
	case "max-width":
		bit = bitMaxWidth
	default:
		s.padded = s.padded || !ok || n > 0
		return
	}
	if s.flat &^= bit; ok && n <= 1 && (n == 0 || value[len(value)-1] != '%') {
		s.flat |= bit
	}
}

func (s *style) place(name, value string) {
	bit := uint8(bitLeft)
	switch name {
	case "position":
		s.placed = value == "absolute" || value == "fixed"
		return
	case "clip":
		value = strings.Join(strings.Fields(value), "")
		s.cut = value == "rect(0,0,0,0)" || value == "rect(0000)" || value == "rect(0px,0px,0px,0px)" || value == "rect(1px,1px,1px,1px)"
		return
	case "top":
		bit = bitTop
	case "margin-left", "margin-top":
		bit = bitMargin
	}
	n, ok := pixels(value, 16)
	if s.far &^= bit; ok && n <= -500 {
		s.far |= bit
	}
}

func isWeight(w string) bool { return len(w) == 3 && strings.HasSuffix(w, "00") }

func either(not bool) int {
	if not {
		return notShown
	}
	return shown
}

func (s *style) background(value string) {
	switch value {
	case "none", "transparent", "inherit", "initial", "unset", "":
		return
	}
	for w := range strings.FieldsSeq(value) {
		if c := parseColor(w); c.known {
			s.back, s.unknownBack = c, false
			if !strings.ContainsRune(value, '(') {
				return
			}
		}
	}
	if !s.back.known || strings.Contains(value, "url(") || strings.Contains(value, "gradient") {
		s.unknownBack = true
	}
}

// pixels reads a length; em is what 1em is. A number alone is one only when it is 0, as CSS has it.
func pixels(value string, em float64) (float64, bool) {
	n := len(value)
	for n > 0 && (value[n-1] >= 'a' && value[n-1] <= 'z' || value[n-1] == '%') {
		n--
	}
	f, err := strconv.ParseFloat(value[:n], 64)
	if err != nil {
		return 0, false
	}
	switch value[n:] {
	case "px":
		return f, true
	case "pt":
		return f * 4 / 3, true
	case "em", "rem", "ex", "ch":
		return f * em, true
	case "%", "vw", "vh":
		return f * em / 100, true
	case "in":
		return f * 96, true
	case "cm":
		return f * 38, true
	case "mm":
		return f * 3.8, true
	case "":
		return 0, f == 0
	}
	return 0, false
}

// fontSize is in pixels; a size that is not understood is one that can be read.
func fontSize(value string, around float64) float64 {
	if strings.HasSuffix(value, "rem") {
		around = 16
	}
	n, ok := pixels(value, around)
	if !ok || n < 0 {
		return 16
	}
	return n
}
