package rules

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

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
	if _, ok := c.vocab.symbols[x.Value]; ok {
		c.nodeError(x, "%q is what a check finds; it is asked for with symbol(%q)", x.Value, x.Value)
		return
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
	c.lists[prop.Value], c.asked = true, true
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
			c.nodeError(s, "the pattern is not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: ")+patternHint(err.Error()))
		} else if n := instructions(s.Value); n > maxInsts {
			c.nodeError(s, "the pattern is too large: with its repetitions it has %d steps, at most %d are allowed", n, maxInsts)
		}
	}
}

// patternHint says what RE2 leaves out.
func patternHint(message string) string {
	switch {
	case strings.Contains(message, "Perl syntax"):
		return "; look-ahead and look-behind are not available: write a second condition with and not"
	case strings.Contains(message, "invalid escape sequence"):
		return "; references back to a group are not available, and letters that mean nothing are not escaped"
	}
	return ""
}

// value finds misspelt values, which would never be equal.
func (c *reader) value(x *ast.BinaryNode) {
	id, ok := x.Left.(*ast.IdentifierNode)
	if !ok || x.Operator != "==" && x.Operator != "!=" && x.Operator != "in" {
		return
	}
	if strings.HasSuffix(id.Value, ".state") {
		for _, s := range stringsOf(x.Right) {
			if !slices.Contains(stateNames, s.Value) {
				c.nodeError(s, "a check's state is ok, skipped, temperror or pending, never %q%s", s.Value, suggest(s.Value, stateNames))
			}
		}
		return
	}
	f := c.vocab.facts[id.Value]
	for _, s := range stringsOf(x.Right) {
		switch {
		case f.Values != nil && !slices.Contains(f.Values, s.Value):
			c.nodeError(s, "%s is %s, never %q%s", f.Name, oneOf(f.Values), s.Value, suggest(s.Value, f.Values))
		case isCountry[f.Name] && !countryCode(s.Value):
			c.nodeError(s, "%s is a code of two capital letters such as JP, never %q", f.Name, s.Value)
		}
	}
}

// isCountry names the facts that are codes of ISO 3166-1.
var isCountry = map[string]bool{"geoip.country": true, "geoip.registered": true}

func countryCode(s string) bool {
	return s == "" || len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// oneOf lists values as people do: "a", "b" or "c".
func oneOf(values []string) string {
	var b strings.Builder
	for i, v := range values {
		switch {
		case i == 0:
		case i == len(values)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(v))
	}
	return b.String()
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
	return slices.Concat(builtins, []string{"symbol"}, keysOf(headerKinds), keysOf(functions))
}

func (c *reader) call(x *ast.CallNode) ast.Node {
	if n := c.attribute(x); n != nil {
		return n
	}
	id, ok := x.Callee.(*ast.IdentifierNode)
	if !ok {
		c.nodeError(x, "facts are not functions; what stands in a text is asked for with message.subject contains \"…\"")
		return x
	}
	switch id.Value {
	case "resembles":
		return c.resembles(x)
	case "attr", "attrs":
		c.nodeError(x, "unknown function %q; did you mean \"rcpt.%s\"?", id.Value, id.Value)
		return x
	case "symbol", "header", "headers", "raw_header", "raw_headers":
		return c.lookup(x, id)
	}
	fn, ok := functions[id.Value]
	if !ok {
		c.nodeError(x, "unknown function %q%s", id.Value, suggest(id.Value, c.functions()))
		return x
	}
	if len(x.Arguments) == 2 && fn.check != nil {
		if err := fn.check(x.Arguments[1]); err != nil {
			c.nodeError(x.Arguments[1], "%s: %s", id.Value, err)
		}
	}
	c.all(x.Arguments)
	return x
}

// lookup handles the functions whose argument must be known now.
func (c *reader) lookup(x *ast.CallNode, id *ast.IdentifierNode) ast.Node {
	example := map[string]string{"symbol": "SPF_FAIL", "header": "List-Id", "headers": "Received", "raw_header": "Subject", "raw_headers": "From"}
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
