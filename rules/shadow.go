package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// alternatives writes a condition, or with not its opposite, as alternatives; ok is false when there are too many to look at.
// clash says what contradicted itself, when something did.
func (c *cond) alternatives(not bool, clash *string) (all []alternative, ok bool) {
	switch {
	case c.op == opNot:
		return c.kids[0].alternatives(!not, clash)
	case c.op == opAtom:
		return c.atomAlternatives(not), true
	case (c.op == opOr) != not:
		for _, k := range c.kids {
			more, ok := k.alternatives(not, clash)
			if all = append(all, more...); !ok || len(all) > maxAlternatives {
				return nil, false
			}
		}
		return all, true
	}
	all = []alternative{{}}
	for _, k := range c.kids {
		more, ok := k.alternatives(not, clash)
		if !ok || len(all)*len(more) > maxAlternatives {
			return nil, false
		}
		var next []alternative
		for _, a := range all {
			for _, b := range more {
				if both, ok := a.and(b, clash); ok {
					next = append(next, both)
				}
			}
		}
		all = next
	}
	return all, true
}

func (c *cond) atomAlternatives(not bool) []alternative {
	if len(c.reads) == 0 && !c.lists { // 1 == 2
		if out, err := c.constant(); err == nil {
			if out != not {
				return []alternative{{}}
			}
			return nil
		}
	}
	asks := c.literal.yes
	if not {
		asks = c.literal.no
	}
	all := make([]alternative, 0, len(asks))
	for _, a := range asks {
		if !a.empty() {
			all = append(all, alternative{c.literal.key: a})
		}
	}
	return all
}

// constant evaluates an atom that reads nothing.
func (c *cond) constant() (bool, error) {
	s := &state{env: map[string]any{}}
	s.vm.MemoryBudget = memoryBudget
	out, err := s.run(c.prog)
	b, _ := out.(bool)
	return b, err
}

func (a alternative) and(b alternative, clash *string) (alternative, bool) {
	both := maps.Clone(a)
	for _, key := range slices.Sorted(maps.Keys(b)) {
		next, have := b[key], false
		if _, have = both[key]; have {
			next = both[key].and(b[key])
		}
		if next.empty() {
			*clash = clashOf(key, both[key], b[key])
			return nil, false
		}
		both[key] = next
	}
	return both, true
}

func clashOf(key string, a, b ask) string {
	src, opaque := strings.CutPrefix(key, "\x00")
	if opaque || !a.number && len(a.words) == 1 && slices.Contains(truth, a.words[0]) {
		return fmt.Sprintf("%s and its opposite are both asked for", clip(src, 80))
	}
	return fmt.Sprintf("%[1]s %[2]s and %[1]s %[3]s are both asked for", key, a, b)
}

// implies reports whether whatever fulfils one of these alternatives fulfils one of those of the other.
func implies(these, those []alternative) bool {
	return !slices.ContainsFunc(these, func(a alternative) bool {
		return !slices.ContainsFunc(those, a.fulfils)
	})
}

func (a alternative) fulfils(b alternative) bool {
	for key, want := range b {
		if have, ok := a[key]; !ok || !have.within(want) {
			return false
		}
	}
	return true
}

// contradiction reports a condition that can never be true.
func (x *decoder) contradiction(r *rule, off int) {
	clash := ""
	all, ok := r.cond.alternatives(false, &clash)
	if !ok {
		return
	}
	if r.asks = all; len(all) > 0 {
		return
	}
	if clash == "" {
		clash = "it asks for what cannot be"
	}
	x.errorf(off, "the condition can never be true: %s", clash)
}

// shadows notes rules that can never decide because an earlier one of their stage always does. It is called when the rules
// stand in their order.
func (l *loader) shadows() {
	for _, list := range l.p.stages {
		for i, later := range list {
			for _, first := range list[:i] {
				if first.shadows(later, l.p) {
					l.d.warnf(later.f, later.off, "%s can never decide: %s (%s) comes first and is true whenever it is; change its condition, or switch the other off with disable = [%q]",
						later.id, first.id, first.place(), first.id)
					break
				}
			}
		}
	}
}

// shadows reports whether a rule keeps a later one of the same stage from ever deciding.
func (r *rule) shadows(later *rule, p *Policy) bool {
	switch {
	case r.asks == nil || later.asks == nil || !r.always() || !r.covers(later):
		return false
	case r.accept && later.class == classMalware:
		return false
	case !r.accept && (r.scores || r.allow || r.aside):
		return false
	case !r.accept && (later.scores || later.allow || later.aside || p.isFirm(later)):
		return false
	}
	return implies(later.asks, r.asks)
}

// always reports whether the rule decides whenever its condition is true: it does more than observe, for everybody, on every day and at
// every hour, and no domain leaves it out. A rule that steps back by itself goes no further than a tag, which decides, too.
func (r *rule) always() bool {
	return r.mode != observeOnly && r.from == "" && r.until == "" && r.weekly == nil && !r.partial && !r.left
}

// covers reports whether it is for all recipients that the other is for.
func (r *rule) covers(other *rule) bool {
	return len(r.domains) == 0 || len(other.domains) > 0 && !slices.ContainsFunc(other.domains, func(d string) bool { return !slices.Contains(r.domains, d) })
}
