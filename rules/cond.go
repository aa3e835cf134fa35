package rules

import (
	"errors"
	"fmt"
	"regexp"
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
	op    op
	kids  []*cond
	prog  *vm.Program
	quick func(env map[string]any) bool // instead of prog, for the commonest forms
	reads []int                         // numbers of words
	src   string
}

const (
	maxCondition = 8 << 10
	maxPattern   = 1000
)

// builtins are the functions of expr that conditions may use. The others are left out because they build values
// without bound, read the clock, or mean nothing for mail.
var builtins = []string{"all", "none", "any", "one", "count", "len", "lower", "upper", "trim", "hasPrefix", "hasSuffix",
	"abs", "min", "max", "round", "floor", "ceil", "int", "float", "string"}

var binaryOps = []string{"and", "&&", "or", "||", "==", "!=", "<", "<=", ">", ">=", "in", "matches", "contains", "startsWith",
	"endsWith", "+", "-", "*", "/", "%"}

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
		c.errorf(e.From, "in the condition: %s", plainer(e.Message))
		return
	}
	c.errorf(0, "in the condition: %s", plainer(err.Error()))
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
	c.reads = map[int]bool{}
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
	a.quick = quick(n, c.vocab)
	prog, err := c.env.program(n, c.tree.Source)
	if err != nil {
		c.exprError(err)
		return nil
	}
	a.prog = prog
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

func (c *reader) identifier(x *ast.IdentifierNode) {
	if slices.Contains(c.vocab.bases(), x.Value) {
		c.nodeError(x, "%q needs a name behind a dot, such as %s", x.Value, c.example(x.Value))
		return
	}
	for _, full := range c.vocab.names() {
		if strings.HasSuffix(full, "."+x.Value) {
			c.nodeError(x, "unknown name %q; did you mean %q?", x.Value, full)
			return
		}
	}
	known := slices.Concat(c.vocab.names(), c.vocab.bases())
	c.nodeError(x, "unknown name %q%s", x.Value, suggest(x.Value, known))
}

func (c *reader) example(base string) string {
	if base == "lists" {
		return "address in lists.NAME"
	}
	for _, n := range c.vocab.names() {
		if strings.HasPrefix(n, base+".") {
			return n
		}
	}
	return base + ".state"
}

func (c *reader) member(x *ast.MemberNode) ast.Node {
	base, ok1 := x.Node.(*ast.IdentifierNode)
	prop, ok2 := x.Property.(*ast.StringNode)
	if !ok1 || !ok2 || x.Optional {
		c.nodeError(x, "entries of a list are asked for with any(list, # == \"…\"), and facts as check.name")
		return x
	}
	if base.Value == "lists" {
		c.nodeError(base, "a list stands on the right of in: from.address in lists.%s", prop.Value)
		return x
	}
	i, ok := c.vocab.member(base.Value, prop.Value)
	if !ok {
		c.unknownFact(base, prop)
		return x
	}
	if c.depth > 0 && c.vocab.words[i].key == "message.text" {
		c.nodeError(base, "message.text cannot be read inside %s: it would be searched once for every entry", "any(), all(), …")
	}
	c.reads[i] = true
	return named(c.vocab.words[i].key, base)
}

func (c *reader) unknownFact(base *ast.IdentifierNode, prop *ast.StringNode) {
	full := base.Value + "." + prop.Value
	if !slices.Contains(c.vocab.bases(), base.Value) {
		hint := suggest(full, c.vocab.names())
		if hint == "" {
			hint = suggest(base.Value, c.vocab.bases())
		}
		c.nodeError(base, "unknown fact %q%s", full, hint)
		return
	}
	var own []string
	for _, n := range c.vocab.names() {
		if strings.HasPrefix(n, base.Value+".") {
			own = append(own, n)
		}
	}
	c.nodeError(prop, "unknown fact %q%s", full, suggest(full, own))
}

func named(key string, at ast.Node) ast.Node {
	id := &ast.IdentifierNode{Value: key}
	id.SetLocation(at.Location())
	return id
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
	c.stateValue(x)
	return x
}

// inList turns `x in lists.name` into a call that looks x up by hash and by network.
func (c *reader) inList(x *ast.BinaryNode, m *ast.MemberNode) ast.Node {
	x.Left = c.rewrite(x.Left)
	prop, ok := m.Property.(*ast.StringNode)
	if !ok {
		c.nodeError(m, "a list is named as lists.NAME")
		return x
	}
	if c.vocab.lists[prop.Value] == nil {
		c.nodeError(prop, "unknown list %q%s", prop.Value, suggest(prop.Value, keysOf(c.vocab.lists)))
		return x
	}
	c.lists[prop.Value] = true
	call := &ast.CallNode{Callee: named(inListFunc, x), Arguments: []ast.Node{x.Left, named("lists."+prop.Value, m)}}
	call.SetLocation(x.Location())
	return call
}

// pattern checks a regular expression (RE2: its time is linear in the text).
func (c *reader) pattern(x *ast.BinaryNode) {
	s, ok := x.Right.(*ast.StringNode)
	switch {
	case !ok:
		c.nodeError(x.Right, "the pattern of matches must be a string written here")
	case len(s.Value) > maxPattern:
		c.nodeError(s, "the pattern is longer than %d bytes", maxPattern)
	default:
		if _, err := regexp.Compile(s.Value); err != nil {
			c.nodeError(s, "the pattern is not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
}

// stateValue finds misspelt states, which would never be equal.
func (c *reader) stateValue(x *ast.BinaryNode) {
	id, ok := x.Left.(*ast.IdentifierNode)
	if !ok || !strings.HasSuffix(id.Value, ".state") {
		return
	}
	for _, s := range stringsOf(x.Right) {
		if !slices.Contains(stateNames, s.Value) {
			c.nodeError(s, "a check's state is ok, skipped, temperror or pending, never %q%s", s.Value, suggest(s.Value, stateNames))
		}
	}
}

func stringsOf(n ast.Node) []*ast.StringNode {
	switch x := n.(type) {
	case *ast.StringNode:
		return []*ast.StringNode{x}
	case *ast.ArrayNode:
		var all []*ast.StringNode
		for _, e := range x.Nodes {
			all = append(all, stringsOf(e)...)
		}
		return all
	}
	return nil
}

func (c *reader) builtin(x *ast.BuiltinNode) {
	if !slices.Contains(builtins, x.Name) {
		c.nodeError(x, "unknown function %q%s", x.Name, suggest(x.Name, c.functions()))
		return
	}
	if c.depth > 0 && slices.ContainsFunc(x.Arguments, func(n ast.Node) bool { _, ok := n.(*ast.PredicateNode); return ok }) {
		c.nodeError(x, "%s() cannot stand inside another any(), all(), …: nested, they take too long", x.Name)
		return
	}
	c.all(x.Arguments)
}

func (c *reader) functions() []string {
	return slices.Concat(builtins, []string{"symbol", "header", "headers"}, keysOf(functions))
}

func (c *reader) call(x *ast.CallNode) ast.Node {
	id, ok := x.Callee.(*ast.IdentifierNode)
	if !ok {
		c.nodeError(x, "facts are not functions")
		return x
	}
	switch id.Value {
	case "symbol", "header", "headers":
		return c.lookup(x, id)
	}
	fn, ok := functions[id.Value]
	if !ok {
		c.nodeError(x, "unknown function %q%s", id.Value, suggest(id.Value, c.functions()))
		return x
	}
	if len(x.Arguments) == 2 {
		if err := fn.check(x.Arguments[1]); err != nil {
			c.nodeError(x.Arguments[1], "%s: %s", id.Value, err)
		}
	}
	c.all(x.Arguments)
	return x
}

// lookup handles the functions whose argument must be known now.
func (c *reader) lookup(x *ast.CallNode, id *ast.IdentifierNode) ast.Node {
	example := map[string]string{"symbol": "SPF_FAIL", "header": "List-Id", "headers": "Received"}
	var arg *ast.StringNode
	if len(x.Arguments) == 1 {
		arg, _ = x.Arguments[0].(*ast.StringNode)
	}
	if arg == nil {
		c.nodeError(x, "%s takes one name as a string written here: %s(%q)", id.Value, id.Value, example[id.Value])
		return x
	}
	var i int
	if id.Value == "symbol" {
		if _, ok := c.vocab.symbols[arg.Value]; !ok {
			c.nodeError(arg, "unknown symbol %q%s", arg.Value, suggest(arg.Value, keysOf(c.vocab.symbols)))
			return x
		}
		i = c.vocab.symbol(arg.Value)
	} else {
		if !isFieldName(arg.Value) {
			c.nodeError(arg, "%q is not the name of a header field", arg.Value)
			return x
		}
		i = c.vocab.header(id.Value, arg.Value)
	}
	c.reads[i] = true
	return named(c.vocab.words[i].key, x)
}

// isFieldName follows RFC 5322 section 3.6.8.
func isFieldName(s string) bool {
	return s != "" && len(s) < 100 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 127 || r == ':' })
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
