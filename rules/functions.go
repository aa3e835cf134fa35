package rules

import (
	"errors"
	"net/netip"
	"path"
	"strings"

	"github.com/expr-lang/expr/ast"
	"golang.org/x/net/publicsuffix"
)

// function is one of our own functions. check looks at the last of two arguments at load; nil: there is nothing to look at.
type function struct {
	run   func(params ...any) (any, error)
	typ   any
	check func(ast.Node) error
	cost  int // steps for each octet that it is given, see cost.go
}

var functions = map[string]function{
	"in_network":  {run: inNetwork, typ: new(func(string, string) bool), check: checkNetwork, cost: 2},
	"under":       {run: under, typ: new(func(string, string) bool), check: checkDomain, cost: 4},
	"glob":        {run: glob, typ: new(func(string, string) bool), check: checkGlob, cost: 20},
	"registrable": {run: registrable, typ: new(func(string) string), cost: 8},
	"resembles":   {run: resembles, typ: new(func(string, *list) bool), cost: 200},
	"looks_like":  {run: looksLike, typ: new(func(string, string) bool), check: checkLooksLike, cost: 30},
}

func inNetwork(params ...any) (any, error) {
	ip, err := netip.ParseAddr(params[0].(string))
	if err != nil {
		return false, nil
	}
	p, err := parseNetwork(params[1].(string))
	if err != nil {
		return nil, err
	}
	return p.Contains(ip.Unmap().WithZone("")), nil
}

func checkNetwork(n ast.Node) error {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return errors.New("the network must be a string written here")
	}
	_, err := parseNetwork(s.Value)
	return err
}

// under reports whether a domain is the second one or below it.
func under(params ...any) (any, error) {
	d, top := strings.ToLower(params[0].(string)), strings.ToLower(strings.TrimPrefix(params[1].(string), "."))
	return d == top || strings.HasSuffix(d, "."+top), nil
}

func checkDomain(n ast.Node) error {
	if s, ok := n.(*ast.StringNode); ok && strings.Trim(s.Value, ".") == "" {
		return errors.New("the domain is empty")
	}
	return nil
}

// glob compares without regard to case; * stands for any run of characters but "/", ? for one.
func glob(params ...any) (any, error) {
	return path.Match(strings.ToLower(params[1].(string)), strings.ToLower(params[0].(string)))
}

func checkGlob(n ast.Node) error {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return errors.New("the pattern must be a string written here")
	}
	if _, err := path.Match(s.Value, ""); err != nil {
		return errors.New("the pattern has a [ without its ]")
	}
	return nil
}

// registrable is the domain that somebody can register (example.co.jp for mail.example.co.jp), by the public suffix list; of a
// suffix or what is no domain it is the name itself.
func registrable(params ...any) (any, error) { return registrableOf(params[0].(string)), nil }

func registrableOf(name string) string {
	d := strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(d); err == nil || strings.HasPrefix(d, "[") {
		return d
	}
	if top, err := publicsuffix.EffectiveTLDPlusOne(d); err == nil {
		return top
	}
	return d
}

// looksLike reports whether a text holds what a reader would take for the second one.
func looksLike(params ...any) (any, error) {
	return strings.Contains(skeleton(params[0].(string)), skeleton(params[1].(string))), nil
}

func checkLooksLike(n ast.Node) error {
	if s, ok := n.(*ast.StringNode); ok && len([]rune(skeleton(s.Value))) < 3 {
		return errors.New("what is looked for has fewer than three letters, and would be found everywhere")
	}
	return nil
}
