package bayes

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	minWord = 2 // runes
	maxWord = 24
)

// text adds the words of s.
func (c *collector) text(s string) { c.wordsOf("", s) }

// wordsOf adds the words of s under a prefix: runs of letters, digits and a few signs in lower case, and as written where
// that differs; runs of Japanese, Chinese and Korean characters as pairs, since their words are not set apart.
func (c *collector) wordsOf(prefix, s string) {
	if !isASCII(s) {
		s = norm.NFKC.String(s)
	}
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			if !wordByte(s[i]) {
				i++
				continue
			}
			i = c.word(prefix, s, i)
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case isCJK(r):
			i = c.pairs(prefix, s, i)
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Sc, r):
			i = c.word(prefix, s, i)
		default:
			i += n
		}
	}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func wordByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '$' || b == '%' || b == '\'' || b == '!' || b == '-' || b == '_'
}

// isEdge are bytes that belong to a word only between others.
func isEdge(b byte) bool { return b == '\'' || b == '-' || b == '_' }

// word reads the word at s[i] and returns where it ends.
func (c *collector) word(prefix, s string, i int) int {
	for i < len(s) && isEdge(s[i]) {
		i++
	}
	start, runes, upper := i, 0, false
	for i < len(s) {
		b := s[i]
		if b < utf8.RuneSelf {
			if !wordByte(b) {
				break
			}
			if b >= 'A' && b <= 'Z' {
				upper = true
			}
			i++
			runes++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if isCJK(r) || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !unicode.Is(unicode.Sc, r) {
			break
		}
		upper = upper || unicode.IsUpper(r)
		i += n
		runes++
	}
	end := i
	for end > start && isEdge(s[end-1]) {
		end--
		runes--
	}
	if runes < minWord || runes > maxWord {
		if runes > maxWord {
			c.add(prefix+"long:", class(runes))
		}
		return i
	}
	c.addWord(prefix, s[start:end], upper)
	return i
}

func (c *collector) addWord(prefix, w string, upper bool) {
	c.buf = append(c.buf[:0], prefix...)
	if !upper {
		c.buf = append(c.buf, w...)
		c.commit()
		return
	}
	for _, r := range w {
		c.buf = utf8.AppendRune(c.buf, unicode.ToLower(r))
	}
	c.commit()
	c.add(prefix, w)
}

// pairs adds the pairs of the CJK run at s[i], or the one character of a run of one.
func (c *collector) pairs(prefix, s string, i int) int {
	first, n := utf8.DecodeRuneInString(s[i:])
	prev, count := i, 1
	i += n
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isCJK(r) {
			break
		}
		c.add(prefix, s[prev:i+n])
		prev = i
		i += n
		count++
	}
	if count == 1 {
		c.buf = append(c.buf[:0], prefix...)
		c.buf = utf8.AppendRune(c.buf, first)
		c.commit()
	}
	return i
}

func isCJK(r rune) bool {
	switch {
	case r < 0x2E80:
		return false
	case r >= 0x3005 && r <= 0x3007, r >= 0x3041 && r <= 0x30FF && r != 0x30FB, r >= 0x3400 && r <= 0x9FFF, r >= 0xF900 && r <= 0xFAFF,
		r >= 0xAC00 && r <= 0xD7A3, r >= 0x20000 && r <= 0x3FFFF, r >= 0x31F0 && r <= 0x31FF:
		return true
	}
	return false
}
