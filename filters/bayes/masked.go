package bayes

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sekimori/internal/alike"
)

const maxSuspects = 20

// unmasked returns a word with the letters of other scripts that stand in for Latin ones replaced, if it is masked like that: each part
// between hyphens that has letters of both and in which all of the others look Latin. Words of one script stay as they are; of those that
// could be read as Latin throughout the collector takes note.
func (c *collector) unmasked(prefix, word string) string {
	masked := false
	parts := strings.Split(word, "-")
	for i, p := range parts {
		latin, other, phonetic, alien := scripts(p)
		switch {
		case alien || other+phonetic == 0:
			c.foreign = c.foreign || alien
		case phonetic > 0 && other == 0, latin > 0:
			masked = true
			parts[i] = asLatin(p)
		case other >= 4 && prefix == "" && len(c.suspects) < maxSuspects:
			c.suspects = append(c.suspects, strings.Clone(p))
		}
	}
	if !masked {
		return word
	}
	c.add("look:", "mixed")
	return strings.Join(parts, "-")
}

// scripts counts the letters of a word: Latin ones, those of other scripts that look Latin, and phonetic signs that do. alien says that
// there are letters which look like nothing but themselves.
func scripts(word string) (latin, other, phonetic int, alien bool) {
	for _, r := range word {
		_, like := alike.Latin(r)
		switch {
		case !unicode.IsLetter(r):
		case like && unicode.Is(unicode.Latin, r):
			phonetic++
		case like:
			other++
		case unicode.Is(unicode.Latin, r):
			latin++
		default:
			alien = true
		}
	}
	return latin, other, phonetic, alien
}

func asLatin(word string) string {
	b := make([]byte, 0, len(word))
	for _, r := range word {
		like, _ := alike.Latin(r)
		b = utf8.AppendRune(b, like)
	}
	return string(b)
}

// suspected adds words in letters of another script that all look Latin, when the mail has no other words in such a script.
func (c *collector) suspected() {
	if c.foreign || len(c.suspects) == 0 {
		return
	}
	c.add("look:", "script")
	for _, w := range c.suspects {
		c.addWord("", asLatin(w), true)
	}
}
