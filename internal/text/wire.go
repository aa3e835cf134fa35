package text

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	foldAt   = 76 // RFC 2047 section 2: no line with an encoded word is longer
	wordMost = 75 // an encoded word
	wordHead = "=?utf-8?B?"
	wordTail = "?="
)

// Field gives a header field with its line end, folded. Text that is not in printable ASCII becomes encoded words (RFC 2047), no
// character divided between two; other text is folded at spaces. suffix, such as an address in angle brackets, follows as it is.
func Field(name, value, suffix string) string {
	words := strings.Fields(value)
	if !printable(value) {
		words = encode(value, foldAt-len(name)-len(": "))
	}
	if suffix != "" {
		words = append(words, suffix)
	}
	var b strings.Builder
	b.WriteString(name + ":")
	n := len(name) + 1
	for _, w := range words {
		if n+1+len(w) > foldAt && n > len(name)+1 {
			b.WriteString("\r\n")
			n = 0
		}
		b.WriteString(" " + w)
		n += 1 + len(w)
	}
	b.WriteString("\r\n")
	return b.String()
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// encode divides a text into encoded words; the first has less room, for the name of the field.
func encode(s string, room int) []string {
	var words []string
	for s != "" {
		most := (min(room, wordMost) - len(wordHead) - len(wordTail)) / 4 * 3 // octets, as base64 has four characters for three
		end := 0
		for end < len(s) {
			_, n := utf8.DecodeRuneInString(s[end:])
			if end > 0 && end+n > most {
				break
			}
			end += n
		}
		words = append(words, wordHead+base64.StdEncoding.EncodeToString([]byte(s[:end]))+wordTail)
		s, room = s[end:], wordMost
	}
	return words
}

// Base64 encodes with a line end after every 76 characters but the last (RFC 2045 section 6.8).
func Base64(b []byte) []byte {
	const width = 76
	enc := base64.StdEncoding.AppendEncode(nil, b)
	out := make([]byte, 0, len(enc)+len(enc)/width*2)
	for len(enc) > width {
		out = append(append(out, enc[:width]...), "\r\n"...)
		enc = enc[width:]
	}
	return append(out, enc...)
}
