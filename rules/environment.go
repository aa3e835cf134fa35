package rules

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	efile "github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"sekimori/internal/mail"
)

// environment is what conditions are compiled against.
type environment struct {
	vocab     *vocabulary
	reachable func(mail.Address) error // nil: every address will do
	domains   []string                 // ours; nil: every domain will do
	today     string
	soon      string // the last day that is near
}

// inListFunc cannot be written in a condition: it holds a space.
const inListFunc = "in list"

// config makes a fresh configuration for expr; natures are cached in it, so it is used for one tree.
func (e *environment) config() *conf.Config {
	c := conf.CreateNew()
	env := types.Map{}
	for _, w := range e.vocab.words {
		env[w.key] = types.TypeOf(reflect.Zero(goTypes[w.typ]).Interface())
	}
	for name := range e.vocab.lists {
		env["lists."+name] = types.TypeOf((*list)(nil))
	}
	c.WithEnv(env)
	for name, f := range functions {
		expr.Function(name, f.run, f.typ)(c)
	}
	expr.Function(inListFunc, inList, new(func(string, *list) bool))(c)
	c.Expect = reflect.Bool
	c.MaxNodes = 2000
	return c
}

// program type-checks and compiles one atom.
func (e *environment) program(n ast.Node, src efile.Source) (*vm.Program, error) {
	c := e.config()
	tree := &parser.Tree{Node: n, Source: src}
	typ, err := checker.Check(tree, c)
	if err != nil {
		return nil, located(err, n)
	}
	if typ.Kind() != reflect.Bool {
		return nil, located(fmt.Errorf("%s is neither true nor false; compare it with something", typ), n)
	}
	if err := optimizer.Optimize(&tree.Node, c); err != nil {
		return nil, err
	}
	return compiler.Compile(tree, c)
}

// located gives an error without a place the place of the node.
func located(err error, n ast.Node) error {
	var e *efile.Error
	if errors.As(err, &e) {
		return err
	}
	msg := err.Error()
	if rest, ok := strings.CutPrefix(msg, "expected bool, but got "); ok {
		msg = fmt.Sprintf("this is of type %s, neither true nor false; compare it with something", rest)
	}
	return &efile.Error{Location: n.Location(), Message: msg}
}

func inList(params ...any) (any, error) {
	return params[1].(*list).has(params[0].(string))
}
