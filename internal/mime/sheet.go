package mime

import (
	"strings"
)

const (
	maxSheet = 64 << 10 // octets of CSS that are read of one part
	maxNamed = 1000     // classes and ids
	maxSpent = 1 << 20  // octets of rules that are read for the elements of one mail: each element may name each rule
)

// sheet is what the style elements of a page say of classes and ids. It is read so that text counts as hidden only where there is no
// doubt: for a name that stands in one rule. Of more, and of what needs more of CSS, there is only the doubt.
type sheet struct {
	named map[string]named // ".class" or "#id"
	octet int
	spent int  // octets of rules that were read for elements, in this part and those before
	doubt bool // a rule for whatever may show what an element hides
	paint bool // a rule for whatever may set backgrounds
}

type named struct {
	rule   string // its declarations
	rules  int
	forced bool // one of them overrules the element's own style
}

// read adds a style element.
func (s *sheet) read(css string) {
	if s.octet += len(css); s.octet > maxSheet || len(s.named) > maxNamed {
		s.doubt = true
		return
	}
	if s.named == nil {
		s.named = map[string]named{}
	}
	css = strings.ToLower(strings.NewReplacer("<!--", "", "-->", "").Replace(css))
	css = uncommented(css)
	if strings.ContainsRune(css, '\\') || strings.Contains(css, "@import") {
		s.doubt = true
		return
	}
	s.rules(css, false)
}

// rules reads rules; those within an at-rule hold under some condition.
func (s *sheet) rules(css string, within bool) {
	for css != "" {
		open := strings.IndexByte(css, '{')
		if open < 0 {
			return
		}
		selector := strings.TrimSpace(css[:open])
		if i := strings.LastIndexByte(selector, ';'); i >= 0 { // @charset "…";
			selector = strings.TrimSpace(selector[i+1:])
		}
		end := closing(css[open:]) + open
		body := css[open+1 : end]
		css = css[min(end+1, len(css)):]
		switch {
		case strings.HasPrefix(selector, "@font-face"), strings.HasPrefix(selector, "@page"), strings.HasPrefix(selector, "@viewport"), strings.HasPrefix(selector, "@-ms-viewport"),
			strings.Contains(selector, "keyframes"):
		case strings.HasPrefix(selector, "@"):
			if within {
				s.doubt = true
				return
			}
			s.rules(body, true)
		default:
			s.rule(selector, body, within)
		}
	}
}

// uncommented is CSS with a blank in place of each comment.
func uncommented(css string) string {
	before, rest, found := strings.Cut(css, "/*")
	if !found {
		return css
	}
	var b strings.Builder
	for b.Grow(len(css)); found; before, rest, found = strings.Cut(rest, "/*") {
		b.WriteString(before)
		b.WriteByte(' ')
		_, rest, _ = strings.Cut(rest, "*/")
	}
	b.WriteString(before)
	return b.String()
}

// closing is where the brace at the start of css is closed.
func closing(css string) int {
	depth := 0
	for i := range len(css) {
		switch css[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(css)
}

// rule reads a rule. What its body says is found out once: a rule may have thousands of selectors.
func (s *sheet) rule(selectors, body string, within bool) {
	force, paint := strings.Contains(body, "!important"), strings.Contains(body, "background")
	show := force && shows(body)
	for selector := range strings.SplitSeq(selectors, ",") {
		selector = strings.TrimSpace(selector)
		s.paint = s.paint || paint && !oneName(selector)
		names := namesIn(selector)
		if len(names) == 0 && show && !strings.HasPrefix(selector, "a") && !strings.HasPrefix(selector, "img") {
			s.doubt = true
		}
		for _, name := range names {
			n := s.named[name]
			if n.rules++; within || selector != name {
				n.rules++ // it holds for some
			}
			n.rule, n.forced = body, n.forced || force
			s.named[name] = n
		}
	}
}

// shows reports whether declarations may show what is hidden.
func shows(body string) bool {
	for _, p := range [...]string{"display", "visibility", "font", "opacity", "color", "height", "width", "overflow", "position", "indent", "clip"} {
		if strings.Contains(body, p) {
			return true
		}
	}
	return false
}

func oneName(selector string) bool {
	return len(selector) > 1 && (selector[0] == '.' || selector[0] == '#') && !strings.ContainsAny(selector[1:], ".#:[ >+~*")
}

// namesIn lists the classes and ids in a selector.
func namesIn(selector string) (names []string) {
	for len(names) < 8 {
		i := strings.IndexAny(selector, ".#")
		if i < 0 {
			break
		}
		n := i + 1
		for n < len(selector) && !strings.ContainsRune(".#:[ >+~*\t\r\n", rune(selector[n])) {
			n++
		}
		names = append(names, selector[i:n])
		selector = selector[n:]
	}
	return names
}

// style adds what is said of an element with this class or id, and says whether that may overrule the element's own style.
func (s *sheet) style(of *style, sign byte, value []byte) (forced bool) {
	if len(s.named) == 0 || len(value) > maxStyle {
		return len(s.named) > 0
	}
	for name := range strings.FieldsSeq(strings.ToLower(string(value))) {
		n, ok := s.named[string(sign)+name]
		switch {
		case !ok:
		case n.rules > 1:
			of.unknownBack = true
			forced = true
		case s.spent+len(n.rule) > maxSpent:
			return true
		default:
			s.spent += len(n.rule)
			of.read([]byte(n.rule))
			forced = forced || n.forced && !hides(n.rule)
		}
	}
	return forced
}

// hides reports whether declarations say that the element is not displayed.
func hides(rule string) bool {
	var s style
	s.read([]byte(rule))
	return s.apply(newBoxes().body).none
}
