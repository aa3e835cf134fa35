package reputation

import (
	"fmt"
	"testing"
)

// everybodysModel has learned that "sale" is spam's and "minutes" good mail's.
func everybodysModel() *Model {
	m := NewModel()
	for i := range 300 {
		m.learn(Spam, []string{"sale", "pills", fmt.Sprint("s", i)}, 1)
		m.learn(Ham, []string{"minutes", "meeting", fmt.Sprint("h", i)}, 1)
	}
	return m
}

func TestMix(t *testing.T) {
	all := everybodysModel()
	person := func(ham int) *Model {
		m := NewModel()
		for i := range ham {
			m.learn(Ham, []string{"sale", "shop", fmt.Sprint("p", i)}, 1)
		}
		return m
	}
	tokens := []string{"sale", "shop", "unheard"}
	before := all.Score(tokens).Z
	if before < 1 {
		t.Fatalf("sale is spam for all: %v", before)
	}
	z := func(n int) float64 {
		return Mix{all, []layer{{"a@example.jp", person(n)}}}.Score(tokens).Z
	}
	if got := z(personConfidence.Enough - 1); got != before {
		t.Errorf("counts before it is enough: %v, not %v", got, before)
	}
	last := before
	for _, n := range []int{personConfidence.Enough, 30, 100, 400} {
		if got := z(n); got >= last {
			t.Errorf("with %d mails of his own z is %v, which is no less than %v", n, got, last)
		} else {
			last = got
		}
	}
	if last > 0 {
		t.Errorf("a person who released 400 sales still gets %v", last)
	}
	// The rate is what the comment says: 30 of his own 30 mails had the word, and none of everybody's 300.
	own := person(30)
	r := all.rates(tokens)
	a := 30.0 / (30 + 50)
	want := score(tokens, rates{
		ham: []float64{a, a, 0}, spam: r.spam, n: []float64{300, 30, 0}, both: true,
	}).Z
	if got := (Mix{all, []layer{{"a@example.jp", own}}}).Score(tokens).Z; got != want {
		t.Errorf("z is %v, by the formula %v", got, want)
	}
	// Nobody else's mail changes, and without mails of both classes nothing is said.
	if got := (Mix{all, nil}).Score(tokens).Z; got != before {
		t.Errorf("%v", got)
	}
	if got := (Mix{NewModel(), []layer{{"a@example.jp", own}}}).Score(tokens); got.Z != 0 {
		t.Errorf("%+v", got)
	}
}

func TestScopes(t *testing.T) {
	for text, want := range map[string]Scope{"all": "", "@Example.JP": "@example.jp", "A.b@Example.jp": "a.b@example.jp"} {
		if got, ok := ParseScope(text); !ok || got != want {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{"@", "@a b", "example.jp", "a@", "x y@example.jp"} {
		if got, ok := ParseScope(text); ok {
			t.Errorf("%s is read as %q", text, got)
		}
	}
	if s := Scope("a@example.jp"); s.Above() != "@example.jp" || s.Above().Above() != Everybody || s.Domain() || !s.Above().Domain() {
		t.Errorf("%q %q", s.Above(), s.Above().Above())
	}
}
