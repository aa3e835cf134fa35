package rules

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"sekimori/internal/mail"
)

// Most atoms are of a few forms. For these a plain function is made when the rules are loaded: it means the same as the compiled
// program, and saves the machine's start. What has no quick form is run by the machine.

// truthOf is a quick form; item is the entry of a list within any, all, none and one.
type truthOf func(s *state, item string) bool

// textOf is the quick form of what is a string.
type textOf func(s *state, item string) string

// quick makes the quick form of an atom; nil when it has none. free says that it costs so little that it is not counted.
func quick(n ast.Node, v *vocabulary) (form truthOf, free bool) {
	q := &quickener{v: v}
	if form = q.truth(n); form == nil {
		return nil, false
	}
	return form, q.free(n)
}

type quickener struct {
	v    *vocabulary
	item bool // # stands for an entry
}

// word is the number of what an identifier reads, when it has that type.
func (q *quickener) word(n ast.Node, t mail.FactType) (int, bool) {
	id, ok := n.(*ast.IdentifierNode)
	if !ok {
		return 0, false
	}
	i, ok := q.v.byKey[id.Value]
	return i, ok && q.v.words[i].typ == t
}

// free reports whether an atom is a fact, or compares one with a constant.
func (q *quickener) free(n ast.Node) bool {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		_, is := n.(*ast.IdentifierNode)
		return is
	}
	id, ok := b.Left.(*ast.IdentifierNode)
	switch right := b.Right.(type) {
	case *ast.ArrayNode:
		return ok && len(right.Nodes) <= 16
	case *ast.StringNode:
		return ok && b.Operator != "matches" && (b.Operator != "contains" || id.Value != "message.text")
	case *ast.IntegerNode, *ast.FloatNode:
		return ok
	}
	return false
}

func (q *quickener) truth(n ast.Node) truthOf {
	switch x := n.(type) {
	case *ast.IdentifierNode:
		if i, ok := q.word(x, mail.Bool); ok {
			return func(s *state, _ string) bool { return s.val[i].(bool) }
		}
	case *ast.UnaryNode:
		if t := q.truth(x.Node); t != nil && (x.Operator == "not" || x.Operator == "!") {
			return func(s *state, item string) bool { return !t(s, item) }
		}
	case *ast.BinaryNode:
		return q.binary(x)
	case *ast.BuiltinNode:
		return q.predicate(x)
	case *ast.CallNode:
		return q.call(x)
	}
	return nil
}

func (q *quickener) binary(b *ast.BinaryNode) truthOf {
	switch b.Operator {
	case "and", "&&", "or", "||":
		l, r, and := q.truth(b.Left), q.truth(b.Right), b.Operator[0] == 'a' || b.Operator[0] == '&'
		if l == nil || r == nil {
			return nil
		}
		return func(s *state, item string) bool {
			if l(s, item) == and {
				return r(s, item)
			}
			return !and
		}
	case "in":
		return q.in(b)
	case "matches":
		return q.matches(b)
	}
	switch right := b.Right.(type) {
	case *ast.IntegerNode:
		return q.number(b, float64(right.Value))
	case *ast.FloatNode:
		return q.number(b, right.Value)
	}
	l, r := q.text(b.Left), q.text(b.Right)
	if l == nil || r == nil {
		return nil
	}
	if c, ok := b.Right.(*ast.StringNode); ok {
		return compareConstant(l, b.Operator, c.Value)
	}
	compare := textOperators[b.Operator]
	if compare == nil {
		return nil
	}
	return func(s *state, item string) bool { return compare(l(s, item), r(s, item)) }
}

var textOperators = map[string]func(a, b string) bool{
	"==": func(a, b string) bool { return a == b }, "!=": func(a, b string) bool { return a != b },
	"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix,
}

func compareConstant(l textOf, operator, want string) truthOf {
	switch operator {
	case "==":
		return func(s *state, item string) bool { return l(s, item) == want }
	case "!=":
		return func(s *state, item string) bool { return l(s, item) != want }
	case "contains":
		return func(s *state, item string) bool { return strings.Contains(l(s, item), want) }
	case "startsWith":
		return func(s *state, item string) bool { return strings.HasPrefix(l(s, item), want) }
	case "endsWith":
		return func(s *state, item string) bool { return strings.HasSuffix(l(s, item), want) }
	}
	return nil
}

// in is text in ["a", "b"], and text in a fact that is a list.
func (q *quickener) in(b *ast.BinaryNode) truthOf {
	l := q.text(b.Left)
	if l == nil {
		return nil
	}
	if i, ok := q.word(b.Right, mail.Strings); ok {
		return func(s *state, item string) bool { return slices.Contains(s.val[i].([]string), l(s, item)) }
	}
	a, ok := b.Right.(*ast.ArrayNode)
	if !ok {
		return nil
	}
	words, ok := constants(a, "in")
	if !ok {
		return nil
	}
	if len(words) <= 16 {
		return func(s *state, item string) bool { return slices.Contains(words, l(s, item)) }
	}
	set := make(map[string]bool, len(words))
	for _, w := range words {
		set[w] = true
	}
	return func(s *state, item string) bool { return set[l(s, item)] }
}

func (q *quickener) matches(b *ast.BinaryNode) truthOf {
	l := q.text(b.Left)
	pattern, ok := b.Right.(*ast.StringNode)
	if l == nil || !ok {
		return nil
	}
	re, err := regexp.Compile(pattern.Value)
	if err != nil {
		return nil
	}
	return func(s *state, item string) bool { return re.MatchString(l(s, item)) }
}

func (q *quickener) number(b *ast.BinaryNode, want float64) truthOf {
	compare, ok := map[string]func(a, b float64) bool{
		"==": func(a, b float64) bool { return a == b }, "!=": func(a, b float64) bool { return a != b },
		"<": func(a, b float64) bool { return a < b }, "<=": func(a, b float64) bool { return a <= b },
		">": func(a, b float64) bool { return a > b }, ">=": func(a, b float64) bool { return a >= b },
	}[b.Operator]
	if !ok {
		return nil
	}
	if i, ok := q.word(b.Left, mail.Int); ok {
		return func(s *state, _ string) bool { return compare(float64(s.val[i].(int)), want) }
	}
	if i, ok := q.word(b.Left, mail.Float); ok {
		return func(s *state, _ string) bool { return compare(s.val[i].(float64), want) }
	}
	return nil
}

// text is a fact, a constant, the entry at hand, or one of these in another form.
func (q *quickener) text(n ast.Node) textOf {
	switch x := n.(type) {
	case *ast.IdentifierNode:
		if i, ok := q.word(x, mail.String); ok {
			return func(s *state, _ string) string { return s.val[i].(string) }
		}
	case *ast.StringNode:
		c := x.Value
		return func(*state, string) string { return c }
	case *ast.PointerNode:
		if q.item && x.Name == "" {
			return func(_ *state, item string) string { return item }
		}
	case *ast.BuiltinNode:
		change := map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper, "trim": strings.TrimSpace}[x.Name]
		if change != nil && len(x.Arguments) == 1 {
			if t := q.text(x.Arguments[0]); t != nil {
				return func(s *state, item string) string { return change(t(s, item)) }
			}
		}
	case *ast.CallNode:
		if id, ok := x.Callee.(*ast.IdentifierNode); ok && id.Value == "registrable" && len(x.Arguments) == 1 {
			if t := q.text(x.Arguments[0]); t != nil {
				return func(s *state, item string) string { return registrableOf(t(s, item)) }
			}
		}
	}
	return nil
}

// predicate is any, all, none or one over a list.
func (q *quickener) predicate(x *ast.BuiltinNode) truthOf {
	if len(x.Arguments) != 2 || q.item {
		return nil
	}
	i, ok := q.word(x.Arguments[0], mail.Strings)
	p, is := x.Arguments[1].(*ast.PredicateNode)
	if !ok || !is {
		return nil
	}
	t := (&quickener{q.v, true}).truth(p.Node)
	if t == nil {
		return nil
	}
	some := func(s *state, want bool) bool {
		for _, item := range s.val[i].([]string) {
			if t(s, item) == want {
				return true
			}
		}
		return false
	}
	switch x.Name {
	case "any":
		return func(s *state, _ string) bool { return some(s, true) }
	case "none":
		return func(s *state, _ string) bool { return !some(s, true) }
	case "all":
		return func(s *state, _ string) bool { return !some(s, false) }
	}
	return nil
}

// call is one of our functions that never fail.
func (q *quickener) call(x *ast.CallNode) truthOf {
	id, ok := x.Callee.(*ast.IdentifierNode)
	if !ok || len(x.Arguments) != 2 {
		return nil
	}
	l := q.text(x.Arguments[0])
	if l == nil {
		return nil
	}
	if id.Value == inListFunc {
		return q.inList(l, x.Arguments[1])
	}
	c, ok := x.Arguments[1].(*ast.StringNode)
	if !ok {
		return nil
	}
	switch id.Value {
	case "under":
		top := strings.ToLower(strings.TrimPrefix(c.Value, "."))
		below := "." + top
		return func(s *state, item string) bool {
			d := strings.ToLower(l(s, item))
			return d == top || strings.HasSuffix(d, below)
		}
	case "looks_like":
		want := skeleton(c.Value)
		return func(s *state, item string) bool {
			text := l(s, item)
			if len(text) > maxShaped {
				return strings.Contains(skeleton(text), want)
			}
			return strings.Contains(s.shapes.of(text), want)
		}
	case "in_network":
		p, err := parseNetwork(c.Value)
		if err != nil {
			return nil
		}
		return func(s *state, item string) bool {
			ip, err := netip.ParseAddr(l(s, item))
			return err == nil && p.Contains(ip.Unmap().WithZone(""))
		}
	}
	return nil
}

// inList asks a list; not one of the directory, which may not answer.
func (q *quickener) inList(l textOf, n ast.Node) truthOf {
	id, ok := n.(*ast.IdentifierNode)
	if !ok {
		return nil
	}
	key := id.Value
	if list := q.v.lists[strings.TrimPrefix(key, "lists.")]; list == nil || list.member != nil {
		return nil
	}
	return func(s *state, item string) bool {
		list, text := s.env[key].(*list), l(s, item)
		if list.kind == namesOnly {
			_, in := list.byName.find(s.shapes.of(text))
			return in
		}
		_, in := list.find(text)
		return in
	}
}
