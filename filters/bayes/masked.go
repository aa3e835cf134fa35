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
		n := scripts(p)
		switch {
		case n.alien || n.other+n.phonetic == 0:
			c.foreign = c.foreign || n.alien
		case n.phonetic > 0 && n.other == 0, n.latin > 0:
			masked = true
			parts[i] = asLatin(p)
		case n.other >= 4 && prefix == "" && len(c.suspects) < maxSuspects:
			c.suspects = append(c.suspects, strings.Clone(p))
		}
	}
	if !masked {
		return word
	}
	c.add("look:", "mixed")
	return strings.Join(parts, "-")
}

// letters are counts of the letters of a word: Latin ones, those of other scripts that look Latin, and phonetic signs that do.
type letters struct {
	latin, other, phonetic int
	alien                  bool // there are some that look like nothing but themselves
}

func scripts(word string) (n letters) {
	for _, r := range word {
		_, like := alike.Latin(r)
		switch {
		case !unicode.IsLetter(r):
		case like && unicode.Is(unicode.Latin, r):
			n.phonetic++
		case like:
			n.other++
		case unicode.Is(unicode.Latin, r):
			n.latin++
		default:
			n.alien = true
		}
	}
	return n
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
