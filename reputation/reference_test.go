package reputation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// scorePlainly is the formula of score, step by step, with all words that counted.
func scorePlainly(tokens []string, r rates) Score {
	var kept []Word
	var all tally
	for i, t := range tokens {
		if r.n[i] <= 0 || r.ham[i]+r.spam[i] <= 0 {
			continue
		}
		f := (0.5 + r.n[i]*r.spam[i]/(r.spam[i]+r.ham[i])) / (1 + r.n[i])
		if math.Abs(f-0.5) >= minStrength {
			w := math.Log(f / (1 - f))
			all.sum[kindOf(t)] += w
			all.count[kindOf(t)]++
			kept = append(kept, Word{t, w})
		}
	}
	if len(kept) == 0 {
		return Score{Probability: 0.5}
	}
	z := all.combine()
	side := func(sign float64) []Word {
		var list []Word
		for _, w := range kept {
			if w.Weight*sign > 0 {
				list = append(list, w)
			}
		}
		slices.SortStableFunc(list, func(a, b Word) int {
			switch {
			case a.Weight*sign > b.Weight*sign:
				return -1
			case a.Weight*sign < b.Weight*sign:
				return 1
			}
			return 0
		})
		return list[:min(len(list), maxScoreWords)]
	}
	s := Score{Z: z, Probability: 1 / (1 + math.Exp(-steepness*z)), Kept: len(kept), Words: side(1), Against: side(-1)}
	if z < 0 {
		s.Words, s.Against = s.Against, s.Words
	}
	return s
}

// TestScorePlainly: what is left out for speed changes no bit of a score, nor which words are named and in which order.
func TestScorePlainly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	prefixes := []string{"", "", "s:", "h:", "ud:", "g:"}
	for range 3000 {
		n := rnd.IntN(400)
		tokens := make([]string, n)
		r := rates{ham: make([]float64, n), spam: make([]float64, n), n: make([]float64, n), both: true}
		hams, spams := float64(1+rnd.IntN(500)), float64(1+rnd.IntN(500))
		for i := range n {
			tokens[i] = fmt.Sprint(prefixes[rnd.IntN(len(prefixes))], i)
			h, s := float64(max(0, rnd.IntN(12)-4)), float64(max(0, rnd.IntN(12)-4))
			r.ham[i], r.spam[i], r.n[i] = h/hams, s/spams, h+s
		}
		got, want := score(tokens, r), scorePlainly(tokens, r)
		if math.Float64bits(got.Z) != math.Float64bits(want.Z) || got.Probability != want.Probability || got.Kept != want.Kept ||
			!slices.Equal(got.Words, want.Words) || !slices.Equal(got.Against, want.Against) {
			t.Fatalf("%d tokens: %+v, not %+v", n, got, want)
		}
	}
}

// TestRatesCount: the counts that come back are those that were learned.
func TestRatesCount(t *testing.T) {
	m := NewModel()
	rnd := rand.New(rand.NewPCG(7, 8))
	const mails = 300
	tokens := make([]string, 5000)
	ham, spam := make([]int, len(tokens)), make([]int, len(tokens))
	for i := range tokens {
		tokens[i] = fmt.Sprint("w", i)
		ham[i], spam[i] = max(0, rnd.IntN(mails)-mails/2), max(0, rnd.IntN(mails)-mails/3)
		m.observe(Ham, tokens[i], ham[i])
		m.observe(Spam, tokens[i], spam[i])
	}
	m.observe(Ham, tokenMail, mails)
	m.observe(Spam, tokenMail, 2*mails)
	for _, less := range [][2]int{{0, 0}, {1, 0}, {0, 1}} {
		r := m.ratesWithout(tokens, float64(less[0]), float64(less[1]))
		for i := range tokens {
			h, s := max(0, ham[i]-less[0]), max(0, spam[i]-less[1])
			if r.n[i] != float64(h+s) || r.ham[i] != float64(h)/float64(mails-less[0]) || r.spam[i] != float64(s)/float64(2*mails-less[1]) || !r.both {
				t.Fatalf("%d ham and %d spam less %v: %v, %v, %v", ham[i], spam[i], less, r.ham[i], r.spam[i], r.n[i])
			}
		}
	}
}
