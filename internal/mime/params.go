package mime

import (
	"sort"
	"strconv"
	"strings"
)

// param is one parameter of Content-Type or Content-Disposition as it stands, unquoted. For RFC 2231 the name is without
// its asterisks.
type param struct {
	name, value string
	section     int  // of a continuation; -1 for none
	extended    bool // name*=: percent-encoded, section 0 and plain ones with a charset in front
}

// parseParams splits a value such as `multipart/mixed; boundary="x"` into its first word and its parameters. What is
// malformed is read as leniently as readers of mail do; many says that there were more than maxParams.
func parseParams(v string) (word string, params []param, many bool) {
	i := skipComments(v, 0)
	start := i
	for i < len(v) && v[i] != ';' && v[i] != '(' {
		i++
	}
	word = strings.ToLower(strings.Trim(v[start:i], " \t\""))
	for i < len(v) {
		for i < len(v) && v[i] != ';' {
			if v[i] == '(' {
				i = skipComments(v, i)
				continue
			}
			i++
		}
		i = skipComments(v, i+1)
		start = i
		for i < len(v) && v[i] != '=' && v[i] != ';' {
			i++
		}
		if i >= len(v) || v[i] == ';' {
			continue
		}
		name := strings.ToLower(strings.TrimSpace(v[start:i]))
		var value string
		value, i = paramValue(v, skipComments(v, i+1))
		if name == "" {
			continue
		}
		if len(params) >= maxParams && !strings.HasPrefix(name, "boundary") && !strings.HasPrefix(name, "filename") &&
			!strings.HasPrefix(name, "name") && name != "charset" {
			many = true
			continue
		}
		if len(params) >= maxParams+maxSections {
			many = true
			break
		}
		params = append(params, splitName(name, value))
	}
	return word, params, many
}

// paramValue reads a value at v[i]: a quoted string, or everything up to the next semicolon, since file names with
// spaces stand unquoted in real mail.
func paramValue(v string, i int) (value string, next int) {
	if i < len(v) && v[i] == '"' {
		return quotedString(v, i)
	}
	start := i
	for i < len(v) && v[i] != ';' {
		if v[i] == '(' && i > start && (v[i-1] == ' ' || v[i-1] == '\t') && strings.IndexByte(v[i:min(i+256, len(v))], ')') > 0 {
			return strings.TrimSpace(v[start:i]), skipComments(v, i)
		}
		i++
	}
	return strings.TrimSpace(v[start:i]), i
}

// quotedString reads the quoted string at v[i] and returns where it ends. Without a closing quote it ends with v. A
// backslash that escapes neither a quote nor a backslash stands for itself: Windows paths are sent like that.
func quotedString(v string, i int) (text string, next int) {
	i++
	start := i
	for i < len(v) && v[i] != '"' && v[i] != '\\' {
		i++
	}
	if i >= len(v) || v[i] == '"' {
		return v[start:i], min(i+1, len(v))
	}
	var b strings.Builder
	b.WriteString(v[start:i])
	for i < len(v) && v[i] != '"' {
		if v[i] == '\\' && i+1 < len(v) && (v[i+1] == '"' || v[i+1] == '\\') {
			i++
		}
		b.WriteByte(v[i])
		i++
	}
	return b.String(), min(i+1, len(v))
}

// skipComments passes over white space and comments (RFC 5322 section 3.2.2) at v[i].
func skipComments(v string, i int) int {
	depth := 0
	for i < len(v) {
		switch c := v[i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0 && c == '\\':
			i++
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return i
		}
		i++
	}
	return len(v)
}

// splitName takes the asterisks of RFC 2231 off a parameter's name.
func splitName(name, value string) param {
	p := param{name: name, value: value, section: -1}
	star := strings.IndexByte(name, '*')
	if star < 0 {
		return p
	}
	rest := name[star+1:]
	p.name = name[:star]
	if rest == "" {
		p.extended = true
		return p
	}
	if strings.HasSuffix(rest, "*") {
		p.extended = true
		rest = rest[:len(rest)-1]
	}
	if n, err := strconv.Atoi(rest); err == nil && n >= 0 && n < maxSections {
		p.section = n
	} else {
		p.section = maxSections
	}
	return p
}

// paramValues returns all values given for a parameter, decoded: the one of RFC 2231 first, then plain ones in order.
// They are distinct.
func paramValues(params []param, name string) []string {
	var sections []param
	var out, plain []string
	for _, p := range params {
		if p.name != name {
			continue
		}
		switch {
		case p.section >= 0:
			if len(sections) < maxSections {
				sections = append(sections, p)
			}
		case p.extended:
			out = appendNew(out, decodeExtended(p.value))
		default:
			plain = append(plain, DecodeHeader(p.value))
		}
	}
	if len(sections) > 0 {
		out = appendNew(out, joinSections(sections))
	}
	for _, p := range plain {
		out = appendNew(out, p)
	}
	return out
}

func appendNew(list []string, s string) []string {
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// joinSections puts the continuations of a parameter together (RFC 2231 section 3). The octets are joined before the
// charset is decoded, because a character may be split between two.
func joinSections(sections []param) string {
	sort.SliceStable(sections, func(i, j int) bool { return sections[i].section < sections[j].section })
	charset := ""
	var b []byte
	for i, p := range sections {
		v := p.value
		if p.extended {
			if i == 0 {
				charset, v = splitCharset(v)
			}
			b = appendPercent(b, v)
		} else {
			b = append(b, v...)
		}
		if len(b) > 4*maxName {
			break
		}
	}
	text, _ := toUTF8(charset, b)
	return cleanLine(decodeIfWords(text))
}

// decodeIfWords decodes encoded words that some mailers split over the continuations.
func decodeIfWords(s string) string {
	if strings.Contains(s, "=?") {
		return decodeWords(s)
	}
	return s
}

func decodeExtended(v string) string {
	charset, v := splitCharset(v)
	text, _ := toUTF8(charset, appendPercent(nil, v))
	return cleanLine(text)
}

// splitCharset takes charset'language' off the front (RFC 2231 section 4).
func splitCharset(v string) (charset, rest string) {
	cs, after, ok := strings.Cut(v, "'")
	if !ok {
		return "", v
	}
	_, text, ok := strings.Cut(after, "'")
	if !ok {
		return "", v
	}
	return cs, text
}

func appendPercent(dst []byte, v string) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if hi, lo := hexValue(v[i+1]), hexValue(v[i+2]); hi < 16 && lo < 16 {
				dst = append(dst, hi<<4|lo)
				i += 2
				continue
			}
		}
		dst = append(dst, v[i])
	}
	return dst
}
