package rules

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"

	"github.com/expr-lang/expr/ast"
)

// Names that a reader takes for another are found by an index of the list, so that a look-up does not go over its entries.

const (
	maxResembled = 20_000 // entries of a list that resembles() may ask
	minTypo      = 6      // letters of a name, for one of which is missing, added or other; shorter names are near too many others
)

// resemblance is the index of the domains of a list by the part of each that somebody chose: "example" of example.co.jp.
type resemblance struct {
	own    map[string]bool   // registrable domains of the list
	labels map[string]string // the chosen part -> an entry
	shapes map[string]string // its skeleton -> an entry
	near   map[string][]string
	most   int // labels in one of near
}

// resemble makes the index.
func (l *list) resemble() error {
	switch {
	case l.member != nil || l.kind == namesOnly:
		return errors.New("the list must hold domains; a group of the directory or a list of names does not")
	case l.like != nil:
		return nil
	case len(l.entries) > maxResembled:
		return errors.New("the list has more than 20,000 entries")
	}
	r := &resemblance{own: map[string]bool{}, labels: map[string]string{}, shapes: map[string]string{}, near: map[string][]string{}}
	for key := range l.entries {
		_, domain, _ := strings.Cut(key, "@")
		if rest, ok := strings.CutPrefix(key, "."); ok {
			domain = rest
		}
		top := topOf(domain)
		label, _, _ := strings.Cut(top, ".")
		r.own[top] = true
		if r.labels[label] != "" {
			continue
		}
		r.labels[label] = top
		r.shapes[skeleton(shownLabel(label))] = top
		if len(label) >= minTypo {
			for _, v := range without1(label) {
				r.near[v] = append(r.near[v], label)
				r.most = max(r.most, len(r.near[v]))
			}
		}
	}
	l.like = r
	return nil
}

func topOf(domain string) string {
	top, _ := registrable(domain)
	return top.(string)
}

// shownLabel is a label as mail programs show it: xn--… in its own letters.
func shownLabel(label string) string {
	if !strings.HasPrefix(label, "xn--") {
		return label
	}
	if u, err := idna.Punycode.ToUnicode(label); err == nil {
		return u
	}
	return label
}

// without1 gives the label and all that is left of it with one letter taken out.
func without1(label string) []string {
	all := make([]string, 0, len(label)+1)
	all = append(all, label)
	for i := range len(label) {
		all = append(all, label[:i]+label[i+1:])
	}
	return all
}

// resembling returns the domain of the list for which a reader may take the given one, and which it is not.
func (l *list) resembling(domain string) (string, bool) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if at := strings.LastIndexByte(domain, '@'); at >= 0 {
		domain = domain[at+1:]
	}
	if l.like == nil || domain == "" || len(domain) > 253 {
		return "", false
	}
	r, top := l.like, topOf(domain)
	if _, ok := l.find(domain); ok || r.own[top] {
		return "", false
	}
	label, suffix, _ := strings.Cut(top, ".")
	if of, ok := r.shapes[skeleton(shownLabel(label))]; ok && (r.labels[label] == "" || len(label) >= minTypo) {
		return of, true
	}
	// example-support.com, login.example.evil.test
	for _, part := range strings.FieldsFunc(strings.TrimSuffix(domain, suffix), func(c rune) bool { return c == '.' || c == '-' }) {
		if of := r.labels[part]; of != "" && len(part) >= minTypo {
			return of, true
		}
	}
	if len(label) < minTypo-1 || len(label) > 63 {
		return "", false
	}
	for _, v := range without1(label) {
		for _, of := range r.near[v] {
			if distance(label, of, 2) < 2 {
				return r.labels[of], true
			}
		}
	}
	return "", false
}

func resembles(params ...any) (any, error) {
	_, ok := params[1].(*list).resembling(params[0].(string))
	return ok, nil
}

// resembles checks resembles(domain, lists.NAME) and gives the list to it.
func (c *reader) resembles(x *ast.CallNode) ast.Node {
	name := ""
	if len(x.Arguments) == 2 {
		if m, ok := x.Arguments[1].(*ast.MemberNode); ok {
			base, _ := m.Node.(*ast.IdentifierNode)
			prop, _ := m.Property.(*ast.StringNode)
			if base != nil && prop != nil && base.Value == "lists" {
				name = prop.Value
			}
		}
	}
	if name == "" {
		c.nodeError(x, "resembles takes a domain and a list: resembles(message.from_domain, lists.our_domains)")
		return x
	}
	l := c.vocab.lists[name]
	if l == nil {
		c.nodeError(x.Arguments[1], "unknown list %q%s", name, suggest(name, keysOf(c.vocab.lists)))
		return x
	}
	if err := l.resemble(); err != nil {
		c.nodeError(x.Arguments[1], "resembles: lists.%s: %s", name, err)
		return x
	}
	c.lists[name], c.asked = true, true
	x.Arguments[0] = c.rewrite(x.Arguments[0])
	x.Arguments[1] = named("lists."+name, x.Arguments[1])
	return x
}

const namesPrefix = "names:"

// nameEntry is a name of a person or a company, as it is taken in.
type nameEntry struct {
	shape string
	line  int
}

const maxNames = 2000

// addName takes a line of a list of names.
func (l *list) addName(entry string, line int) error {
	shape := skeleton(entry)
	switch {
	case strings.ContainsAny(entry, "@<>\""):
		return errors.New("a list of names holds one name a line, without addresses, quotes and brackets")
	case len([]rune(shape)) < 2:
		return errors.New("the name has fewer than two letters, and would be found everywhere")
	case len(l.names) >= maxNames:
		return errors.New("the list has more than 2,000 names")
	}
	l.names = append(l.names, nameEntry{shape, line})
	return nil
}
