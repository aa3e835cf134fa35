package reputation

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// taughtByPeople shows n mails of each class.
func taughtByPeople(t *testing.T, l *Learner, n int) {
	t.Helper()
	for i := range n {
		must[Taught](t)(l.Teach(t.Context(), Sample{Class: Ham, Tokens: hamTokens(i), Fingerprint: fmt.Sprint("ph", i)}))
		must[Taught](t)(l.Teach(t.Context(), Sample{Class: Spam, Tokens: spamTokens(i), Fingerprint: fmt.Sprint("ps", i)}))
	}
}

// trust makes a model one that was shown enough.
func trust(m *Model) {
	m.addShown(Ham, autoTrusted)
	m.addShown(Spam, autoTrusted)
}

func fresh(prefix string) []string {
	words := make([]string, 30)
	for i := range words {
		words[i] = fmt.Sprint(prefix, "word", i)
	}
	return words
}

func TestAutoBegins(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		l := w.limited(Limits{Auto: AutoLimits{Seeds: 5, Daily: 100, Sender: 100}})
		auto := func(c Class, name string) Taught {
			t.Helper()
			return must[Taught](t)(l.Teach(t.Context(), Sample{Class: c, Tokens: fresh(name), Fingerprint: name, Source: Auto, By: "shop.example"}))
		}
		for i := range 5 { // of one class only
			must[Taught](t)(l.Teach(t.Context(), Sample{Class: Ham, Tokens: hamTokens(i), Fingerprint: fmt.Sprint("ph", i)}))
		}
		if got := auto(Spam, "a"); got.Refused() != TooEarly || got.Shown != 0 {
			t.Errorf("with one class taught: %+v", got)
		}
		taughtByPeople(t, l, 5)
		if got := auto(Spam, "a"); got.Refused() != "" || got.Shown != 1 || got.Learned != 1 {
			t.Errorf("with both classes taught: %+v", got)
		}
		if got := auto(Spam, "a"); got.Known != 1 {
			t.Errorf("the second time: %+v", got)
		}
		n := l.Model().Counts()
		if n.SpamAuto != 1 || n.SpamShown != 6 {
			t.Errorf("%+v", n)
		}
		// What was learned automatically does not count as taught by people: everything else is taken away, and it does not begin again.
		for i := range 5 {
			must[[]Lesson](t)(l.Unlearn(t.Context(), nil, fmt.Sprint("ps", i)))
		}
		if got := auto(Spam, "b"); got.Refused() != TooEarly {
			t.Errorf("with nothing but its own: %+v", got)
		}
		other := w.limited(Limits{})
		if err := other.Load(t.Context()); err != nil || other.Model().Counts() != l.Model().Counts() {
			t.Errorf("read anew %+v, %v; in memory %+v", other.Model().Counts(), err, l.Model().Counts())
		}
		months := must[[]MonthStats](t)(other.Months(t.Context(), Everybody))
		if len(months) != 1 || months[0].SpamAuto != 1 || months[0].HamAuto != 0 {
			t.Errorf("%+v", months)
		}
	})
}

func TestAutoContradicted(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		l := w.limited(Limits{Auto: AutoLimits{Seeds: 30, Daily: 100, Sender: 100}})
		taughtByPeople(t, l, 30)
		untrusted := l.Model().Contradicts(Ham, spamTokens(99))
		trust(l.Model())
		if untrusted || !l.Model().Contradicts(Ham, spamTokens(99)) {
			t.Error("a model contradicts when it knows little, or not when it knows enough")
		}
		before := w.stored(t)
		for _, s := range []Sample{
			{Class: Ham, Tokens: spamTokens(99), Fingerprint: "x", Source: Auto},
			{Class: Spam, Tokens: hamTokens(99), Fingerprint: "y", Source: Auto},
		} {
			z := l.Model().Score(s.Tokens).Z
			if got := must[Taught](t)(l.Teach(t.Context(), s)); got.Refused() != Contradicted || got.Shown+got.Known != 0 {
				t.Errorf("%s with z %.1f: %+v", s.Class, z, got)
			}
		}
		if after := w.stored(t); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("what was refused left %v, not %v", after, before)
		}
	})
}

func TestAutoLimits(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		limits := Limits{Auto: AutoLimits{Seeds: 2, Daily: 7, Sender: 3}}
		hosts := []*Learner{w.limited(limits), w.limited(limits)} // the limits are of both together
		taughtByPeople(t, hosts[0], 6)
		if err := hosts[1].Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		taken := map[Refusal]int{}
		send := func(sender string, n int) {
			for i := range n {
				name := fmt.Sprint(sender, i)
				l := hosts[i%2]
				got := must[Taught](t)(l.Teach(t.Context(), Sample{Class: Ham, Tokens: hamTokens(len(sender) * i), Fingerprint: name, Source: Auto, By: sender}))
				taken[got.Refused()]++
			}
		}
		send("a.example", 5)
		if taken[""] != 3 || taken[SenderLimit] != 2 {
			t.Errorf("of one sender: %v", taken)
		}
		send("b.example", 3)
		send("c.example", 3)
		if taken[""] != 7 || taken[DailyLimit] != 2 {
			t.Errorf("of a day: %v", taken)
		}
		w.set(w.clock().Add(24 * time.Hour))
		send("d.example", 1)
		if taken[""] != 8 {
			t.Errorf("the next day: %v", taken)
		}
	})
}

// A flood of spam does not become nearly all that is known.
func TestAutoLopsided(t *testing.T) {
	w := newWorld(t)
	l := w.limited(Limits{Auto: AutoLimits{Seeds: 4, Daily: 1000, Sender: 1000}})
	taughtByPeople(t, l, 4)
	refused := 0
	for i := range 40 {
		s := Sample{Class: Spam, Tokens: fresh(fmt.Sprint("m", i)), Fingerprint: fmt.Sprint("m", i), Source: Auto}
		if got := must[Taught](t)(l.Teach(t.Context(), s)); got.Refused() == Lopsided {
			refused++
		}
	}
	n := l.Model().Counts()
	if n.SpamLearned != 3*n.HamLearned || refused != 40-n.SpamAuto {
		t.Errorf("%+v, %d refused", n, refused)
	}
}

func TestAutoConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		l := w.limited(Limits{Person: 10, Auto: AutoLimits{Daily: 10, Sender: 10}})
		must[Taught](t)(l.Teach(t.Context(), Sample{Class: Spam, Tokens: spamTokens(1), Fingerprint: "m", Source: Auto}))
		must[Taught](t)(l.Teach(t.Context(), Sample{Class: Spam, Tokens: spamTokens(1), Fingerprint: "m", Source: Admin}))
		if n := l.Model().Counts(); n.SpamAuto != 0 || n.SpamShown != 1 {
			t.Errorf("confirmed by an administrator: %+v", n)
		}
		must[[]Lesson](t)(l.Unlearn(t.Context(), nil, "m"))
		if left := w.stored(t); len(left) != 0 {
			t.Errorf("%v", left)
		}
	})
}

func TestReviseAuto(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		limits := Limits{Auto: AutoLimits{Seeds: 2, Daily: 100, Sender: 100}}
		l, other := w.limited(limits), w.limited(limits)
		taughtByPeople(t, l, 2)
		teach := func(s Sample) {
			t.Helper()
			if got := must[Taught](t)(l.Teach(t.Context(), s)); got.Learned+got.Known != 1 {
				t.Fatalf("%+v", got)
			}
		}
		teach(Sample{Class: Ham, Tokens: spamTokens(50), Fingerprint: "wrong", Source: Auto}) // nothing is known yet
		teach(Sample{Class: Spam, Tokens: spamTokens(51), Fingerprint: "right", Source: Auto})
		teach(Sample{Class: Ham, Tokens: spamTokens(52), Fingerprint: "confirmed", Source: Auto})
		teach(Sample{Class: Ham, Tokens: spamTokens(52), Fingerprint: "confirmed", Source: Admin})
		before := w.stored(t)
		if taken := must[[]Revised](t)(l.ReviseAuto(t.Context(), time.Hour)); len(taken) != 0 {
			t.Errorf("a model that knows little takes away %v", taken)
		}
		for i := range 30 {
			l.Model().learn(Spam, spamTokens(100+i), 1)
			l.Model().learn(Ham, hamTokens(100+i), 1)
		}
		trust(l.Model())
		taken := must[[]Revised](t)(l.ReviseAuto(t.Context(), time.Hour))
		if len(taken) != 1 || taken[0] != (Revised{"wrong", Ham}) {
			t.Errorf("taken away: %v", taken)
		}
		if known := must[[]Lesson](t)(l.Known(t.Context(), "wrong")); len(known) != 0 {
			t.Errorf("%+v", known)
		}
		if n := l.Model().Counts(); n.HamAuto != 0 || n.SpamAuto != 1 {
			t.Errorf("%+v", n)
		}
		if after := w.stored(t); len(after) >= len(before) {
			t.Errorf("%d entries before, %d after", len(before), len(after))
		}
		// Another host does not do the same work again at once.
		if err := other.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		trust(other.Model())
		if taken := must[[]Revised](t)(other.ReviseAuto(t.Context(), time.Hour)); len(taken) != 0 {
			t.Errorf("%v", taken)
		}
		for _, f := range []string{"right", "confirmed", "ph0", "ph1", "ps0", "ps1"} {
			must[[]Lesson](t)(l.Unlearn(t.Context(), nil, f))
		}
		if left := w.stored(t); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	})
}

// What a model says of a lesson without it is what it says when it is taken away.
func TestRegretsIsExact(t *testing.T) {
	m := NewModel()
	for i := range 40 {
		m.Show(Ham, hamTokens(i))
		m.Show(Spam, spamTokens(i))
	}
	m.learn(Ham, spamTokens(99), 1)
	m.addShown(Ham, 1)
	without := score(spamTokens(99), m.ratesWithout(spamTokens(99), 1, 0)).Z
	m.Take(Ham, spamTokens(99))
	if z := m.Score(spamTokens(99)).Z; z != without || z < autoSure {
		t.Errorf("taken away %v, without %v", z, without)
	}
}

// In a model of what other checks said one mail alone condemns none of its kind, and acquits none; two do, and one that a person taught
// for himself.
func TestOneAutomaticLesson(t *testing.T) {
	newsletter := func(i int) []string {
		list := hamTokens(i)
		for j := range 60 {
			list = append(list, fmt.Sprintf("h:letter%d", j), fmt.Sprintf("ud:letter%d", j), fmt.Sprintf("letter%d", j))
		}
		return list
	}
	model := func(show func(m *Model, c Class, tokens []string) bool) *Model {
		m := NewModel()
		for i := range 40 {
			m.Show(Ham, hamTokens(i))
			m.Show(Spam, spamTokens(i))
		}
		for i := range 50 {
			show(m, Ham, hamTokens(i))
			show(m, Spam, spamTokens(i))
		}
		return m
	}
	people, auto := model((*Model).Show), model((*Model).ShowAuto)
	alone := auto.Score(newsletter(0)).Z
	for _, m := range []*Model{people, auto} {
		m.learn(Spam, newsletter(1), 1)
	}
	one := auto.Score(newsletter(2)).Z
	if z := people.Score(newsletter(2)).Z; z < 4 {
		t.Errorf("people taught it, z %.1f", z)
	}
	// All kinds say the same as the lone tokens, or nothing.
	if most := gain * math.Sqrt(float64(kinds)) * loneMost * 1.1; alone > -4 || one > most {
		t.Errorf("one automatic lesson moves z from %.2f to %.2f", alone, one)
	}
	trust(auto)
	auto.addAuto(Spam, 2*autoTrusted)
	if z := auto.Score(newsletter(2)).Z; z > autoSure || !auto.Contradicts(Ham, newsletter(2)) || auto.Contradicts(Spam, newsletter(2)) {
		t.Errorf("z %.2f; labels are not doubted on what one mail said", z)
	}
	own := NewModel()
	for range personConfidence.Enough {
		own.learn(Spam, newsletter(3), 1)
	}
	if z := (Mix{all: auto, narrow: []layer{{"a@example.test", own}}}).Score(newsletter(2)).Z; z < one+1 {
		t.Errorf("a person taught it, z %.2f", z)
	}
	auto.learn(Spam, newsletter(4), 1)
	if z := auto.Score(newsletter(2)).Z; z < one+2 {
		t.Errorf("two automatic lessons move z from %.2f to %.2f", one, z)
	}
}
