package mime

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// family is how a charset label is decoded.
type family int

const (
	unknownCharset family = iota
	utf8Charset
	singleByte // any octets are valid in it, so that its label proves nothing
	shiftJIS
	eucJP
	iso2022JP
	utf7Charset
	otherCharset
)

// labelFamily knows the names that mail uses beyond those of the WHATWG index, and the usual ones for a fast answer. The vendor
// extensions (NEC row 13, NEC-selected and IBM kanji) are in the tables of x/text under the plain names already.
func labelFamily(label string) family {
	switch label {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "iso-8859-1", "latin1", "iso8859-1", "windows-1252", "cp1252":
		return singleByte
	case "utf-8", "utf8", "unicode-1-1-utf-8", "utf-8n":
		return utf8Charset
	case "shift_jis", "shift-jis", "sjis", "x-sjis", "x-sjis-cp932", "ms_kanji", "cp932", "ms932", "windows-31j",
		"csshiftjis", "windows-932", "x-ms-cp932", "cswindows31j", "shift_jis-2004", "shift_jisx0213", "sjis-win", "ibm-943":
		return shiftJIS
	case "euc-jp", "eucjp", "x-euc-jp", "x-eucjp", "eucjp-ms", "eucjpms", "euc-jp-ms", "eucjp-win", "cp51932",
		"cseucpkdfmtjapanese", "ujis", "euc-jp-2004", "euc-jisx0213", "cp20932", "eucjp-open":
		return eucJP
	case "iso-2022-jp", "iso2022jp", "csiso2022jp", "iso-2022-jp-ms", "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3",
		"iso-2022-jp-2004", "cp50220", "cp50221", "cp50222", "x-iso-2022-jp", "jis", "jis7", "iso-2022-jp-ext", "_iso-2022-jp":
		return iso2022JP
	case "utf-7", "utf7", "unicode-1-1-utf-7", "csunicode11utf7", "x-unicode-2-0-utf-7":
		return utf7Charset
	}
	return unknownCharset
}

// normalLabel lowers a charset's name and takes off what mailers put around it: white space, quotes, a language (RFC
// 2231 section 5).
func normalLabel(label string) string {
	label = strings.Trim(label, " \t\"'")
	if i := strings.IndexByte(label, '*'); i >= 0 {
		label = label[:i]
	}
	return strings.ToLower(label)
}

// toUTF8 decodes b by its label. Octets that are valid UTF-8 are UTF-8 whatever the label says, unless the label is a
// charset in which the same octets plainly mean something else (ISO-2022-JP with escapes, UTF-16, UTF-7). ok is false when
// the label is not known or does not fit the octets; the text is a guess then. The result is valid UTF-8.
func toUTF8(label string, b []byte) (text string, ok bool) {
	label = normalLabel(label)
	fam := labelFamily(label)
	if fam == unknownCharset && otherEncoding(label) != nil {
		fam = otherCharset
	}
	switch fam {
	case iso2022JP:
		if not2022(b) {
			return toUTF8("", b)
		}
		return decode2022(b), true
	case utf7Charset:
		return decodeUTF7(b), true
	case otherCharset:
		enc := otherEncoding(label)
		if label == "utf-16" && bigEndFirst(b) {
			enc = unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
		}
		if isWide(label) || !utf8.Valid(b) {
			return decodeWith(enc, b), true
		}
		return string(b), true
	}
	if bytes.IndexByte(b, 0x1b) >= 0 && looks2022(b) && !(hasHigh(b) && utf8.Valid(b)) {
		return decode2022(b), fam == singleByte
	}
	if utf8.Valid(b) {
		return string(b), fam != unknownCharset
	}
	switch fam {
	case shiftJIS:
		if s := b[:min(len(b), guessed)]; readSJIS(s).bad*20 <= highOctets(s) {
			return decodeWith(japanese.ShiftJIS, b), true
		}
	case eucJP:
		if s := b[:min(len(b), guessed)]; eucFaults(s)*20 <= highOctets(s) {
			return decodeEUC(b), true
		}
	}
	return guess(b), fam == singleByte
}

func isWide(label string) bool {
	return strings.HasPrefix(label, "utf-16") || strings.HasPrefix(label, "utf16") || strings.HasPrefix(label, "utf-32") ||
		strings.HasPrefix(label, "iso-10646") || strings.HasPrefix(label, "iso-2022") || label == "hz-gb-2312" || label == "unicode"
}

// otherEncoding finds the encodings that are rarer in mail; nil when the label is not known.
func otherEncoding(label string) encoding.Encoding {
	if len(label) > 40 {
		return nil
	}
	switch label {
	case "utf-16", "utf16", "unicode", "csunicode":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case "utf-32", "utf32", "utf-32be", "utf-32le":
		end := utf32.BigEndian
		if label == "utf-32le" {
			end = utf32.LittleEndian
		}
		return utf32.UTF32(end, utf32.UseBOM)
	case "cp949", "ms949", "x-windows-949":
		label = "euc-kr"
	case "cp936", "ms936":
		label = "gbk"
	case "cp950":
		label = "big5"
	}
	if enc, err := htmlindex.Get(label); err == nil && enc != encoding.Replacement {
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(label); err == nil && enc != nil {
		return enc
	}
	return nil
}

func decodeWith(enc encoding.Encoding, b []byte) string {
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}

// guessed is how many octets are looked at to tell a charset.
const guessed = 4096

// not2022 reports whether octets that are labelled ISO-2022-JP are something else: they have no escape sequence, and some that are not
// the half-width kana that mailers put there raw.
func not2022(b []byte) bool {
	other := false
	for _, c := range b {
		if c == 0x1b {
			return false
		}
		other = other || c >= 0xE0 || c >= 0x80 && c <= 0xA0
	}
	return other
}

// bigEndFirst reports whether UTF-16 without a mark of its order has the high octets of ASCII and kana where the big end first puts
// them (RFC 2781 section 4.3; Windows writes the other).
func bigEndFirst(b []byte) bool {
	if len(b) < 2 || b[0] >= 0xFE && b[1] >= 0xFE {
		return false
	}
	var at [2]int
	for i, c := range b[:min(len(b), guessed)&^1] {
		if c == 0 || c == 0x30 {
			at[i&1]++
		}
	}
	return at[0] > at[1]
}

// guess decodes octets without a usable label that are not UTF-8: the Japanese charset that reads them with the fewest
// faults, else Windows-1252.
func guess(b []byte) string {
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return decodeWith(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), b)
	}
	sample := b[:min(len(b), guessed)]
	// A text that is UTF-8 but for a broken octet or a cut at the limit stays UTF-8.
	if multi, bad := utf8Faults(sample); multi >= 2 && bad*10 <= multi {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	high := highOctets(sample)
	sj, euc := readSJIS(sample), eucFaults(sample)
	switch {
	case high >= 2 && euc*20 <= high && (euc < sj.bad || euc == 0 && sj.kana*3 >= high):
		return decodeEUC(b)
	case high >= 2 && sj.bad*20 <= high && sj.japanese():
		return decodeWith(japanese.ShiftJIS, b)
	}
	return decodeWith(charmap.Windows1252, b)
}

func highOctets(b []byte) (n int) {
	for _, c := range b {
		if c >= 0x80 {
			n++
		}
	}
	return n
}

func hasHigh(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

func utf8Faults(b []byte) (multi, bad int) {
	for i := 0; i < len(b); {
		if b[i] < 0x80 {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			bad++
			i++
			continue
		}
		multi++
		i += n
	}
	return multi, bad
}

// sjisReading is how octets look when they are read as Shift_JIS.
type sjisReading struct {
	bad      int // octets that are none
	kana     int // half-width katakana, of which any EUC text seems to be full
	double   int // characters of two octets
	adjacent int // of these, those that follow another directly
}

// japanese tells text in Shift_JIS from text in a European charset, whose accented letters and quotes stand alone.
func (s sjisReading) japanese() bool {
	return s.double >= 2 && s.adjacent*2 >= s.double || s.double == 0 && s.kana >= 4
}

func readSJIS(b []byte) (s sjisReading) {
	last := -2 // where the last character of two octets began
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c < 0x80:
		case c >= 0xA1 && c <= 0xDF:
			s.kana++
		case c == 0x80 || c == 0xA0 || c >= 0xFD:
			s.bad++
		case i+1 == len(b):
		case b[i+1] < 0x40 || b[i+1] == 0x7F || b[i+1] > 0xFC:
			s.bad++
		default:
			s.double++
			if last == i-2 {
				s.adjacent++
			}
			last = i
			i++
		}
	}
	return s
}

func eucFaults(b []byte) (bad int) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c < 0x80:
		case c == 0x8E || c >= 0xA1 && c <= 0xFE:
			if i+1 < len(b) && (b[i+1] < 0xA1 || b[i+1] == 0xFF) {
				bad++
			} else {
				i++
			}
		case c == 0x8F:
			i += 2
		default:
			bad++
		}
	}
	return bad
}
