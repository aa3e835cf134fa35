package bayes

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Kinds of what is in a text only to keep a program from reading what a person reads. Each is a token of its own.
const (
	zeroWidth  = "zero-width"
	softHyphen = "soft-hyphen"
	bidi       = "bidi"
	selectors  = "selector"
	tagged     = "tag"
)

// invisible tells characters that are not drawn; "" for all others.
func invisible(r rune) string {
	switch {
	case r < 0xAD:
		return ""
	case r == 0xAD:
		return softHyphen
	case r >= 0x200E && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x206F, r == 0x061C:
		return bidi
	case r >= 0x200B && r <= 0x200D, r >= 0x2060 && r <= 0x2065, r == 0xFEFF, r == 0x034F, r == 0x115F, r == 0x1160, r == 0x180E, r == 0x3164, r == 0xFFA0,
		r >= 0x1D173 && r <= 0x1D17A:
		return zeroWidth
	case r >= 0xFE00 && r <= 0xFE0F, r >= 0x180B && r <= 0x180F, r >= 0xE0100 && r <= 0xE01EF:
		return selectors
	case r >= 0xE0000 && r <= 0xE007F:
		return tagged
	}
	return ""
}

// joining are scripts in which invisible characters say how letters are joined, or where a word ends: Hebrew and Arabic to Mongolian,
// without the letters of Hangul.
func joining(r rune) bool { return r >= 0x0590 && r < 0x1900 && (r < 0x1100 || r > 0x11FF) }

const blackFlag = 0x1F3F4 // followed by tags it is the flag of a country

// fold takes a text to the form in which it is compared: without what is not drawn, with NFKC, and with one sign for each that has several
// codes. What was in the way becomes tokens.
func (c *collector) fold(s string) string {
	if isASCII(s) {
		return s
	}
	b := c.folded[:0]
	last := rune(' ')             // the last that is drawn
	base, marks := len(b), 0      // where the marks on it begin, and how many there are
	hidden, from := "", rune(' ') // what is not drawn since the last, and behind which letter it began
	normal := true                // all that was copied stays as it is with NFKC
	for i := 0; i < len(s); {
		if hidden == "" {
			if n := simple(s[i:]); n > 0 {
				b = append(b, s[i:i+n]...)
				i += n
				last, _ = utf8.DecodeLastRune(b)
				marks, base = 0, len(b)
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if kind := invisible(r); kind != "" {
			c.unseen(kind, r, last)
			if hidden == "" {
				hidden, from = kind, last
			}
			if joining(last) && r == 0x200B {
				b = append(b, ' ')
			}
			continue
		}
		if isMark(r) {
			marks++
			switch {
			case joining(last) || joining(r):
			case r >= 0x334 && r <= 0x338:
				c.add("look:", "overlay")
				continue
			case marks > 2:
				c.add("look:", "marks")
				b = b[:base]
				continue
			}
			b = utf8.AppendRune(b, r)
			normal = false
			continue
		}
		if hidden != "" {
			c.within(hidden, from, r)
			hidden = ""
		}
		if r >= 0x24B6 && styled(r) && !isEmoji(r, s[i:]) {
			c.add("look:", "styled")
		}
		last, marks = r, 0
		r = plain(r, s[i:])
		normal = normal && settled(r)
		b = utf8.AppendRune(b, r)
		base = len(b)
	}
	c.folded = b
	if normal || norm.NFKC.IsNormal(b) {
		if string(b) == s {
			return s
		}
		return string(b)
	}
	c.normal = norm.NFKC.Append(c.normal[:0], b...)
	return string(c.normal)
}

// simple is how many octets s begins with that fold leaves as they are: ASCII without the backslash, kana and kanji.
func simple(s string) int {
	for i := 0; ; {
		switch {
		case i < len(s) && s[i] < utf8.RuneSelf && s[i] != '\\':
			i++
		case i+2 < len(s) && s[i] >= 0xE3 && s[i] <= 0xE9 && s[i+1]&0xC0 == 0x80 && s[i+2]&0xC0 == 0x80 &&
			japanese(rune(s[i]&0xF)<<12|rune(s[i+1]&0x3F)<<6|rune(s[i+2]&0x3F)):
			i += 3
		default:
			return i
		}
	}
}

// japanese are kana, kanji and the punctuation between them.
func japanese(r rune) bool {
	return r >= 0x3001 && r <= 0x3011 || r >= 0x3041 && r <= 0x3096 || r >= 0x30A1 && r <= 0x30FE || r >= 0x3400 && r <= 0x9FFF
}

// settled are characters of which each by itself, and every text of them, is in the form NFKC already: others are asked for, which takes
// longer.
func settled(r rune) bool {
	switch {
	case r < utf8.RuneSelf, r >= 0xC0 && r <= 0x131, r >= 0x410 && r <= 0x45F, japanese(r), r >= 0xAC00 && r <= 0xD7A3:
		return true
	}
	switch r {
	case '©', '«', '®', '°', '»', '¥', '–', '—', '‘', '“', '”', '•', '€':
		return true
	}
	return false
}

// plain gives one sign for hyphens, apostrophes and the yen, which stands in the place of the backslash in Japanese charsets.
func plain(r rune, rest string) rune {
	switch r {
	case '\u2010', '\u2011', '\u2212':
		return '-'
	case '\u2019', '\u02BC':
		return '\''
	case '\\':
		if rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return '¥'
		}
	}
	return r
}

// isMark tells signs that stand on the letter before them. There are none among kana and kanji.
func isMark(r rune) bool {
	return r >= 0x300 && (r < 0x3041 || r > 0x9FFF || r >= 0x3097 && r < 0x30A0) && unicode.Is(unicode.Mn, r)
}

// styled tells letters of formulas and letters in circles and squares, which NFKC takes to the usual ones.
func styled(r rune) bool {
	return r <= 0x24E9 || r >= 0x1D400 && r <= 0x1D7FF || r >= 0x1F110 && r <= 0x1F18F
}

// isEmoji tells the signs among these that are emoji: blood types, the M of a metro, the P of a car park.
func isEmoji(r rune, rest string) bool {
	switch r {
	case 0x1F18E:
		return true
	case 0x24C2, 0x1F170, 0x1F171, 0x1F17E, 0x1F17F:
		return strings.HasPrefix(rest, "\uFE0F")
	}
	return false
}

// unseen adds a token for what has no place in any text.
func (c *collector) unseen(kind string, r, last rune) {
	switch {
	case kind == tagged && last != blackFlag, r == 0x202D || r == 0x202E:
		c.add("look:", kind)
	}
}

// within adds a token for what stands between two letters of a word.
func (c *collector) within(kind string, before, behind rune) {
	if !unicode.IsLetter(before) || !unicode.IsLetter(behind) || joining(before) || joining(behind) {
		return
	}
	if kind == selectors && isCJK(before) {
		return // the forms of a kanji
	}
	c.add("look:", kind)
}
