package rules

import (
	"fmt"
	"strings"

	"sekimori/internal/mail"
)

// test is one [[rule.test]].
type test struct {
	off    int
	expect tri
	given  map[int]any      // by the number of the word
	lists  map[string]*list // instead of the real ones
}

// TestResult is the outcome of one [[rule.test]].
type TestResult struct {
	RuleID string
	Place  string // file:line of the test
	Want   string // hit, miss or unknown
	Got    string
}

// OK reports whether the rule did what its test expects.
func (t TestResult) OK() bool { return t.Want == t.Got }

// String gives one line for `rules check`.
func (t TestResult) String() string {
	if t.OK() {
		return fmt.Sprintf("%s: %s: ok (%s)", t.Place, t.RuleID, t.Got)
	}
	return fmt.Sprintf("%s: %s: expected %s, got %s", t.Place, t.RuleID, t.Want, t.Got)
}

var expectations = map[string]tri{"hit": hit, "miss": miss, "unknown": unknown}

func (x *decoder) tests(r *rule, t *table) {
	e := t.get("test")
	if e == nil {
		return
	}
	if e.val.kind != kindArray {
		x.errorf(e.off, "tests are written as [[rule.test]]")
		return
	}
	for _, v := range e.val.items {
		if v.kind != kindTable {
			x.errorf(v.off, "tests are written as [[rule.test]]")
			continue
		}
		x.test(r, v.tab)
	}
}

func (x *decoder) test(r *rule, t *table) {
	x.unknownKeys(t, []string{"expect", "given"}, "[[rule.test]]")
	out := test{off: t.off, given: map[int]any{}, lists: map[string]*list{}}
	want, off := x.str(t, "expect")
	var ok bool
	if out.expect, ok = expectations[want]; !ok && !t.broken {
		x.errorf(off, "expect is hit, miss or unknown%s", suggest(want, keysOf(expectations)))
	}
	if e := t.get("given"); x.want(e, kindTable) {
		x.givens(&out, "", e.val.tab)
	}
	r.tests = append(r.tests, out)
}

// givens takes "geoip.country" = "JP" in quotes and geoip.country = "JP" without.
func (x *decoder) givens(out *test, prefix string, t *table) {
	for _, e := range t.keys {
		key := prefix + e.name
		if e.val.kind == kindTable {
			x.givens(out, key+".", e.val.tab)
			continue
		}
		x.given(out, key, e)
	}
}

func (x *decoder) given(out *test, key string, e *entry) {
	base, name, _ := strings.Cut(key, ".")
	v := x.env.vocab
	var i int
	switch base {
	case "lists":
		x.givenList(out, name, e)
		return
	case "symbol":
		if _, ok := v.symbols[name]; !ok {
			x.errorf(e.off, "unknown symbol %q%s", name, suggest(name, keysOf(v.symbols)))
			return
		}
		i = v.symbol(name)
	case "header", "headers", "raw_header", "raw_headers":
		i = v.header(base, name)
	default:
		var ok bool
		if i, ok = v.member(base, name); !ok {
			x.errorf(e.off, "%s", v.noFact(key))
			return
		}
	}
	val, ok := convert(e.val, v.words[i].typ)
	if !ok {
		x.errorf(e.val.off, "%s is %s, not %s", key, typeNames[v.words[i].typ], e.val.kind)
		return
	}
	out.given[i] = val
}

func convert(v *value, t mail.FactType) (any, bool) {
	switch {
	case t == mail.Bool && v.kind == kindBool:
		return v.b, true
	case t == mail.Int && v.kind == kindInt:
		return v.int, true
	case t == mail.Float && (v.kind == kindInt || v.kind == kindFloat):
		return v.num, true
	case t == mail.String && v.kind == kindString:
		return v.str, true
	case t == mail.Strings && v.kind == kindArray:
		all := []string{}
		for _, s := range v.items {
			if s.kind != kindString {
				return nil, false
			}
			all = append(all, s.str)
		}
		return all, true
	}
	return nil, false
}

func (x *decoder) givenList(out *test, name string, e *entry) {
	if x.env.vocab.lists[name] == nil {
		x.errorf(e.off, "unknown list %q%s", name, suggest(name, keysOf(x.env.vocab.lists)))
		return
	}
	entries, ok := convert(e.val, mail.Strings)
	if !ok {
		x.errorf(e.val.off, "lists.%s is a list of strings", name)
		return
	}
	l := newList(name)
	l.kind = x.env.vocab.lists[name].kind
	for _, s := range entries.([]string) {
		if err := l.add(s, 0, l.kind); err != nil {
			x.errorf(e.val.off, "%q: %s", clip(s, 80), err)
		}
	}
	l.index()
	if l.kind != namesOnly {
		_ = l.resemble() // a list of few entries has no reason to fail
	}
	out.lists[name] = l
}

// Test runs every [[rule.test]], in the order of the rules. Facts that a test does not give are unknown; lists that it
// does not give are empty, so that a test does not change with the administrator's entries.
func (p *Policy) Test() []TestResult {
	var results []TestResult
	for _, r := range p.rules {
		for _, t := range r.tests {
			s := newState(p.vocab)
			for name := range p.vocab.lists {
				s.env["lists."+name] = newList(name)
			}
			for name, l := range t.lists {
				s.env["lists."+name] = l
			}
			for i, v := range t.given {
				s.set(i, v)
			}
			results = append(results, TestResult{
				RuleID: r.id, Place: fmt.Sprintf("%s:%d", r.f.path, r.f.line(t.off)),
				Want: t.expect.String(), Got: s.eval(r.cond).String(),
			})
		}
	}
	return results
}
