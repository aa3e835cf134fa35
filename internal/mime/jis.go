package mime

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/japanese"
)

// ibmRows are the characters of eucJP-ms at 0x8FF3F3 to 0x8FF4FE: the IBM extensions that JIS X 0212 does not have, in
// the order of the code page. The tables of x/text end before them.
const ibmRows = "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤﨎咊坙﨏塚增寬峵嵓﨑德悅愠敎昻晥晴朗栁﨓﨔橫櫢淸淲瀨凞猪甁皂皞益礰礼神祥福竧靖精綠緖" +
	"羽荢﨟薰蘒﨡蠇諸譿賴赶﨣﨤逸郞都鄕﨧﨨閒隆﨩霻靍靑飯飼館馞髙魲鶴黑"

// decodeEUC decodes EUC-JP with the extensions of eucJP-ms. Each run between characters of ibmRows goes through x/text.
func decodeEUC(b []byte) string {
	if !bytes.Contains(b, []byte{0x8F, 0xF3}) && !bytes.Contains(b, []byte{0x8F, 0xF4}) {
		return decodeWith(japanese.EUCJP, b)
	}
	ibm := []rune(ibmRows)
	var out strings.Builder
	start := 0
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == 0x8F && i+2 < len(b):
			if n := ibmIndex(b[i+1], b[i+2]); n >= 0 && n < len(ibm) {
				out.WriteString(decodeWith(japanese.EUCJP, b[start:i]))
				out.WriteRune(ibm[n])
				start = i + 3
			}
			i += 3
		case c >= 0xA1 || c == 0x8E:
			i += 2
		default:
			i++
		}
	}
	if start < len(b) {
		out.WriteString(decodeWith(japanese.EUCJP, b[start:]))
	}
	return out.String()
}

// ibmIndex is the place in ibmRows of the character with these second and third octets, or negative.
func ibmIndex(c1, c2 byte) int {
	switch {
	case c1 == 0xF3 && c2 >= 0xF3 && c2 <= 0xFE:
		return int(c2) - 0xF3
	case c1 == 0xF4 && c2 >= 0xA1 && c2 <= 0xFE:
		return 12 + int(c2) - 0xA1
	}
	return -1
}

// looks2022 reports whether b holds an escape sequence of ISO-2022-JP (RFC 1468).
func looks2022(b []byte) bool {
	for {
		i := bytes.IndexByte(b, 0x1b)
		if i < 0 || i+2 >= len(b) {
			return false
		}
		switch b = b[i+1:]; {
		case b[0] == '$' && (b[1] == 'B' || b[1] == '@' || b[1] == '('):
			return true
		case b[0] == '(' && (b[1] == 'J' || b[1] == 'I'):
			return true
		}
	}
}

// Sets that ISO-2022-JP escapes to.
const (
	setASCII = iota
	setKana
	set0208
	set0212
)

// decode2022 decodes ISO-2022-JP with the extensions that mail really has: CP50220/1/2 (half-width kana by escape, by
// shift-out and as raw octets, NEC and IBM rows), ISO-2022-JP-1 and -MS (JIS X 0212). The octets are rewritten as EUC-JP,
// whose tables hold all of these. A line end returns to ASCII (RFC 1468).
func decode2022(b []byte) string {
	euc := make([]byte, 0, len(b)+len(b)/8)
	set, shifted := setASCII, false
	for i := 0; i < len(b); {
		c := b[i]
		switch {
		case c == 0x1b:
			n, s := escape(b[i:])
			if s >= 0 {
				set, shifted = s, false
			}
			i += n
			continue
		case c == 0x0E || c == 0x0F:
			shifted = c == 0x0E
		case c == '\n' || c == '\r':
			set, shifted = setASCII, false
			euc = append(euc, c)
		case c <= 0x20 || c == 0x7F:
			euc = append(euc, c)
		case c >= 0xA1 && c <= 0xDF:
			euc = append(euc, 0x8E, c)
		case c >= 0x80:
			euc = append(euc, '?')
		case shifted || set == setKana:
			if c <= 0x5F {
				euc = append(euc, 0x8E, c|0x80)
			} else {
				euc = append(euc, c)
			}
		case set == setASCII:
			euc = append(euc, c)
		case i+1 < len(b) && b[i+1] > 0x20 && b[i+1] < 0x7F:
			if set == set0212 {
				euc = append(euc, 0x8F)
			}
			euc = append(euc, c|0x80, b[i+1]|0x80)
			i++
		default:
			euc = append(euc, c)
		}
		i++
	}
	return decodeEUC(euc)
}

// escape reads the escape sequence at the start of b: how long it is and which set it calls, -1 for none.
func escape(b []byte) (n, set int) {
	if len(b) >= 3 {
		switch {
		case b[1] == '$' && (b[2] == 'B' || b[2] == '@'):
			return 3, set0208
		case b[1] == '(' && (b[2] == 'B' || b[2] == 'J'):
			return 3, setASCII
		case b[1] == '(' && b[2] == 'I':
			return 3, setKana
		case b[1] == '$' && b[2] == '(' && len(b) >= 4:
			switch b[3] {
			case 'D':
				return 4, set0212
			case 'B', '@', 'O', 'Q':
				return 4, set0208
			}
		}
	}
	return 1, -1
}

// decodeUTF7 decodes UTF-7 (RFC 2152), which is in mail only to hide something.
func decodeUTF7(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		if b[i] != '+' {
			if b[i] < 0x80 {
				out.WriteByte(b[i])
			} else {
				out.WriteString("\uFFFD")
			}
			continue
		}
		end := i + 1
		for end < len(b) && isBase64(b[end]) {
			end++
		}
		if end == i+1 {
			out.WriteByte('+')
		} else {
			raw := make([]byte, base64.RawStdEncoding.DecodedLen(end-i-1)+3)
			n, _ := base64.RawStdEncoding.Decode(raw, b[i+1:end])
			units := make([]uint16, 0, n/2)
			for k := 0; k+1 < n; k += 2 {
				units = append(units, uint16(raw[k])<<8|uint16(raw[k+1]))
			}
			out.WriteString(string(utf16.Decode(units)))
		}
		if end < len(b) && b[end] == '-' {
			end++
		}
		i = end - 1
	}
	return out.String()
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}
