package measure

import (
	"math/rand/v2"
	"time"

	"sekimori/reputation"
)

// Mail is a mail whose class is known.
type Mail struct {
	Name   string
	Spam   bool
	Tokens []string // distinct, as bayes.Tokenizer gives them
}

func (m *Mail) class() reputation.Class {
	if m.Spam {
		return reputation.Spam
	}
	return reputation.Ham
}

// Outcome is what a model that had not seen a mail said about it.
type Outcome struct {
	Spam bool
	Z    float64
}

// Run teaches an empty model the mails of train in their order and scores those of test.
func Run(train, test []*Mail) []Outcome {
	out, _, _ := Timed(train, test)
	return out
}

// Timed is Run, and says how long the learning and the scoring took; the tokens are made before.
func Timed(train, test []*Mail) (out []Outcome, learn, score time.Duration) {
	m := reputation.NewModel()
	began := time.Now()
	for _, t := range train {
		m.Show(t.class(), t.Tokens)
	}
	learned := time.Now()
	out = scoreAll(m, test)
	return out, learned.Sub(began), time.Since(learned)
}

func scoreAll(m *reputation.Model, test []*Mail) []Outcome {
	out := make([]Outcome, len(test))
	for i, t := range test {
		out[i] = Outcome{t.Spam, m.Score(t.Tokens).Z}
	}
	return out
}

// Cross cuts the mails, shuffled by seed, into folds of equal size and scores each with a model that was taught the others. done is
// called after each fold with how many there are; it may be nil.
func Cross(mails []*Mail, folds int, seed uint64, done func(n int)) []Outcome {
	all := Shuffled(mails, seed)
	var out []Outcome
	train := make([]*Mail, 0, len(all))
	for f := range folds {
		from, to := len(all)*f/folds, len(all)*(f+1)/folds
		train = append(append(train[:0], all[:from]...), all[to:]...)
		out = append(out, Run(train, all[from:to])...)
		if done != nil {
			done(f + 1)
		}
	}
	return out
}

// Shuffled returns the mails in an order that depends on their order and the seed alone.
func Shuffled(mails []*Mail, seed uint64) []*Mail {
	all := append([]*Mail(nil), mails...)
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// revisedEvery is after how many automatic lessons all of them are looked at again.
const revisedEvery = 50

// Auto is Run with an administrator who teaches seeds mails first, half of them of each class. The rest is learned then by what other
// checks say, which is wrong for that part of the mails, as the server does: what a model that is trained and sure contradicts is
// left out, and taken back when it contradicts later.
func Auto(train, test []*Mail, seeds int, wrong float64, seed uint64) []Outcome {
	m := reputation.NewModel()
	var auto []Mail
	r := rand.New(rand.NewPCG(seed, 1))
	var rest []*Mail
	taught := map[bool]int{}
	for _, t := range train {
		if taught[t.Spam]++; taught[t.Spam] > seeds/2 {
			rest = append(rest, t)
			continue
		}
		m.Show(t.class(), t.Tokens)
	}
	news := 0
	for _, t := range rest {
		said := *t
		if r.Float64() < wrong {
			said.Spam = !said.Spam
		}
		if m.Contradicts(said.class(), t.Tokens) || !m.ShowAuto(said.class(), t.Tokens) {
			continue
		}
		auto = append(auto, said)
		if news++; news%revisedEvery == 0 {
			auto = revised(m, auto)
		}
	}
	revised(m, auto)
	return scoreAll(m, test)
}

// revised takes back what the model regrets, and returns the rest.
func revised(m *reputation.Model, auto []Mail) []Mail {
	kept := auto[:0]
	for _, l := range auto {
		if m.Regrets(l.class(), l.Tokens) {
			m.Take(l.class(), l.Tokens)
			continue
		}
		kept = append(kept, l)
	}
	return kept
}
