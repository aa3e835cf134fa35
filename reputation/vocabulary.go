package reputation

import (
	"cmp"
	"math"
	"slices"

	"github.com/jbrukh/bayesian"
)

// capped returns the model with at most that many tokens, or itself. The least telling are left out, in memory only, so that what a mail
// contributed can still be taken away: first those that say nothing (their score does not count), the rarer before the more frequent,
// then those of few mails.
func (m *Model) capped(most int) *Model {
	ham, spam := m.Tokens()
	if most <= 0 || ham+spam <= most {
		return m
	}
	seen := map[string]struct{}{}
	for _, c := range []Class{Ham, Spam} {
		for t := range m.counts.WordsByClass(bayesian.Class(c)) {
			seen[t] = struct{}{}
		}
	}
	delete(seen, tokenMail)
	tokens := make([]string, 0, len(seen))
	for t := range seen {
		tokens = append(tokens, t)
	}
	slices.Sort(tokens)
	n, r := m.Counts(), m.rates(tokens)
	type telling struct {
		token              string
		counts             bool
		mails              float64
		ham, spam, entries int
	}
	all := make([]telling, len(tokens))
	for i, t := range tokens {
		w := telling{token: t, mails: r.n[i], ham: int(math.Round(r.ham[i] * float64(n.HamLearned))), spam: int(math.Round(r.spam[i] * float64(n.SpamLearned)))}
		if both := r.ham[i] + r.spam[i]; both > 0 {
			w.counts = math.Abs((0.5+r.n[i]*r.spam[i]/both)/(1+r.n[i])-0.5) >= minStrength
		}
		w.entries = min(w.ham, 1) + min(w.spam, 1)
		all[i] = w
	}
	slices.SortStableFunc(all, func(a, b telling) int {
		if a.counts != b.counts {
			if a.counts {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.mails, a.mails)
	})
	out := NewModel()
	out.shown[0].Store(m.shown[0].Load())
	out.shown[1].Store(m.shown[1].Load())
	out.addAuto(Ham, n.HamAuto)
	out.addAuto(Spam, n.SpamAuto)
	out.observe(Ham, tokenMail, n.HamLearned)
	out.observe(Spam, tokenMail, n.SpamLearned)
	for _, w := range all {
		if most -= w.entries; most < 0 {
			break
		}
		if w.ham > 0 {
			out.observeOwn(Ham, w.token, w.ham)
		}
		if w.spam > 0 {
			out.observeOwn(Spam, w.token, w.spam)
		}
	}
	return out
}
