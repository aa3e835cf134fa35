package rules

import (
	"math"
	"slices"
	"strconv"

	"github.com/expr-lang/expr/ast"

	"sekimori/internal/mail"
)

// What a condition asks is looked at when it is loaded: whether it contradicts itself, and whether it asks for no more than an
// earlier rule. For that it is written as alternatives, each of which asks something of some values at once. What is not
// understood (a pattern, a predicate) stands for itself: it is either so or not.

// ask is what is asked of one value: one of some words (or, with not, any but these), or a number in a range.
type ask struct {
	number bool
	lo, hi bound
	not    bool
	words  []string // sorted
}

type bound struct {
	at   float64
	open bool
}

// alternative is what must be so at once, by value.
type alternative map[string]ask

// literal is an atom: the value that it asks about, and the alternatives that make it true and false.
type literal struct {
	key     string
	yes, no []ask
}

const maxAlternatives = 64

var truth = []string{"false", "true"}

// literalOf reads an atom that was checked.
func literalOf(n ast.Node, v *vocabulary) literal {
	if id, ok := n.(*ast.IdentifierNode); ok {
		return boolean(id.Value)
	}
	if b, ok := n.(*ast.BinaryNode); ok {
		if l, ok := comparison(b, v); ok {
			return l
		}
	}
	return boolean("\x00" + n.String())
}

func boolean(key string) literal {
	return literal{key, []ask{{words: truth[1:]}}, []ask{{words: truth[:1]}}}
}

func comparison(b *ast.BinaryNode, v *vocabulary) (literal, bool) {
	left, operator, right := b.Left, b.Operator, b.Right
	id, ok := left.(*ast.IdentifierNode)
	if !ok {
		id, ok = right.(*ast.IdentifierNode)
		right = left
		if mirrored := map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}; ok {
			operator, ok = mirrored[operator], mirrored[operator] != ""
		}
	}
	if !ok {
		return literal{}, false
	}
	i, known := v.byKey[id.Value]
	if !known {
		return literal{}, false
	}
	w := v.words[i]
	if x, ok := numberOf(right); ok && (w.typ == mail.Int || w.typ == mail.Float) {
		return inRange(w, operator, x)
	}
	if w.typ == mail.Bool {
		if c, ok := right.(*ast.BoolNode); ok && (operator == "==" || operator == "!=") {
			l := boolean(w.key)
			if c.Value != (operator == "==") {
				l.yes, l.no = l.no, l.yes
			}
			return l, true
		}
	}
	words, ok := constants(right, operator)
	if !ok || w.typ != mail.String {
		return literal{}, false
	}
	l := literal{w.key, []ask{v.oneOf(w, words, false)}, []ask{v.oneOf(w, words, true)}}
	if operator == "!=" {
		l.yes, l.no = l.no, l.yes
	}
	return l, true
}

// constants are the words that a value is compared with.
func constants(n ast.Node, operator string) ([]string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return []string{x.Value}, operator == "==" || operator == "!="
	case *ast.ArrayNode:
		var words []string
		for _, e := range x.Nodes {
			s, ok := e.(*ast.StringNode)
			if !ok {
				return nil, false
			}
			words = append(words, s.Value)
		}
		slices.Sort(words)
		return slices.Compact(words), operator == "in"
	}
	return nil, false
}

// oneOf asks for one of some words; of a value that can only be one of a few, those that are left are named.
func (v *vocabulary) oneOf(w *word, words []string, not bool) ask {
	all := v.facts[w.key].Values
	if w.kind == stateWord {
		all = stateNames
	}
	if all == nil || !not {
		return ask{words: words, not: not}
	}
	var left []string
	for _, s := range all {
		if !slices.Contains(words, s) {
			left = append(left, s)
		}
	}
	slices.Sort(left)
	return ask{words: left}
}

func numberOf(n ast.Node) (float64, bool) {
	switch x := n.(type) {
	case *ast.IntegerNode:
		return float64(x.Value), true
	case *ast.FloatNode:
		return x.Value, true
	case *ast.UnaryNode:
		f, ok := numberOf(x.Node)
		if x.Operator == "-" {
			f = -f
		}
		return f, ok && (x.Operator == "-" || x.Operator == "+")
	}
	return 0, false
}

func inRange(w *word, operator string, x float64) (literal, bool) {
	least, most := bound{at: math.Inf(-1)}, bound{at: math.Inf(1)}
	span := func(lo, hi bound) ask {
		if w.typ == mail.Int { // between whole numbers there is nothing
			if lo.open || lo.at != math.Floor(lo.at) {
				lo = bound{at: math.Floor(lo.at) + 1}
			}
			if hi.open || hi.at != math.Ceil(hi.at) {
				hi = bound{at: math.Ceil(hi.at) - 1}
			}
		}
		return ask{number: true, lo: lo, hi: hi}
	}
	open, closed := bound{x, true}, bound{x, false}
	below, upTo, from, above := span(least, open), span(least, closed), span(closed, most), span(open, most)
	switch operator {
	case "<":
		return literal{w.key, []ask{below}, []ask{from}}, true
	case "<=":
		return literal{w.key, []ask{upTo}, []ask{above}}, true
	case ">":
		return literal{w.key, []ask{above}, []ask{upTo}}, true
	case ">=":
		return literal{w.key, []ask{from}, []ask{below}}, true
	case "==":
		return literal{w.key, []ask{{number: true, lo: closed, hi: closed}}, []ask{below, above}}, true
	case "!=":
		return literal{w.key, []ask{below, above}, []ask{{number: true, lo: closed, hi: closed}}}, true
	}
	return literal{}, false
}

// and gives what fulfils both.
func (a ask) and(b ask) ask {
	if a.number != b.number {
		return a
	}
	if a.number {
		return ask{number: true, lo: higher(a.lo, b.lo), hi: lower(a.hi, b.hi)}
	}
	var words []string
	switch {
	case a.not && b.not:
		words = append(slices.Clone(a.words), b.words...)
		slices.Sort(words)
		return ask{not: true, words: slices.Compact(words)}
	case a.not:
		a, b = b, a
	}
	for _, w := range a.words {
		if slices.Contains(b.words, w) != b.not {
			words = append(words, w)
		}
	}
	return ask{words: words}
}

func higher(a, b bound) bound {
	if a.at > b.at || a.at == b.at && a.open {
		return a
	}
	return b
}

func lower(a, b bound) bound {
	if a.at < b.at || a.at == b.at && a.open {
		return a
	}
	return b
}

// empty reports whether nothing fulfils it.
func (a ask) empty() bool {
	if a.number {
		return a.lo.at > a.hi.at || a.lo.at == a.hi.at && (a.lo.open || a.hi.open)
	}
	return !a.not && len(a.words) == 0
}

// within reports whether all that fulfils a fulfils b.
func (a ask) within(b ask) bool {
	switch {
	case a.number != b.number:
		return false
	case a.number:
		return higher(a.lo, b.lo) == a.lo && lower(a.hi, b.hi) == a.hi
	case a.not && !b.not:
		return false
	case a.not:
		return !slices.ContainsFunc(b.words, func(w string) bool { return !slices.Contains(a.words, w) })
	}
	return !slices.ContainsFunc(a.words, func(w string) bool { return slices.Contains(b.words, w) == b.not })
}

// String names what is asked, for errors.
func (a ask) String() string {
	switch {
	case a.number && a.lo == a.hi:
		return "== " + strconv.FormatFloat(a.lo.at, 'g', -1, 64)
	case a.number && math.IsInf(a.lo.at, -1):
		return map[bool]string{true: "< ", false: "<= "}[a.hi.open] + strconv.FormatFloat(a.hi.at, 'g', -1, 64)
	case a.number:
		return map[bool]string{true: "> ", false: ">= "}[a.lo.open] + strconv.FormatFloat(a.lo.at, 'g', -1, 64)
	case a.not:
		return "!= " + oneOf(a.words)
	}
	return "== " + oneOf(a.words)
}
