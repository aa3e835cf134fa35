package rules

import (
	"slices"

	"sekimori/internal/mail"
)

// mostTrials bounds how often one search judges a mail: a second or two.
const mostTrials = 10_000

// Without says without which findings and rules a mail would have been delivered to rcpt: all the smallest sets, found by judging the
// mail without each. A finding that is gone counts nothing, and its symbol is not there; the facts of its check stay.
func (p *Policy) Without(tx *mail.Transaction, rcpt mail.Address) mail.Change {
	return p.WithoutCase(&Case{Tx: tx, Rcpts: []mail.Address{rcpt}}, 0)
}

// WithoutCase is Without for the recipient of that number.
func (p *Policy) WithoutCase(c *Case, rcpt int) mail.Change {
	w := &removal{p: p, c: *c, rcpt: rcpt}
	if w.c.kept {
		w.c.notes = slices.Clone(c.notes)
	}
	w.was = w.judge(nil)
	change := mail.Change{Judged: true, Early: c.Tx.Stage < mail.Conclude}
	if w.was.Word() == mail.Deliver.String() || !w.candidates() {
		return change
	}
	for size := 1; size <= len(w.all) && len(change.Sets) == 0; size++ {
		if !w.choose(make([]int, 0, size), 0, size, &change) {
			break
		}
	}
	return change
}

// removal is one search.
type removal struct {
	p      *Policy
	c      Case
	rcpt   int
	was    mail.Verdict
	all    []removable
	trials int
}

// removable is what can be taken away: a finding or a rule.
type removable struct {
	outcome, finding int
	rule             *rule
	counted          mail.Counted
}

// judge judges without some parts, given by their numbers.
func (w *removal) judge(set []int) mail.Verdict {
	w.trials++
	skip := map[*rule]bool{}
	tx := *w.c.Tx
	tx.Outcomes = slices.Clone(tx.Outcomes)
	gone := map[[2]int]bool{}
	for _, n := range set {
		if w.all[n].rule != nil {
			skip[w.all[n].rule] = true
		} else {
			gone[[2]int{w.all[n].outcome, w.all[n].finding}] = true
		}
	}
	for i := range tx.Outcomes {
		o := &tx.Outcomes[i]
		var left []mail.Finding
		for k := range o.Findings {
			if !gone[[2]int{i, k}] {
				left = append(left, o.Findings[k])
			}
		}
		o.Findings = left
	}
	c := w.c
	c.Tx = &tx
	var use *Case
	if c.kept {
		use = &c
	}
	return w.p.judge(&tx, c.Rcpts, use, skip)[w.rcpt]
}

// candidates gathers what may have to go: findings that count for the mail's disadvantage or that rules ask for, and the rules that act,
// also those that act only when others are gone. It reports whether the mail is delivered without all of it.
func (w *removal) candidates() bool {
	rcpt := w.c.Rcpts[w.rcpt]
	asked := map[string]bool{}
	for _, word := range w.p.vocab.words {
		asked[word.arg] = asked[word.arg] || word.kind == symbolWord
	}
	domain := &judging{p: w.p, domain: w.p.domains[rcpt.Domain]}
	for i := range w.c.Tx.Outcomes {
		for k := range w.c.Tx.Outcomes[i].Findings {
			f := &w.c.Tx.Outcomes[i].Findings[k]
			points := domain.score(f.Symbol) * f.Factor()
			if counts(f, rcpt) && (points > 0 || asked[f.Symbol]) {
				w.all = append(w.all, removable{outcome: i, finding: k, counted: mail.Counted{Name: f.Symbol, Points: points, Evidence: f.Evidence}})
			}
		}
	}
	w.acting(&w.was)
	for {
		every := make([]int, len(w.all))
		for n := range every {
			every[n] = n
		}
		v := w.judge(every)
		if v.Undone(&w.was) {
			return true
		}
		if !w.acting(&v) {
			return false
		}
	}
}

// acting adds the rules that act in a verdict, and reports whether there were any.
func (w *removal) acting(v *mail.Verdict) bool {
	n := len(w.all)
	for _, r := range w.p.rules {
		known := slices.ContainsFunc(w.all, func(x removable) bool { return x.rule == r })
		hit := slices.ContainsFunc(v.Counted, func(c mail.Counted) bool { return c.Name == r.id }) || v.RuleID == r.id
		if known || !hit || r.scores && r.score <= 0 || r.accept || r.allow || len(r.bcc) > 0 {
			continue
		}
		w.all = append(w.all, removable{rule: r, counted: mail.Counted{Name: r.id, Points: r.score, Rule: r.place(), Describe: r.describe}})
	}
	return len(w.all) > n
}

// choose tries all sets of a size that begin with set, and reports whether the search may go on.
func (w *removal) choose(set []int, from, size int, change *mail.Change) bool {
	if len(set) == size {
		if w.trials >= mostTrials/max(len(w.c.Rcpts), 1) {
			change.Unfinished = len(change.Sets) == 0
			change.More = !change.Unfinished
			return false
		}
		v := w.judge(set)
		if !v.Undone(&w.was) {
			w.acting(&v) // what a larger set may have to take away as well
		} else {
			if len(change.Sets) == mail.MaxSets {
				change.More = true
				return false
			}
			members := make([]mail.Counted, len(set))
			for i, n := range set {
				members[i] = w.all[n].counted
			}
			change.Sets = append(change.Sets, members)
		}
		return true
	}
	for n := from; n <= len(w.all)-(size-len(set)); n++ {
		if !w.choose(append(set, n), n+1, size, change) {
			return false
		}
	}
	return true
}

// Limits are the thresholds for a recipient.
func (p *Policy) Limits(rcpt mail.Address) mail.Limits {
	j := &judging{p: p, domain: p.domains[rcpt.Domain]}
	return limitsOf(j.limits())
}

func limitsOf(thresholds []threshold) (l mail.Limits) {
	for _, t := range thresholds {
		switch t.action {
		case mail.Tag:
			l.Tag = t.points
		case mail.Hold:
			l.Hold = t.points
		case mail.Reject:
			l.Reject = t.points
		}
	}
	return l
}
