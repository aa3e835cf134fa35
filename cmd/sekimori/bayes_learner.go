package main

import (
	"context"
	"log/slog"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// newLearner makes what learns, with a watch over it, as the configuration says at the time.
func newLearner(client store.Client, cfg func() *config.Config, log *slog.Logger) (*reputation.Learner, *reputation.BayesWatch) {
	watch := reputation.NewBayesWatch(client, func() reputation.DriftLimits {
		d := cfg().Bayes.Drift
		return reputation.DriftLimits{
			Enabled: d.Enabled, Window: d.Window.D(), Min: d.Min, Persons: d.Persons, Released: d.Released, Reported: d.Reported,
		}
	}, time.Now)
	l := reputation.NewLearner(client, time.Now, log).WithWatch(watch).WithLimits(func() reputation.Limits {
		b := cfg().Bayes
		return reputation.Limits{
			Person: b.PersonLimit, Campaign: b.CampaignLimit, Vocabulary: b.Vocabulary,
			Auto: reputation.AutoLimits{Seeds: b.Auto.Seeds, Daily: b.Auto.Daily, Sender: b.Auto.Sender},
		}
	})
	return l, watch
}

// outcome tells the numbers and the watch what a check said.
func (s *server) outcome(o mail.Outcome) {
	s.metrics.Outcome(o)
	s.bayesWatch.Outcome(o)
}

// verdicts tells those who count of the verdicts of a mail.
func (s *server) verdicts(v []mail.Verdict) {
	s.tally.Judged(v)
	s.retreats.Judged(v)
}

// watchBayes tells the administrator when people contradict the Bayesian check so much that it weighs half, and when that is over. At the
// end what was delivered is known to the watch before it writes for the last time.
func (s *server) watchBayes(ctx context.Context) {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.background.Go(func() {
		defer stop()
		s.passed.run(ctx)
	})
	s.bayesWatch.Run(watching, func(d reputation.DriftState) {
		message := ""
		if d.Halved {
			message = d.Why + "; it weighs half since " + d.Since.Format(time.RFC3339)
		}
		s.warn.set("bayes.drift", message)
	})
}

// bayesGauges tells how much was learned.
func (s *server) bayesGauges() {
	counts := func() reputation.Counts { return s.judge().learner.Model().Counts() }
	for _, g := range []struct {
		name, help string
		n          func(reputation.Counts) int
	}{
		{"sekimori_bayes_ham_shown", "Good mails shown to the Bayesian check.", func(c reputation.Counts) int { return c.HamShown }},
		{"sekimori_bayes_spam_shown", "Spam mails shown to the Bayesian check.", func(c reputation.Counts) int { return c.SpamShown }},
		{"sekimori_bayes_ham_learned", "Good mails whose words are counted.", func(c reputation.Counts) int { return c.HamLearned }},
		{"sekimori_bayes_spam_learned", "Spam mails whose words are counted.", func(c reputation.Counts) int { return c.SpamLearned }},
	} {
		s.metrics.Gauge(g.name, g.help, func() float64 { return float64(g.n(counts())) })
	}
	s.metrics.Counter("sekimori_bayes_passed_lost_total",
		"Mails of which it is not remembered that the Bayesian check found them good: reported later, they do not count against it.",
		func() float64 { return float64(s.passed.lost.Load() + s.bayesWatch.Lost()) })
	s.metrics.Gauge("sekimori_bayes_halved", "1 while the Bayesian check weighs half because people contradict it.", func() float64 {
		if s.bayesWatch.State().Halved {
			return 1
		}
		return 0
	})
}
