package text

import (
	"fmt"
	"strings"
	"unicode"
)

// Reveal makes what came from a mail fit to be shown on one line and lets it be seen what was hidden in it: controls,
// characters that change the direction of reading, and invisible ones stand as their number, such as [U+202E], a run of
// them once with how many they are. Broken UTF-8 becomes U+FFFD, and more than n characters end in "…".
func Reveal(s string, n int) string { return reveal(s, n, false) }

// RevealLines is Reveal for a text of several lines: line ends and tabs stay.
func RevealLines(s string, n int) string { return reveal(s, n, true) }

func reveal(s string, n int, lines bool) string {
	var b strings.Builder
	rs := revealer{out: &b}
	count := 0
	for _, r := range strings.ReplaceAll(s, "\r\n", "\n") {
		if count++; count > n {
			rs.flush()
			b.WriteString("…")
			return b.String()
		}
		switch {
		case lines && (r == '\n' || r == '\t'):
			rs.plain(r)
		case r == '\t', r == '\n':
			rs.plain(' ')
		case r == 0x200D || r == 0xFE0F || r == 0xFE0E:
			// Joiners and variants make emoji and letters; alone they are nothing to see and nothing to fear.
			if rs.last > 0x20 && rs.hidden == 0 {
				rs.plain(r)
			}
		case Hidden(r):
			rs.hide(r)
		default:
			rs.plain(r)
		}
	}
	rs.flush()
	return b.String()
}

// Hidden reports whether a character cannot be seen and changes how others are read: a control, a change of direction, an
// invisible or filling character, a tag.
func Hidden(r rune) bool {
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == 0x2028, r == 0x2029:
		return true
	case r == 0x034F, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x3164, r == 0xFFA0, r >= 0xE0000 && r <= 0xE0FFF:
		return true
	}
	return false
}

type revealer struct {
	out    *strings.Builder
	last   rune // written, or 0 when hidden
	hidden rune // first of the run
	run    int
}

func (v *revealer) plain(r rune) {
	v.flush()
	v.out.WriteRune(r)
	v.last = r
}

func (v *revealer) hide(r rune) {
	if v.run == 0 {
		v.hidden = r
	}
	v.run++
}

func (v *revealer) flush() {
	switch {
	case v.run == 0:
		return
	case v.run == 1:
		fmt.Fprintf(v.out, "[U+%04X]", v.hidden)
	default:
		fmt.Fprintf(v.out, "[U+%04X×%d]", v.hidden, v.run)
	}
	v.hidden, v.run, v.last = 0, 0, 0
}
