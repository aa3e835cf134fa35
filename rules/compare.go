package rules

import (
	"maps"
	"slices"
)

// Changes is how one set of rules differs from another. Everything is sorted by name.
type Changes struct {
	Added   []OutlineRule
	Removed []OutlineRule
	Changed []RuleChange
	// Moved: rules that both have stand in another order, so that another one may come first.
	Moved      []string
	Scores     []KeyChange
	Thresholds []KeyChange
	Domains    []KeyChange // of the sections of domains
	Disabled   []string    // ids that are switched off now
	Enabled    []string    // ids that are switched off no more
	Lists      []ListChange
}

// RuleChange is a rule that both sets have and that is not the same.
type RuleChange struct {
	ID         string
	Was, Place string // file:line
	Keys       []KeyChange
}

// KeyChange is a value; "" stands for none.
type KeyChange struct {
	Key string `json:"key"`
	Was string `json:"was"`
	Is  string `json:"is"`
}

// ListChange is a list with another content.
type ListChange struct {
	Name    string   `json:"list"`
	Was     int      `json:"was"` // entries
	Is      int      `json:"is"`
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
}

// None reports whether the sets do the same.
func (c *Changes) None() bool {
	return len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.Moved)+len(c.Scores)+len(c.Thresholds)+len(c.Domains)+len(c.Disabled)+len(c.Enabled)+len(c.Lists) == 0
}

// Compare says what is different in b. Where a rule stands, and its tests' places, are no difference.
func Compare(a, b *Outline) *Changes {
	c := &Changes{
		Scores: keyChanges(a.Scores, b.Scores), Thresholds: keyChanges(a.Thresholds, b.Thresholds),
		Domains:  keyChanges(a.Domains, b.Domains),
		Disabled: without(b.Disabled, a.Disabled), Enabled: without(a.Disabled, b.Disabled),
	}
	was, is := byID(a.Rules), byID(b.Rules)
	for _, r := range b.Rules {
		old, ok := was[r.ID]
		if !ok {
			c.Added = append(c.Added, r)
		} else if keys := keyChanges(old.Keys, r.Keys); len(keys) > 0 {
			c.Changed = append(c.Changed, RuleChange{ID: r.ID, Was: old.Place, Place: r.Place, Keys: keys})
		}
	}
	for _, r := range a.Rules {
		if _, ok := is[r.ID]; !ok {
			c.Removed = append(c.Removed, r)
		}
	}
	c.Moved = moved(a.Rules, b.Rules, was, is)
	for _, name := range slices.Sorted(maps.Keys(union(a.Lists, b.Lists))) {
		x, y := a.Lists[name].Entries, b.Lists[name].Entries
		l := ListChange{Name: name, Was: len(x), Is: len(y), Added: without(y, x), Removed: without(x, y)}
		if len(l.Added)+len(l.Removed) > 0 {
			c.Lists = append(c.Lists, l)
		}
	}
	return c
}

func byID(list []OutlineRule) map[string]OutlineRule {
	m := make(map[string]OutlineRule, len(list))
	for _, r := range list {
		m[r.ID] = r
	}
	return m
}

func union[V any](a, b map[string]V) map[string]V {
	m := maps.Clone(a)
	if m == nil {
		m = map[string]V{}
	}
	maps.Copy(m, b)
	return m
}

func keyChanges(a, b map[string]string) []KeyChange {
	var list []KeyChange
	for _, key := range slices.Sorted(maps.Keys(union(a, b))) {
		if a[key] != b[key] {
			list = append(list, KeyChange{key, a[key], b[key]})
		}
	}
	return list
}

// without returns what stands in a and not in b, sorted, each once.
func without(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, s := range b {
		in[s] = true
	}
	list := []string{}
	for _, s := range a {
		if !in[s] {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// moved returns the rules of both sets that must be taken out so that the rest stands in the same order.
func moved(a, b []OutlineRule, was, is map[string]OutlineRule) []string {
	at := map[string]int{}
	for i, r := range a {
		at[r.ID] = i
	}
	var common []string
	for _, r := range b {
		if _, ok := was[r.ID]; ok && is[r.ID].Place == r.Place {
			common = append(common, r.ID)
		}
	}
	// The longest run of rules in the old order, by patience sorting.
	var tops []int
	before := make([]int, len(common))
	for i, id := range common {
		n, _ := slices.BinarySearchFunc(tops, at[id], func(top, place int) int { return at[common[top]] - place })
		before[i] = -1
		if n > 0 {
			before[i] = tops[n-1]
		}
		if n == len(tops) {
			tops = append(tops, i)
		} else {
			tops[n] = i
		}
	}
	keep := map[string]bool{}
	if len(tops) > 0 {
		for i := tops[len(tops)-1]; i >= 0; i = before[i] {
			keep[common[i]] = true
		}
	}
	var list []string
	for _, id := range common {
		if !keep[id] {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}
