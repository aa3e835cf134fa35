package bayes

import (
	"strings"
	"unicode/utf8"

	"sekimori/internal/mail"
)

const (
	maxShownText   = 96 << 10 // octets of the text that is shown that are looked at
	maxUnshownText = 8 << 10  // of hidden text, of other alternatives, and of files
	maxPieces      = 24       // texts that are shown, of which something is looked at
)

// texts adds the words of the text that is shown, and then those of what is there besides.
func (c *collector) texts(m *mail.Message) {
	shown, other, files := sortTexts(m)
	if len(shown) == 0 {
		shown, files = files, nil
	}
	c.share(maxWords, func() {
		c.shown(shown)
		c.suspected()
	})
	hidden := make([]string, 0, 2)
	for i := range m.Parts {
		if m.Parts[i].Hidden != "" {
			hidden = append(hidden, m.Parts[i].Hidden)
		}
	}
	c.unshown("hid:", hidden)
	c.unshown("alt:", other)
	c.unshown("att:", files)
}

// shown adds the words of texts. Of long ones the beginning, the middle and the end are looked at, each with a share of the tokens by its
// length, so that nothing can be put before the real text, or behind it, that keeps it from being seen.
func (c *collector) shown(list []string) {
	if n := len(list); n > maxPieces {
		list = append(append(make([]string, 0, maxPieces), list[:maxPieces/2]...), list[n-maxPieces/2:]...)
	}
	total := 0
	for _, s := range list {
		total += len(s)
	}
	if total <= maxShownText {
		c.portions(list, total)
		return
	}
	left, octets := list, maxShownText
	var pieces []string
	for i, s := range left {
		part := octets / (len(left) - i)
		if len(s) > part {
			pieces = append(pieces, windows(s, part)...)
		} else {
			part = len(s)
			pieces = append(pieces, s)
		}
		octets -= part
	}
	total = 0
	for _, s := range pieces {
		total += len(s)
	}
	c.portions(pieces, total)
}

// windows are the first half, a quarter from the middle and the last quarter of n octets of s.
func windows(s string, n int) []string {
	at := func(i int) int {
		for i < len(s) && !utf8.RuneStart(s[i]) {
			i++
		}
		return i
	}
	middle := at(len(s)/2 - n/8)
	return []string{s[:at(n/2)], s[middle:at(middle+n/4)], s[at(len(s)-n/4):]}
}

// portions adds the words of pieces that have so many octets together. Where that may be more than are looked at, they are taken in small
// steps, each with its part of the tokens that are left: what is too much is left out everywhere, not at the end.
func (c *collector) portions(pieces []string, octets int) {
	const few, step = 16 << 10, 96
	if octets <= few {
		for _, s := range pieces {
			c.wordsOf("", s)
		}
		return
	}
	folded := make([]string, len(pieces))
	octets = 0
	for i, s := range pieces {
		folded[i] = c.fold(s)
		octets += len(folded[i])
	}
	for _, s := range folded {
		for s != "" {
			n := len(s)
			if n > 2*step {
				for n = step; n < 2*step && s[n] != ' ' && s[n] != '\n'; {
					n++
				}
				for n < len(s) && !utf8.RuneStart(s[n]) {
					n++
				}
			}
			c.share(max(1, (c.most-len(c.list))*n/octets), func() { c.folds("", s[:n]) })
			octets -= n
			s = s[n:]
		}
	}
}

// unshown adds words under a prefix, unless they are shown, too.
func (c *collector) unshown(prefix string, list []string) {
	c.beside = len(prefix)
	c.share(maxUnshown, func() {
		for _, s := range list {
			c.wordsOf(prefix, s[:cut(s, maxUnshownText/len(list))])
		}
	})
	c.beside = 0
}

func cut(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// sortTexts parts the texts of a mail as its readers do: what is shown, the alternatives to it (RFC 2046 section 5.1.4: the last that can
// be shown is, which is HTML where there is any), and what is offered as a file, to which a mail within the mail belongs.
func sortTexts(m *mail.Message) (shown, other, files []string) {
	file, skipped := -1, -1 // depths of the file and of the alternative in which we are
	for i := range m.Parts {
		p := &m.Parts[i]
		if file >= 0 && p.Depth <= file {
			file = -1
		}
		if skipped >= 0 && p.Depth <= skipped {
			skipped = -1
		}
		if file < 0 && (strings.HasPrefix(p.Type, "message/") || p.Attached && i > 0) {
			file = p.Depth
		}
		if file < 0 && skipped < 0 && !preferred(m, i) {
			skipped = p.Depth
		}
		switch {
		case p.Text == "":
		case file >= 0 || p.Name != "" && p.Type != "text/plain" && p.Type != "text/html":
			files = append(files, p.Text)
		case skipped >= 0:
			other = append(other, p.Text)
		default:
			shown = append(shown, p.Text)
		}
	}
	return shown, other, files
}

// preferred reports whether Parts[i] is not an alternative to something that is shown instead: what follows it in the same
// multipart/alternative has HTML, or is a text and it has none itself.
func preferred(m *mail.Message, i int) bool {
	depth := m.Parts[i].Depth
	parent := i - 1
	for parent >= 0 && m.Parts[parent].Depth >= depth {
		parent--
	}
	if parent < 0 || m.Parts[parent].Type != "multipart/alternative" {
		return true
	}
	end := i + 1
	for end < len(m.Parts) && m.Parts[end].Depth > depth {
		end++
	}
	own := hasHTML(m.Parts[i:end])
	last := end
	for last < len(m.Parts) && m.Parts[last].Depth >= depth {
		last++
	}
	behind := m.Parts[end:last]
	if hasHTML(behind) {
		return false
	}
	return own || !hasText(behind)
}

func hasHTML(parts []mail.Part) bool {
	for i := range parts {
		if parts[i].HTML {
			return true
		}
	}
	return false
}

func hasText(parts []mail.Part) bool {
	for i := range parts {
		if parts[i].Text != "" {
			return true
		}
	}
	return false
}
