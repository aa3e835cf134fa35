package bayes

import (
	"unicode"
	"unicode/utf8"
)

const (
	minWord = 2 // runes
	maxWord = 24
)

// wordsOf adds the words of s under a prefix: runs of letters, digits and a few signs in lower case, and as written where
// that differs; runs of Japanese, Chinese and Korean characters as pairs, since their words are not set apart.
func (c *collector) wordsOf(prefix, s string) { c.folds(prefix, c.fold(s)) }

// folds is wordsOf for what fold has seen.
func (c *collector) folds(prefix, s string) {
	for i := 0; i < len(s) && len(c.list) < c.most; {
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
	start, runes, upper, letters := i, 0, false, false
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
		letters = letters || r >= 0x250 && r < 0x590 || r >= 0x1D00 && r < 0x1D80 || r >= 0xA730 && r < 0xA800
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
	if letters {
		c.addWord(prefix, c.unmasked(prefix, s[start:end]), true)
	} else {
		c.addWord(prefix, s[start:end], upper)
	}
	return i
}

func (c *collector) addWord(prefix, w string, upper bool) {
	c.buf = append(c.buf[:0], prefix...)
	if !upper {
		c.buf = append(c.buf, w...)
		c.commitText()
		return
	}
	for _, r := range w {
		c.buf = utf8.AppendRune(c.buf, unicode.ToLower(r))
	}
	c.commitText()
	c.buf = append(append(c.buf[:0], prefix...), w...)
	c.commitText()
}

// pairs adds the pairs of the CJK run at s[i], or the one character of a run of one. Where a line is broken, or a blank stands between
// two characters, depends on the mailer, and on who wants to hide a word: the run goes on behind it.
func (c *collector) pairs(prefix, s string, i int) int {
	first, n := utf8.DecodeRuneInString(s[i:])
	prev, count := first, 1
	i += n
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isCJK(r) {
			skip := gap(s[i:])
			if skip == 0 {
				break
			}
			if r, n = utf8.DecodeRuneInString(s[i+skip:]); !isCJK(r) {
				break
			}
			i += skip
		}
		c.buf = utf8.AppendRune(utf8.AppendRune(append(c.buf[:0], prefix...), prev), r)
		c.commitText()
		prev = r
		i += n
		count++
	}
	if count == 1 {
		c.buf = utf8.AppendRune(append(c.buf[:0], prefix...), first)
		c.commitText()
	}
	return i
}

// gap is how many octets of white space stand at the start of s: a blank, a line end, or both; 0 for none and for more than that.
func gap(s string) int {
	n, lines := 0, 0
	for n < len(s) && (s[n] == ' ' || s[n] == '\n' || s[n] == '\t') {
		if s[n] == '\n' {
			lines++
		}
		if n++; n > 2 || lines > 1 {
			return 0
		}
	}
	return n
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
