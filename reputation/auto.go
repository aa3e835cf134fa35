package reputation

import (
	"context"
	"time"

	"sekimori/internal/store"
)

// AutoLimits bound what is learned of the labels of other checks (Source Auto).
type AutoLimits struct {
	Seeds  int // mails of each class that people must have shown before it begins
	Daily  int // mails of a class and day (UTC), on all hosts together
	Sender int // of these, mails of one sender
}

// maxLead is how many times as many mails of a class as of the other may be learned before no more are learned automatically: a flood
// of spam must not become nearly all that is known.
const maxLead = 3

// autoSure is from where on a score says more than a label of other checks: such a label is wrong more often than the score is.
const autoSure = 4

// A model that knows few mails is sure of too much. From autoTrusted mails of each class on it keeps others from being learned, for
// good; from autoDoubts on it takes some of those that were learned away, where all the others are against one.
const (
	autoTrusted = 200
	autoDoubts  = 100
)

// Contradicts reports whether the model knows enough and is sure that a mail is of the other class.
func (m *Model) Contradicts(c Class, tokens []string) bool {
	return m.shownBoth(autoTrusted) && contradicts(c, score(tokens, m.rates(tokens).unbounded()).Z)
}

// Regrets reports whether the model, had it not learned this mail, would be sure now that it is of the other class: it knew less when
// it learned it.
func (m *Model) Regrets(c Class, tokens []string) bool {
	less := [2]float64{}
	less[index(c)] = 1
	return m.shownBoth(autoDoubts) && contradicts(c, score(tokens, m.ratesWithout(tokens, less[0], less[1]).unbounded()).Z)
}

// Take takes a mail away that ShowAuto learned, from the model in memory alone: for measurements and tests.
func (m *Model) Take(c Class, tokens []string) {
	m.addShown(c, -1)
	m.addAuto(c, -1)
	m.learn(c, tokens, -1)
}

func (m *Model) shownBoth(least int) bool {
	return min(m.shown[0].Load(), m.shown[1].Load()) >= int64(least)
}

func contradicts(c Class, z float64) bool {
	return c == Spam && z < -autoSure || c == Ham && z > autoSure
}

// Refusal is why a label of other checks teaches nothing.
type Refusal string

// The refusals.
const (
	TooEarly     Refusal = "early"        // people have not shown enough of both classes
	Contradicted Refusal = "contradicted" // the model is sure of the other class
	Lopsided     Refusal = "lopsided"     // too much of this class is learned beside the other
	DailyLimit   Refusal = "daily"        // of the class, enough for today
	SenderLimit  Refusal = "sender"       // of the sender, enough for today
)

var refusals = [...]Refusal{TooEarly, Contradicted, Lopsided, DailyLimit, SenderLimit}

// Refused says why an automatic lesson was not taken; "" when it was, or was known.
func (p Progress) Refused() Refusal {
	for i, n := range p.refused {
		if n > 0 {
			return refusals[i]
		}
	}
	return ""
}

const autoDayLife = 48 * time.Hour

// autoDayKey counts what was learned automatically in a day: by class, and by class and sender.
func autoDayKey(day string) string { return "bayesauto:" + day }

func (s *Sample) dayFields() []string {
	fields := []string{string(s.Class)}
	if s.By != "" {
		fields = append(fields, taughtField(s.By, s.Class))
	}
	return fields
}

// refuse says why an automatic lesson is not taken; "" when it is.
func (b *batch) refuse(s *Sample) Refusal {
	m := b.models[Everybody]
	n := m.Counts()
	same, other := n.SpamLearned, n.HamLearned
	if s.Class == Ham {
		same, other = other, same
	}
	fields := s.dayFields()
	limits := b.limits.Auto
	switch {
	case n.HamShown-n.HamAuto < limits.Seeds || n.SpamShown-n.SpamAuto < limits.Seeds:
		return TooEarly
	case b.today[fields[0]] >= limits.Daily:
		return DailyLimit
	case len(fields) > 1 && b.today[fields[1]] >= limits.Sender:
		return SenderLimit
	case same >= maxLead*max(other, 1):
		return Lopsided
	case m.Contradicts(s.Class, s.Tokens):
		return Contradicted
	}
	return ""
}

// autos asks, with the rest that read gets, how much was learned automatically today.
func (b *batch) autos(ctx context.Context, pipe store.Pipeliner, list []Sample) func() {
	for i := range list {
		if list[i].Source == Auto {
			for _, f := range list[i].dayFields() {
				b.today[f] = 0
			}
		}
	}
	return counted(ctx, pipe, autoDayKey(b.day), b.today)
}

// spend notes that an automatic lesson is taken.
func (b *batch) spend(s *Sample) {
	for _, f := range s.dayFields() {
		b.today[f]++
		b.spent = append(b.spent, f)
	}
}

// writeDay writes what was spent. It stands apart from the lesson: what is lost makes a limit wider by so much, and nothing worse.
func (b *batch) writeDay(ctx context.Context, client store.Client) {
	if len(b.spent) == 0 {
		return
	}
	_, _ = client.Pipelined(ctx, func(p store.Pipeliner) error {
		for _, f := range b.spent {
			p.HIncrBy(ctx, autoDayKey(b.day), f, 1)
		}
		p.PExpire(ctx, autoDayKey(b.day), autoDayLife)
		return nil
	})
}
