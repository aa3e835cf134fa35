package rules

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// randomCondition makes conditions of few values, so that they often contradict or imply each other.
func randomCondition(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(3) > 0 {
		a, b := randomCondition(r, depth-1), randomCondition(r, depth-1)
		switch r.IntN(3) {
		case 0:
			return "(" + a + " and " + b + ")"
		case 1:
			return "(" + a + " or " + b + ")"
		}
		return "not (" + a + ")"
	}
	results := []string{"pass", "fail", "none"}
	numbers := []string{"==", "!=", "<", "<=", ">", ">="}
	switch r.IntN(7) {
	case 0:
		return fmt.Sprintf("spf.result == %q", results[r.IntN(3)])
	case 1:
		return fmt.Sprintf("spf.result in [%q, %q]", results[r.IntN(3)], results[r.IntN(3)])
	case 2:
		return fmt.Sprintf("from.domain != %q", results[r.IntN(3)])
	case 3:
		return fmt.Sprintf("dnsbl.count %s %d", numbers[r.IntN(6)], r.IntN(3))
	case 4:
		return fmt.Sprintf("%d.5 %s bayes.z", r.IntN(3), numbers[r.IntN(6)])
	case 5:
		return "client.trusted"
	}
	return `from.domain contains "a"`
}

// What is said of conditions when they are loaded holds for every mail: what can never be true never is, and a rule that shadows
// another is true whenever that is, unknown values included.
func TestLogicHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	never, shadowed := 0, 0
	for range 150 {
		a, b := randomCondition(r, 2), randomCondition(r, 3)
		dir := t.TempDir()
		text := ""
		for id, when := range map[string]string{"A": a, "B": b} {
			text += fmt.Sprintf("[[rule]]\nid = %q\ndescribe = { ja = \"あ\", en = \"a\" }\nwhen = '%s'\naction = \"tag\"\nat = \"conclude\"\n", id, when)
		}
		write(t, filepath.Join(dir, "a.toml"), text)
		o := fixtureOptions()
		o.Dir = dir
		p, err := Load(o)
		if err != nil {
			if !strings.Contains(err.Error(), "can never be true") {
				t.Fatalf("%s / %s: %v", a, b, err)
			}
			never++
			continue
		}
		var first, second *rule
		for _, x := range p.rules {
			switch x.id {
			case "A":
				first = x
			case "B":
				second = x
			}
		}
		if !first.shadows(second, p) {
			continue
		}
		shadowed++
		for range 200 {
			s := newState(p.vocab)
			randomFacts(r, s)
			if s.eval(second.cond) == hit && s.eval(first.cond) != hit {
				t.Fatalf("%s\ndoes not follow from\n%s\nfor %v", a, b, s.env)
			}
		}
	}
	if never == 0 || shadowed < 5 {
		t.Errorf("%d contradictions and %d shadows were tried", never, shadowed)
	}
}

// TestNeverIsNever evaluates what is refused as never true.
func TestNeverIsNever(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tried := 0
	for range 2000 {
		v := newVocabulary(fixtureOptions())
		env := &environment{vocab: v}
		src := randomCondition(r, 3)
		c, _ := compile(env, &diagnostics{}, newFile("x", "x", []byte(src)), &value{kind: kindString, str: src, raw: []byte("'" + src + "'")})
		if c == nil {
			t.Fatal(src)
		}
		clash := ""
		all, ok := c.alternatives(false, &clash)
		if !ok || len(all) > 0 {
			continue
		}
		tried++
		for range 100 {
			s := newState(v)
			randomFacts(r, s)
			if s.eval(c) == hit {
				t.Fatalf("%s is true for %v", src, s.env)
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d conditions were never true", tried)
	}
}

func randomFacts(r *rand.Rand, s *state) {
	results := []string{"pass", "fail", "none"}
	for i, w := range s.words {
		if r.IntN(6) == 0 {
			continue // unknown
		}
		switch w.typ {
		case mail.Bool:
			s.set(i, r.IntN(2) == 0)
		case mail.Int:
			s.set(i, r.IntN(4))
		case mail.Float:
			s.set(i, float64(r.IntN(8))/2)
		case mail.String:
			s.set(i, results[r.IntN(3)])
		}
	}
}
