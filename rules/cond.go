package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	efile "github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

type op int

const (
	opAtom op = iota
	opAnd
	opOr
	opNot
)

// cond is a condition cut at and, or and not. An atom is a program of its own that is only run when everything it reads
// is known.
type cond struct {
	op     op
	kids   []*cond
	prog   *vm.Program
	quick  truthOf // instead of prog, for the commonest forms; else nil
	reads  []int   // numbers of words
	weight int     // steps for each octet that is read; 0: next to nothing
	src    string

	literal literal // what an atom asks
	lists   bool    // it asks a list
	sum     uint64  // of src, and of the lists that it asks
	asks    bool    // it asks a group of the directory, whose members change
}

const (
	maxCondition = 8 << 10
	maxPattern   = 1000
)

// builtins are the functions of expr that conditions may use. The others are left out because they build values
// without bound, read the clock, or mean nothing for mail.
var builtins = []string{
	"all", "none", "any", "one", "count", "len", "lower", "upper", "trim", "hasPrefix", "hasSuffix",
	"abs", "min", "max", "round", "floor", "ceil", "int", "float", "string",
}

var binaryOps = []string{
	"and", "&&", "or", "||", "==", "!=", "<", "<=", ">", ">=", "in", "matches", "contains", "startsWith",
	"endsWith", "+", "-", "*", "/", "%",
}

// reader turns one `when` into a cond, and collects what is wrong with it.
type reader struct {
	env   *environment
	vocab *vocabulary
	d     *diagnostics
	f     *file
	val   *value
	tree  *parser.Tree
	runes []int // byte offset of each rune of the source
	bad   bool
	depth int // of predicates around the node
	reads map[int]bool
	lists map[string]bool
	asked bool // the atom at hand asks a list
}

// compile returns nil after errors.
func compile(env *environment, d *diagnostics, f *file, val *value) (*cond, *reader) {
	c := &reader{env: env, vocab: env.vocab, d: d, f: f, val: val, lists: map[string]bool{}}
	if len(val.str) > maxCondition {
		c.errorf(0, "the condition is longer than %d bytes", maxCondition)
		return nil, c
	}
	if !utf8.ValidString(val.str) {
		c.errorf(0, "the condition is not UTF-8")
		return nil, c
	}
	for i := range val.str {
		c.runes = append(c.runes, i)
	}
	tree, err := parser.ParseWithConfig(val.str, env.config())
	if err != nil {
		c.exprError(err)
		return nil, c
	}
	c.tree = tree
	root := c.split(tree.Node)
	if c.bad {
		return nil, c
	}
	return root, c
}

func (c *reader) errorf(rune int, format string, args ...any) {
	c.bad = true
	off := len(c.val.str)
	if rune < len(c.runes) {
		off = c.runes[rune]
	}
	if len(c.runes) == 0 {
		off = 0
	}
	c.d.errorf(c.f, c.val.within(off), format, args...)
}

func (c *reader) nodeError(n ast.Node, format string, args ...any) {
	c.errorf(n.Location().From, format, args...)
}

func (c *reader) exprError(err error) {
	var e *efile.Error
	if errors.As(err, &e) {
		message := plainer(e.Message)
		hint := typeHint(message)
		if hint == "" && isSyntax(message) {
			hint = conditionHint(c.val.str, e.From, message)
		}
		c.errorf(e.From, "in the condition: %s%s", message, hint)
		return
	}
	c.errorf(0, "in the condition: %s", plainer(err.Error()))
}

// isSyntax reports whether an error is of the grammar, not of types.
func isSyntax(message string) bool {
	return strings.HasPrefix(message, "unexpected") || strings.HasPrefix(message, "unrecognized") || strings.Contains(message, "char escape") || strings.HasPrefix(message, "literal")
}

// plainer says what expr says without its Go types and internal names.
func plainer(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.NewReplacer("[]string", "list of strings", "float64", "number", "[]interface {}", "list",
		"token Operator", "operator", "token Identifier", "name", "token EOF", "end").Replace(s)
}

// split cuts the tree at and, or and not; what is left between them becomes atoms.
func (c *reader) split(n ast.Node) *cond {
	switch x := n.(type) {
	case *ast.UnaryNode:
		if x.Operator == "not" || x.Operator == "!" {
			return &cond{op: opNot, kids: []*cond{c.split(x.Node)}}
		}
	case *ast.BinaryNode:
		switch x.Operator {
		case "and", "&&":
			return join(opAnd, c.split(x.Left), c.split(x.Right))
		case "or", "||":
			return join(opOr, c.split(x.Left), c.split(x.Right))
		}
	}
	return c.atom(n)
}

func join(o op, kids ...*cond) *cond {
	j := &cond{op: o}
	for _, k := range kids {
		if k != nil && k.op == o {
			j.kids = append(j.kids, k.kids...)
		} else {
			j.kids = append(j.kids, k)
		}
	}
	return j
}

func (c *reader) atom(n ast.Node) *cond {
	c.reads, c.asked = map[int]bool{}, false
	bad := c.bad
	c.bad = false
	n = c.rewrite(n)
	ok := !c.bad
	c.bad = c.bad || bad
	if !ok {
		return nil
	}
	a := &cond{op: opAtom, src: n.String()}
	for r := range c.reads {
		a.reads = append(a.reads, r)
	}
	slices.Sort(a.reads)
	var free bool
	a.quick, free = quick(n, c.vocab)
	a.literal, a.lists = literalOf(n, c.vocab), c.asked
	prog, err := c.env.program(n, c.tree.Source)
	if err != nil {
		c.exprError(err)
		return nil
	}
	a.prog = prog
	if !free {
		a.weight = weigh(n, c.vocab.lists)
	}
	for _, i := range a.reads {
		w := c.vocab.words[i]
		w.machine = w.machine || a.quick == nil
	}
	return a
}

// rewrite checks a node and returns it with every name flattened to one identifier. Go on after an error, so that all of
// them are reported.
func (c *reader) rewrite(n ast.Node) ast.Node {
	switch x := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode, *ast.BoolNode:
		return n
	case *ast.IdentifierNode:
		c.identifier(x)
	case *ast.MemberNode:
		return c.member(x)
	case *ast.UnaryNode:
		x.Node = c.rewrite(x.Node)
	case *ast.BinaryNode:
		return c.binary(x)
	case *ast.ArrayNode:
		c.all(x.Nodes)
	case *ast.CallNode:
		return c.call(x)
	case *ast.BuiltinNode:
		c.builtin(x)
	case *ast.PredicateNode:
		c.depth++
		x.Node = c.rewrite(x.Node)
		c.depth--
	case *ast.PointerNode:
		if x.Name != "" {
			c.nodeError(n, "#%s is not available; # is the entry itself", x.Name)
		}
	default:
		c.nodeError(n, "%s cannot be used in a condition", construct(n))
	}
	return n
}

func (c *reader) all(nodes []ast.Node) {
	for i := range nodes {
		nodes[i] = c.rewrite(nodes[i])
	}
}

func construct(n ast.Node) string {
	switch n.(type) {
	case *ast.NilNode:
		return "nil (ask <check>.state whether something is known)"
	case *ast.ConditionalNode:
		return "?: (write it with and, or)"
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		return "let and ;"
	case *ast.SliceNode:
		return "[from:to]"
	case *ast.MapNode, *ast.PairNode:
		return "{ }"
	case *ast.ChainNode:
		return "?."
	}
	return "this"
}

func (c *reader) binary(x *ast.BinaryNode) ast.Node {
	if !slices.Contains(binaryOps, x.Operator) {
		c.nodeError(x, "the operator %s cannot be used in a condition", x.Operator)
		return x
	}
	if m, ok := x.Right.(*ast.MemberNode); ok && x.Operator == "in" {
		if base, ok := m.Node.(*ast.IdentifierNode); ok && base.Value == "lists" {
			return c.inList(x, m)
		}
	}
	if x.Operator == "matches" {
		c.pattern(x)
	}
	x.Left, x.Right = c.rewrite(x.Left), c.rewrite(x.Right)
	c.value(x)
	return x
}

// String gives the condition for error messages and tests.
func (c *cond) String() string {
	switch c.op {
	case opNot:
		return "not " + c.kids[0].String()
	case opAnd, opOr:
		parts := make([]string, len(c.kids))
		for i, k := range c.kids {
			parts[i] = k.String()
		}
		return fmt.Sprintf("(%s)", strings.Join(parts, map[op]string{opAnd: " and ", opOr: " or "}[c.op]))
	}
	return c.src
}
