package rules

import (
	"regexp/syntax"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// What a condition costs is counted in steps, not in time, so that the same mail is judged in the same way on a slow machine, on a
// busy one, and again in a replay. A step took 1 ns for usual text and 7 ns for text made to be slow (BenchmarkHostile).
// Predicates do not nest and regular expressions take time linear in the text, so the steps of a condition are the octets that it
// reads times a weight that is known when the rules are loaded.
const (
	ruleBudget = 50_000_000  // steps of one rule over one mail
	mailBudget = 200_000_000 // of all rules over one mail, for all its recipients
	callSteps  = 200         // to start the machine
	entrySteps = 16          // for an entry of a list, beside its octets
	maxInsts   = 5000        // of a compiled pattern; repetition makes it larger than it is written
)

// Text is cut at maxTextFact, and so are all entries of a list together.

var builtinSteps = map[string]int{"lower": 6, "upper": 6, "trim": 2, "string": 2, "int": 2, "float": 2}

var operatorSteps = map[string]int{"contains": 2, "startsWith": 1, "endsWith": 1, "==": 1, "!=": 1, "in": 2, "+": 2, "<": 1, "<=": 1, ">": 1, ">=": 1}

// weigh gives the steps that a checked atom needs for each octet that it reads. The lists are those that it asks.
func weigh(n ast.Node, lists map[string]*list) int {
	v := &weigher{lists: lists}
	ast.Walk(&n, v)
	return v.steps
}

type weigher struct {
	steps int
	lists map[string]*list
}

// Visit implements ast.Visitor.
func (v *weigher) Visit(n *ast.Node) {
	switch x := (*n).(type) {
	case *ast.BinaryNode:
		v.steps += operatorSteps[x.Operator]
		if s, ok := x.Right.(*ast.StringNode); ok && x.Operator == "matches" {
			v.steps += 10 + instructions(s.Value)
		}
		if a, ok := x.Right.(*ast.ArrayNode); ok && x.Operator == "in" {
			v.steps += len(a.Nodes) / 8
		}
	case *ast.BuiltinNode:
		v.steps += 1 + builtinSteps[x.Name]
	case *ast.CallNode:
		if id, ok := x.Callee.(*ast.IdentifierNode); ok {
			v.steps += 4 + functions[id.Value].cost + v.list(x)
		}
	}
}

// list is what asking a list adds, by what it holds. A look-up by hash takes a few for each label of a domain and each length of a network; names
// are found in one pass over the skeleton of the text (nameIndex), however many there are; resembles() compares with those entries that are
// one letter away, of which a list may have many.
func (v *weigher) list(x *ast.CallNode) int {
	if len(x.Arguments) != 2 {
		return 0
	}
	id, ok := x.Arguments[1].(*ast.IdentifierNode)
	if !ok {
		return 0
	}
	l := v.lists[strings.TrimPrefix(id.Value, "lists.")]
	switch {
	case l == nil:
		return 0
	case l.kind == namesOnly:
		return functions["looks_like"].cost + 20
	case l.like != nil && x.Callee.(*ast.IdentifierNode).Value == "resembles":
		return 8 * l.like.most
	case l.member != nil:
		return 50
	}
	return len(l.bits[0]) + len(l.bits[1])
}

// instructions is the size of a pattern when it is compiled: each octet of a text is held against at most so many.
func instructions(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst)
}

// octets is how much there is to read in a value.
func octets(v any) int {
	switch x := v.(type) {
	case string:
		return len(x)
	case []string:
		n := entrySteps * len(x)
		for _, s := range x {
			n += len(s)
		}
		return n
	}
	return 8
}

// bounded cuts a value to what conditions may read: at most 500 entries, and 256 KiB of text in all.
func bounded(v any) any {
	switch x := v.(type) {
	case string:
		if len(x) > maxTextFact {
			return clip(x, maxTextFact)
		}
	case []string:
		total := 0
		for i, s := range x {
			if total += len(s); i >= maxListFact || total > maxTextFact {
				return x[:i]
			}
		}
	}
	return v
}

// spend charges a condition before it is evaluated, and says whether it may be.
func (s *state) spend(c *cond) bool {
	if c.weight == 0 {
		return true
	}
	n := callSteps
	for _, r := range c.reads {
		n += c.weight * s.octets[r]
	}
	switch {
	case s.rule+n > ruleBudget:
		s.over = true
		return false
	case s.mail+n > mailBudget:
		s.fail("the rules take too long over this mail")
		return false
	}
	s.rule += n
	s.mail += n
	return true
}
