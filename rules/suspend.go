package rules

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// A rule that takes too many steps for one mail is unknown for that mail, like one whose check did not answer. A rule that does so
// for mail after mail is suspended until the rules are loaded anew: it would cost every mail its budget and decide nothing. One
// hostile mail suspends nothing, or whoever sends it could switch off the rules that are meant for him: each mail over the
// budget counts one, each within it takes one away again, and at suspendAt the rule is suspended.
const suspendAt = 20

// burden is how often a rule took too much. It is shared by all goroutines.
type burden struct {
	count     atomic.Int32
	suspended atomic.Bool
}

// within notes a mail for which the rule kept to its budget.
func (b *burden) within() {
	if n := b.count.Load(); n > 0 {
		b.count.CompareAndSwap(n, n-1)
	}
}

// exceeded notes a mail for which it did not, and says whether the rule has just been suspended.
func (b *burden) exceeded() bool {
	return b.count.Add(1) >= suspendAt && b.suspended.CompareAndSwap(false, true)
}

// bounded evaluates a rule within its budget.
func (j *judging) bounded(r *rule) tri {
	if j.suspended(r) {
		j.s.fail(r.id + suspendedWords)
		return unknown
	}
	j.s.rule, j.s.over, j.s.unseen = 0, false, false
	t := j.s.eval(r.cond)
	if j.s.unseen && t == unknown {
		j.unseen(r)
	}
	again := j.s.kase != nil && j.s.kase.kept // what was is no burden now
	if j.s.over {
		j.s.fail(r.id + ": takes too long over this mail")
		if !again && r.burden.exceeded() && j.p.onSuspend != nil {
			j.p.onSuspend(r.id, r.place())
		}
		return t // decided all the same by what else it asks, or unknown
	}
	if !again {
		r.burden.within()
	}
	return t
}

const suspendedWords = ": suspended, it takes too long"

// suspended reports whether a rule is out of force; for a mail that is judged again by the same rules, whether it was then.
func (j *judging) suspended(r *rule) bool {
	c := j.s.kase
	if c == nil || !c.kept {
		return r.burden.suspended.Load()
	}
	return len(c.Failed) > 0 && c.Rules == j.p.fingerprint && slices.Contains(c.Failed, r.id+suspendedWords)
}

// Suspended reports whether rules were out of force when the case was judged.
func (c *Case) Suspended() bool {
	return slices.ContainsFunc(c.Failed, func(s string) bool { return strings.HasSuffix(s, suspendedWords) })
}

// Suspended returns the rules that are out of force because they take too long, as ID (file:line).
func (p *Policy) Suspended() []string {
	var all []string
	for _, r := range p.rules {
		if r.burden.suspended.Load() {
			all = append(all, fmt.Sprintf("%s (%s)", r.id, r.place()))
		}
	}
	return all
}

// heavy notes a rule that a long mail takes over its budget.
func (x *decoder) heavy(r *rule, off int) {
	steps := 0
	r.cond.atoms(func(c *cond) {
		for _, i := range c.reads {
			if w := x.env.vocab.words[i]; w.key == "message.text" || w.kind == headersWord || w.kind == rawHeadersWord {
				steps += c.weight * maxTextFact
			}
		}
	})
	if steps > ruleBudget {
		x.d.warnf(x.f, off, "%s takes too long over a text of more than %d KiB and is then not judged; shorter patterns, or several rules, reach further",
			nameOf(r), ruleBudget/(steps/maxTextFact)>>10)
	}
}
