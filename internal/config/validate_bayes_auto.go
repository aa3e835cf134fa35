package config

// BayesAuto is [bayes.auto]: learning from what the other checks say.
type BayesAuto struct {
	Enabled   bool    `toml:"enabled"`    // default true: it begins only after people taught enough, gives way to them and is bounded
	Seeds     int     `toml:"seeds"`      // mails of each class that people must have shown before; default 100
	SpamScore float64 `toml:"spam_score"` // points of the other checks from which a mail is spam; default 8
	Daily     int     `toml:"daily"`      // mails of a class and day, on all hosts together; default 200
	Sender    int     `toml:"sender"`     // of these, of one sender; default 5
}

const (
	minSeeds     = 25
	minSpamScore = 4.0
	maxSpamScore = 100.0
)

// bayesAuto checks [bayes.auto].
func (v *validator) bayesAuto() {
	a := &v.cfg.Bayes.Auto
	if a.Seeds < minSeeds {
		v.fail("bayes.auto.seeds", "must be %d or more, not %d: what other checks say is measured against what people taught", minSeeds, a.Seeds)
	}
	if !(a.SpamScore >= minSpamScore && a.SpamScore <= maxSpamScore) {
		v.fail("bayes.auto.spam_score", "must be from %v to %v, not %v", minSpamScore, maxSpamScore, a.SpamScore)
	}
	if a.Daily < 1 {
		v.fail("bayes.auto.daily", "must be 1 or more, not %d; enabled = false switches automatic learning off", a.Daily)
	}
	if a.Sender < 1 {
		v.fail("bayes.auto.sender", "must be 1 or more, not %d", a.Sender)
	}
}
