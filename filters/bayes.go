package filters

import (
	"context"
	"errors"
	"fmt"
	"math"

	"sekimori/filters/bayes"
	"sekimori/internal/mail"
	"sekimori/reputation"
)

// bayesSpec compares a mail with those that were learned (`sekimori learn spam|ham`). Its finding weighs between 0.5 and
// 1 by how sure it is, half of that while little is learned. By itself it can tag a mail but neither hold nor refuse it:
// the score of BAYES_SPAM stays below the threshold of hold, since a model errs on what it has never seen.
var bayesSpec = Spec{
	Name:   "bayes",
	Stages: []mail.Stage{mail.Data},
	Needs:  []string{"redis"},
	Symbols: []mail.Symbol{
		{Name: "BAYES_SPAM", Score: 4.5},
		{Name: "BAYES_HAM", Score: -2},
		{Name: "BAYES_TEMPERROR", Score: 0},
	},
	Facts: []mail.Fact{
		{Name: "bayes.class", Type: mail.String, Stage: mail.Data, Values: []string{"spam", "ham", "unsure"}, PerRcpt: true},
		{Name: "bayes.probability", Type: mail.Float, Stage: mail.Data, PerRcpt: true},
		{Name: "bayes.z", Type: mail.Float, Stage: mail.Data, PerRcpt: true},
	},
	New: newBayes,
}

// bayesConfig is [filters.bayes]: how many mails of each class must have been shown before the check says anything, and
// before it weighs fully.
type bayesConfig struct {
	MinHam   int `toml:"min_ham"`
	MinSpam  int `toml:"min_spam"`
	FullHam  int `toml:"full_ham"`
	FullSpam int `toml:"full_spam"`
}

func newBayes(_ context.Context, env Env) (Check, error) {
	c := bayesConfig{MinHam: 200, MinSpam: 200, FullHam: 500, FullSpam: 500}
	if err := env.Config.Decode(&c); err != nil {
		return nil, err
	}
	for _, k := range []struct {
		key string
		n   int
	}{{"min_ham", c.MinHam}, {"min_spam", c.MinSpam}, {"full_ham", c.FullHam}, {"full_spam", c.FullSpam}} {
		if k.n < 1 {
			return nil, env.Config.Errorf(k.key, "must be 1 or more, not %d", k.n)
		}
	}
	return &bayesCheck{config: c, memory: env.Memory}, nil
}

type bayesCheck struct {
	config bayesConfig
	memory reputation.Memory
}

// Zones of the score and what counts as sure, by measurement.
const (
	bayesSpamZ = 4
	bayesHamZ  = -2
	bayesSureZ = 8 // where the weight reaches 1 for spam
	bayesSafeZ = -6
)

var errBayesNotLoaded = errors.New("the model is not loaded: the store did not answer")

func (b *bayesCheck) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	m := b.memory.Bayes()
	if !m.Loaded() {
		return mail.Result{}, errBayesNotLoaded
	}
	n := m.Counts()
	if n.HamShown < b.config.MinHam || n.SpamShown < b.config.MinSpam {
		return mail.Result{Skipped: fmt.Sprintf("not trained: %d of %d ham, %d of %d spam",
			n.HamShown, b.config.MinHam, n.SpamShown, b.config.MinSpam)}, nil
	}
	factor := 1.0
	if n.HamShown < b.config.FullHam || n.SpamShown < b.config.FullSpam {
		factor /= 2
	}
	halved := b.memory.BayesHalved()
	if halved {
		factor /= 2
	}
	return b.result(ctx, tx, bayes.Tokenizer{}.Tokens(tx.Message), factor, halved), nil
}

// bayesVerdict is what a score means: its class, and the finding, which has no symbol when the check is not sure.
func bayesVerdict(s reputation.Score, factor float64) (class string, f mail.Finding) {
	switch {
	case s.Z >= bayesSpamZ:
		return "spam", mail.Finding{Symbol: "BAYES_SPAM", Weight: round2(factor * sureness(s.Z, bayesSpamZ, bayesSureZ)), Evidence: bayesEvidence(s)}
	case s.Z <= bayesHamZ:
		return "ham", mail.Finding{Symbol: "BAYES_HAM", Weight: round2(factor * sureness(s.Z, bayesHamZ, bayesSafeZ)), Evidence: bayesEvidence(s)}
	}
	return "unsure", mail.Finding{}
}

// sureness is 0.5 where a zone begins and 1 from sure on.
func sureness(z, begin, sure float64) float64 {
	return 0.5 + 0.5*math.Min(1, (z-begin)/(sure-begin))
}

func round2(f float64) float64 { return math.Round(f*100) / 100 }
