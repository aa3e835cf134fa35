package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// naive is what nameIndex must find: it goes over the names.
func naive(names []nameEntry, shape string) bool {
	return slices.ContainsFunc(names, func(n nameEntry) bool {
		return shape == n.shape || utf8.RuneCountInString(n.shape) > 2 && strings.Contains(shape, n.shape)
	})
}

// TestNameIndex: names that are parts, beginnings and ends of one another are found as going over them finds them.
func TestNameIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "b", "あ", "三", "井"}
	word := func(most int) string {
		var b strings.Builder
		for range 1 + r.IntN(most) {
			b.WriteString(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	hits := 0
	for range 300 {
		var names []nameEntry
		for i := range 1 + r.IntN(12) {
			names = append(names, nameEntry{word(6), i + 1})
		}
		x := indexNames(names)
		for range 100 {
			text := word(14)
			line, ok := x.find(text)
			if ok != naive(names, text) {
				t.Fatalf("%v in %q: %v", names, text, ok)
			}
			if ok {
				hits++
				if n := names[line-1]; !strings.Contains(text, n.shape) {
					t.Fatalf("%q is not in %q", n.shape, text)
				}
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d texts held a name", hits)
	}
	if _, ok := (*nameIndex)(nil).find("x"); ok {
		t.Error("nothing holds a name")
	}
}

func FuzzNameIndex(f *testing.F) {
	f.Add("三井住友\n三井\n住友カード", "三井住友カード")
	f.Add("aaa\naab", "aaaaab")
	f.Fuzz(func(t *testing.T, list, text string) {
		var names []nameEntry
		for i, s := range strings.Split(list, "\n") {
			if shape := skeleton(s); utf8.RuneCountInString(shape) >= 2 {
				names = append(names, nameEntry{shape, i + 1})
			}
		}
		shape := skeleton(clip(text, maxShaped))
		if _, ok := indexNames(names).find(shape); ok != naive(names, shape) {
			t.Errorf("%q in %q: %v", list, text, ok)
		}
	})
}

// TestListsAreWeighed: what asking a list costs is bounded by what stands in it, and counted.
func TestListsAreWeighed(t *testing.T) {
	var names, domains strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&names, "株式会社名前%d\n", i)
	}
	for c := 'a'; c <= 'z'; c++ {
		for p := range 8 {
			fmt.Fprintf(&domains, "%s%c%s.example\n", "examples"[:p], c, "examples"[p:])
		}
	}
	o := fixtureOptions()
	o.Dir = t.TempDir()
	write(t, o.Dir+"/n.txt", names.String())
	write(t, o.Dir+"/d.txt", domains.String())
	write(t, o.Dir+"/a.toml", "[lists]\nn = \"names:n.txt\"\nd = \"d.txt\"\none = [\"only.example\"]\n"+
		"[[rule]]\nid = \"N\"\ndescribe = \"x\"\nwhen = 'message.from_name in lists.n'\nscore = 1\n"+
		"[[rule]]\nid = \"D\"\ndescribe = \"x\"\nwhen = 'resembles(message.from_domain, lists.d)'\nscore = 1\n"+
		"[[rule]]\nid = \"ONE\"\ndescribe = \"x\"\nwhen = 'resembles(message.from_domain, lists.one)'\nscore = 1\n")
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	weight := map[string]int{}
	for _, r := range p.rules {
		weight[r.id] = r.cond.weight
	}
	if weight["N"] < functions["looks_like"].cost || weight["D"] < weight["ONE"]+200 {
		t.Errorf("steps for each octet: %v", weight)
	}
}

// BenchmarkManyNames asks eight lists of 2,000 names about one display name.
func BenchmarkManyNames(b *testing.B) {
	o := fixtureOptions()
	o.Dir = b.TempDir()
	var rules strings.Builder
	rules.WriteString("[lists]\n")
	for k := range 8 {
		var names strings.Builder
		for i := range 2000 {
			fmt.Fprintf(&names, "株式会社%d名前%d\n", k, i)
		}
		write(b, fmt.Sprintf("%s/n%d.txt", o.Dir, k), names.String())
		fmt.Fprintf(&rules, "n%d = \"names:n%d.txt\"\n", k, k)
	}
	for k := range 8 {
		fmt.Fprintf(&rules, "[[rule]]\nid = \"N%d\"\ndescribe = \"x\"\nwhen = 'message.from_name in lists.n%d'\nscore = 1\n", k, k)
	}
	write(b, o.Dir+"/a.toml", rules.String())
	p, err := Load(o)
	if err != nil {
		b.Fatal(err)
	}
	tx := mailWith("x")
	tx.Facts["message.from_name"] = "株式会社サンプル商事 営業部 佐藤花子"
	b.ReportAllocs()
	for b.Loop() {
		p.Judge(tx, tx.Rcpts)
	}
}
