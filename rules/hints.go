package rules

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What people get wrong most often is said with the way out: signs from a word processor or of full width, what other languages
// write, files in another encoding.

// quoteMarks are the quotes of word processors.
const quoteMarks = "“”„‟″〝〞〟＂‘’‚‛′＇`´"

// plainSign returns what a sign should have been: its form of half width, or the usual quote. "" when it is what it should be.
func plainSign(r rune) string {
	switch {
	case r < 0x80:
		return ""
	case strings.ContainsRune("‘’‚‛′＇", r):
		return "'"
	case strings.ContainsRune(quoteMarks, r):
		return `"`
	case r == '、':
		return ","
	case r == '。':
		return "."
	case r == '「' || r == '」':
		return `"`
	case r == '―' || r == '−':
		return "-"
	}
	if s := norm.NFKC.String(string(r)); s != string(r) && len(s) == 1 {
		return s
	}
	return ""
}

// signHint says what to write in place of a sign; "" when it is an ordinary one.
func signHint(r rune) string {
	if s := plainSign(r); s != "" {
		return "; write " + s + " (half width, 半角) in place of " + string(r)
	}
	return ""
}

// conditionHint proposes what to write in place of what cannot be read at a rune of a condition.
func conditionHint(src string, at int, message string) string {
	runes := []rune(src)
	if at >= len(runes) || strings.HasPrefix(message, "unexpected end") {
		return "; a bracket or a quote is open, or something is missing behind the last word"
	}
	if hint := signHint(runes[at]); hint != "" {
		return hint
	}
	before, rest := string(runes[:at]), string(runes[at:])
	last := func(s string) bool { return strings.HasSuffix(strings.TrimRight(before, " "), s) }
	next := func(s string) bool { return strings.HasPrefix(rest, s) }
	switch {
	case next("AND"), next("OR"), next("NOT"):
		return "; and, or and not are written in small letters"
	case next("=~"), next("~"), strings.HasSuffix(before, "=~"), next("=") && strings.HasSuffix(before, "~"):
		return `; a pattern is asked for with matches: message.subject matches "…"`
	case next(">") && strings.HasSuffix(before, "<"):
		return "; unequal is written !="
	case next("="):
		return "; two values are compared with =="
	case next("&"):
		return "; write and"
	case next("|"):
		return "; write or"
	case next("/") && last("matches"):
		return `; a pattern stands in double quotes: matches "…"`
	case next("#"):
		return `; # is an entry of a list, inside any(list, # == "…")`
	case next(",") && strings.Contains(before, "("):
		return `; a list of values stands in square brackets: in ["…", "…"]`
	case strings.Contains(message, "char escape"):
		return `; a backslash of a pattern is written twice: "\\d+"`
	}
	return ""
}

// typeHint explains types that do not fit.
func typeHint(message string) string {
	_, types, ok := strings.Cut(message, "mismatched types ")
	if !ok {
		return ""
	}
	types = strings.TrimSuffix(types, ")")
	has := func(s string) bool { return strings.Contains(types, s) }
	switch {
	case has("list of strings"):
		return `; entries of a list are asked for with any(list, # contains "…") or "…" in list`
	case has("bool") && has("string"):
		return "; what is true or false stands alone: client.trusted, not client.trusted"
	case has("string") && (has("int") || has("number")):
		return `; a number stands without quotes, a text with them`
	}
	return ""
}

// encodingOf names the encoding of a file that is not UTF-8; "" for one that is.
func encodingOf(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")), bytes.IndexByte(data[:min(len(data), 1000)], 0) >= 0:
		return "UTF-16"
	case utf8.Valid(data):
		return ""
	case pairs(data, func(a, b byte) bool { return a >= 0xa1 && b >= 0xa1 || a == 0x8e && b >= 0xa1 && b <= 0xdf }):
		return "EUC-JP"
	case pairs(data, func(a, b byte) bool {
		return (a >= 0x81 && a <= 0x9f || a >= 0xe0 && a <= 0xfc) && b >= 0x40 && b != 0x7f && b <= 0xfc
	}):
		return "Shift_JIS"
	}
	return "another encoding"
}

// pairs reports whether all octets above ASCII begin a pair of two that fits; those of katakana of half width stand alone.
func pairs(data []byte, fits func(a, b byte) bool) bool {
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c < 0x80:
		case i+1 < len(data) && fits(c, data[i+1]):
			i++
		default:
			return false
		}
	}
	return true
}

// encoding reports a file that is not UTF-8, and whether it is.
func (f *file) encoding(d *diagnostics) bool {
	name := encodingOf(f.data)
	if name == "" {
		return true
	}
	off := -1
	if name != "UTF-16" {
		off = firstInvalid(f.data)
	}
	d.errorf(f, off, "the file is in %s; save it as UTF-8", strings.Replace(name, "another encoding", "another encoding than UTF-8", 1))
	return false
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return 0
}

// tomlHint proposes what to write in place of what is no TOML at an offset.
func (f *file) tomlHint(off int, message string) string {
	if off >= len(f.data) {
		return ""
	}
	if strings.Contains(message, "without new lines") || strings.Contains(message, "cannot have new lines") {
		return "; the quote at the end of the line is missing"
	}
	start := f.lines[f.line(off)-1]
	line, _, _ := bytes.Cut(f.data[start:], []byte("\n"))
	here := off - start
	rest := bytes.TrimLeft(line[min(here, len(line)):], " ")
	r, _ := utf8.DecodeRune(rest)
	if hint := signHint(r); hint != "" {
		return hint
	}
	word, _, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("- ")), bytes.HasPrefix(rest, []byte(":")):
		return `; rule files are TOML, not YAML: id = "…"`
	case strings.Contains(message, "',' or '}'"):
		return "; values in { } are separated by commas"
	case strings.Contains(message, "start of value"):
		switch strings.ToLower(word) {
		case "yes", "on", "true":
			return "; write true"
		case "no", "off", "false":
			return "; write false"
		}
		return "; a text stands in quotes, a condition in single ones: when = '…'"
	case bytes.HasPrefix(rest, []byte(",")) && here > 0 && line[here-1] >= '0' && line[here-1] <= '9':
		return "; a number has a point, not a comma: 3.5"
	case strings.Contains(message, "expected newline") && bytes.Count(line, []byte(`"`)) > 2:
		return "; a condition that holds double quotes stands in single ones: when = '…'"
	}
	return ""
}
