package mime

import (
	"strings"
	"unicode/utf8"
)

// DecodeHeader decodes the value of a header field for reading: encoded words (RFC 2047, with the language of RFC 2231),
// also broken ones and ones inside quotes; characters split between adjacent encoded words of one charset; and raw
// octets in UTF-8, ISO-2022-JP, Shift_JIS or EUC-JP. It never fails; the result is valid UTF-8 on one line.
func DecodeHeader(value string) string {
	if len(value) > maxValue {
		value = value[:maxValue]
	}
	if isPlain(value) {
		return value
	}
	return decodeWords(rawToUTF8(value))
}

// isPlain reports whether there is nothing to decode.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x80 || c < 0x20 && c != '\t' || c == '=' && i+1 < len(s) && s[i+1] == '?' {
			return false
		}
	}
	return true
}

// rawToUTF8 decodes octets that stand unencoded in a header, so that what follows reads characters: the second octet of
// a Shift_JIS character may be a backslash, and ISO-2022-JP is full of quotes and parentheses.
func rawToUTF8(s string) string {
	if strings.IndexByte(s, 0x1b) < 0 && utf8.ValidString(s) {
		return s
	}
	text, _ := toUTF8("", []byte(s))
	return text
}

// decodeWords replaces encoded words in s, which is valid UTF-8.
func decodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return cleanLine(s)
	}
	var out strings.Builder
	out.Grow(len(s))
	var run []byte // decoded octets of adjacent encoded words of one charset
	charset := ""
	flush := func() {
		if run != nil {
			text, _ := toUTF8(charset, run)
			out.WriteString(text)
			run = nil
		}
	}
	for s != "" {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		w, ok := readWord(s[i:])
		if !ok {
			flush()
			out.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		if gap := s[:i]; run == nil || strings.Trim(gap, " \t\r\n") != "" {
			flush()
			out.WriteString(gap)
		}
		if run != nil && !strings.EqualFold(charset, w.charset) {
			flush()
		}
		charset = w.charset
		if run == nil {
			run = make([]byte, 0, len(w.text))
		}
		run = w.append(run)
		s = s[i+w.size:]
	}
	flush()
	out.WriteString(s)
	return cleanLine(out.String())
}

// word is an encoded word as it stands.
type word struct {
	charset, text string
	base64        bool
	size          int
}

// readWord reads the encoded word at the start of s ("=?"). White space and question marks within the text are
// tolerated: the word ends at the first "?=" behind it.
func readWord(s string) (word, bool) {
	i := 2
	for i < len(s) && i < 64 && s[i] != '?' {
		if c := s[i]; c <= ' ' || c == '=' || c >= 0x7F {
			return word{}, false
		}
		i++
	}
	if i == 2 || i+3 > len(s) || s[i] != '?' || s[i+2] != '?' {
		return word{}, false
	}
	w := word{charset: s[2:i]}
	if star := strings.IndexByte(w.charset, '*'); star >= 0 {
		w.charset = w.charset[:star]
	}
	switch s[i+1] {
	case 'B', 'b':
		w.base64 = true
	case 'Q', 'q':
	default:
		return word{}, false
	}
	start := i + 3
	end := strings.Index(s[start:], "?=")
	if end < 0 { // cut off: take all, nothing else can follow
		end = len(s) - start
		w.size = len(s)
	} else {
		w.size = start + end + 2
	}
	w.text = s[start : start+end]
	return w, true
}

func (w word) append(dst []byte) []byte {
	if w.base64 {
		b, _ := decodeBase64([]byte(w.text), maxValue)
		return append(dst, b...)
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		if c == '_' {
			c = ' '
		} else if c == '=' && i+2 < len(w.text) {
			if hi, lo := hexValue(w.text[i+1]), hexValue(w.text[i+2]); hi < 16 && lo < 16 {
				c = hi<<4 | lo
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// cleanLine makes s valid UTF-8 without line ends: what is decoded must not be able to start a new line where it is shown.
func cleanLine(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ").Replace(s)
	}
	return s
}
