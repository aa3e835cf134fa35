package main

import (
	"context"
	"fmt"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/web"
	"sekimori/reputation"
)

// tellDrift says for `check` whether the Bayesian check weighs half.
func (a *app) tellDrift(cfg *config.Config) {
	if !cfg.Bayes.Drift.Enabled {
		return
	}
	st, err := dialStore(a.ctx, cfg)
	var d reputation.DriftState
	if err == nil {
		defer st.Close()
		_, watch := newLearner(st.Client(), func() *config.Config { return cfg }, nil)
		d, err = watch.Read(a.ctx)
	}
	switch {
	case err != nil:
		fmt.Fprintln(a.out, "warning: whether the Bayesian check weighs half cannot be read:", err)
	case d.Halved:
		fmt.Fprintf(a.out, "warning: the Bayesian check weighs half since %s: %s; look at what was learned (sekimori bayes stats), then: sekimori bayes drift --clear\n",
			d.Since.Local().Format("2006-01-02 15:04 MST"), d.Why)
	}
}

// bayesNeeds are the keys of [filters.bayes].
type bayesNeeds struct {
	MinHam   int `toml:"min_ham"`
	MinSpam  int `toml:"min_spam"`
	FullHam  int `toml:"full_ham"`
	FullSpam int `toml:"full_spam"`
}

// learning is what the status page says of the Bayesian check; nil when it is off.
func (s *server) learning() *web.Learning {
	cfg := s.cfg()
	if disabled(cfg)["bayes"] {
		return nil
	}
	need := bayesNeeds{evalLeast, evalLeast, evalFull, evalFull}
	_ = cfg.Section("bayes").Decode(&need) // the check itself has read it
	model := s.judge().learner.Model()
	n := model.Counts()
	d := s.bayesWatch.State()
	l := &web.Learning{
		Ham: n.HamShown, Spam: n.SpamShown, NeedHam: need.MinHam, NeedSpam: need.MinSpam, Half: n.HamShown < need.FullHam || n.SpamShown < need.FullSpam,
		Unknown: !model.Loaded(), Doubted: d.Halved, Since: d.Since, Hours: int(cfg.Bayes.Drift.Window.D().Hours()),
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if days, err := s.bayesWatch.ReadZones(ctx, 1); err == nil && len(days) == 1 {
		l.Today = &web.ThreeWays{}
		for _, z := range reputation.Zones {
			switch n := days[0].Zones[z]; reputation.ZoneClass(z) {
			case "spam":
				l.Today.Spam += n
			case "ham":
				l.Today.Ham += n
			default:
				l.Today.Unsure += n
			}
		}
	}
	if cfg.Bayes.Drift.Enabled {
		if n, err := s.bayesWatch.Numbers(ctx); err == nil {
			l.Against = &web.Against{Held: n.Held, Released: n.Released, Passed: n.Passed, Reported: n.Reported}
		}
	}
	return l
}
