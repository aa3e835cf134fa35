package reputation

import (
	"math"
	"strings"
	"sync/atomic"

	"github.com/jbrukh/bayesian"
)

// Class is what a mail is learned as.
type Class string

// The two classes.
const (
	Ham  Class = "ham"
	Spam Class = "spam"
)

// ParseClass reads "ham" or "spam".
func ParseClass(s string) (Class, bool) {
	return Class(s), s == string(Ham) || s == string(Spam)
}

// Two tokens that no mail has. The library gives smoothed frequencies, (count+1)/(total+vocabulary), and no counts; the
// frequency of tokenNever is that of a count of zero, so that count = frequency/never - 1. tokenMail is counted once a mail.
const (
	tokenNever = "\x00never"
	tokenMail  = "\x00mail"
)

// Model is what the Bayesian check has learned: how many mails of each class had a token. It is read while the Learner
// adds to it; both are safe for concurrent use. Its counts stand in a bayesian.Classifier, of which only the counting is
// used: its own scores favour the smaller class for tokens never seen.
type Model struct {
	counts *bayesian.Classifier
	shown  [2]atomic.Int64 // mails shown, learned or not: ham, spam
	auto   [2]atomic.Int64 // of these, by other checks
	loaded bool
}

// Loaded reports whether the model was read from the store. One that was not says nothing about how much was learned.
func (m *Model) Loaded() bool { return m.loaded }

// NewModel returns an empty model, to be taught by Show.
func NewModel() *Model {
	m := unloaded()
	m.loaded = true
	return m
}

// unloaded is what stands in for a model while the store has not answered.
func unloaded() *Model {
	return &Model{counts: bayesian.NewClassifier(bayesian.Class(Ham), bayesian.Class(Spam))}
}

// Show shows a mail to the model in memory alone, as Learner.Learn does to the one in the store, and says whether its
// tokens were counted: for measurements and tests.
func (m *Model) Show(c Class, tokens []string) (learned bool) {
	learned = m.needed(c, tokens)
	m.addShown(c, 1)
	if learned {
		m.learn(c, tokens, 1)
	}
	return learned
}

// ShowAuto is Show for a label that other checks gave.
func (m *Model) ShowAuto(c Class, tokens []string) (learned bool) {
	learned = m.Show(c, tokens)
	m.addAuto(c, 1)
	return learned
}

func index(c Class) int {
	if c == Ham {
		return 0
	}
	return 1
}

// Counts are numbers of mails.
type Counts struct {
	HamShown, SpamShown     int // shown for learning, including those from which nothing had to be learned
	HamLearned, SpamLearned int // whose tokens are counted
	HamAuto, SpamAuto       int // of those shown, the ones that other checks labelled and nobody has confirmed
}

// Counts returns how much was shown and learned.
func (m *Model) Counts() Counts {
	f := m.counts.WordFrequencies([]string{tokenNever, tokenMail})
	return Counts{
		HamShown: int(m.shown[0].Load()), SpamShown: int(m.shown[1].Load()),
		HamLearned: int(count(f[0][1], f[0][0])), SpamLearned: int(count(f[1][1], f[1][0])),
		HamAuto: int(m.auto[0].Load()), SpamAuto: int(m.auto[1].Load()),
	}
}

// Tokens returns how many entries each class has.
func (m *Model) Tokens() (ham, spam int) {
	return max(0, len(m.counts.WordsByClass(bayesian.Class(Ham)))-1), max(0, len(m.counts.WordsByClass(bayesian.Class(Spam)))-1)
}

func count(frequency, never float64) float64 {
	return math.Round(frequency/never - 1)
}

// observe adds n to the count of a token; n may be negative. The tokens of a mail share memory, so that the model keeps a copy.
func (m *Model) observe(c Class, token string, n int) {
	m.observeOwn(c, strings.Clone(token), n)
}

// observeOwn is observe for a token that shares its memory with no other.
func (m *Model) observeOwn(c Class, token string, n int) {
	m.counts.Observe(token, n, bayesian.Class(c))
}

// learn adds (sign 1) or takes away (sign -1) a mail.
func (m *Model) learn(c Class, tokens []string, sign int) {
	m.observe(c, tokenMail, sign)
	for _, t := range tokens {
		m.observe(c, t, sign)
	}
}

func (m *Model) addShown(c Class, n int) { m.shown[index(c)].Add(int64(n)) }

func (m *Model) addAuto(c Class, n int) { m.auto[index(c)].Add(int64(n)) }

// Score weighs the distinct tokens of a mail by what was learned for everybody. A model without mails of both classes gives the zero z.
func (m *Model) Score(tokens []string) Score { return score(tokens, m.rates(tokens)) }

// rates are what a score is made of: for each token, what part of the ham and of the spam had it, and in how many mails it was.
type rates struct {
	ham, spam, n []float64
	both         bool   // there are mails of both classes
	auto         bool   // most mails were labelled by other checks; see loneMost
	narrow       []bool // of each token, whether people taught it in a narrower scope; nil: no
}

// unbounded lets what only one mail had say all that it says: a label is doubted on less than a mail is judged on.
func (r rates) unbounded() rates {
	r.auto = false
	return r
}

// rates counts tokens. Those of a model that lacks a class are zero.
func (m *Model) rates(tokens []string) rates { return m.ratesWithout(tokens, 0, 0) }

// ratesWithout is rates as if so many of the mails of each class that had all of the tokens were not learned.
func (m *Model) ratesWithout(tokens []string, lessHam, lessSpam float64) rates {
	words := make([]string, 0, len(tokens)+2)
	words = append(append(words, tokenNever, tokenMail), tokens...)
	freq := m.counts.WordFrequencies(words)
	ham, spam := freq[0], freq[1]
	hams, spams := count(ham[1], ham[0])-lessHam, count(spam[1], spam[0])-lessSpam
	hamNever, spamNever := 1/ham[0], 1/spam[0]
	r := rates{ham: ham[2:], spam: spam[2:], n: make([]float64, len(tokens)), both: hams >= 1 && spams >= 1, auto: m.mostlyAuto()}
	hams, spams = max(hams, 1), max(spams, 1)
	for i := range tokens {
		h := max(0, math.Round(r.ham[i]*hamNever-1)-lessHam)
		s := max(0, math.Round(r.spam[i]*spamNever-1)-lessSpam)
		r.ham[i], r.spam[i], r.n[i] = h/hams, s/spams, s+h
	}
	return r
}

func (m *Model) mostlyAuto() bool {
	return 2*(m.auto[0].Load()+m.auto[1].Load()) > m.shown[0].Load()+m.shown[1].Load()
}

// needed says whether a mail shown as c teaches anything (train on error or near error): its class is still small, or the
// model is not yet sure of it on the right side.
func (m *Model) needed(c Class, tokens []string) bool {
	const few, sure = 25, 6
	n := m.Counts()
	if c == Ham {
		return n.HamLearned < few || m.Score(tokens).Z > -sure
	}
	return n.SpamLearned < few || m.Score(tokens).Z < sure
}
