package reputation

import (
	"math"
	"strings"
)

// Word is a token that counted, and how strongly: the logarithm of its odds, above 0 for spam.
type Word struct {
	Token  string
	Weight float64
}

// Score is what a model says about a mail. Z is about 0 when nothing is known, above 4 for spam, below -2 for ham.
type Score struct {
	Z           float64
	Probability float64 // of spam, 0 to 1
	Kept        int     // tokens that counted
	Words       []Word  // those that counted most on the side of the result, the strongest first
	Against     []Word  // those that counted most on the other side, the strongest first
}

const (
	maxScoreWords = 24
	minStrength   = 0.25 // tokens nearer than this to 0.5 do not count
	steepness     = 0.6  // of the probability over z, by measurement
)

// kind is what part of a mail a token speaks of. The tokens of one kind are not independent: a mail in a language that only
// hams had, or one filled with words of hams, has hundreds that say the same. So each kind is summed by itself.
type kind uint8

const (
	kindHeader kind = iota // header fields, addresses, the way it took, the subject
	kindLink               // URLs
	kindForm               // MIME parts and HTML
	kindText               // words of the text
	kinds
)

// kindOf tells the kind by the token's prefix; words of the text have none.
func kindOf(token string) kind {
	i := strings.IndexAny(token, ":=")
	if i < 0 {
		return kindText
	}
	switch token[:i] {
	case "u", "us", "ud", "uo", "ut", "up", "umd", "umo", "umt", "a":
		return kindLink
	case "g", "t", "cs", "tree", "x", "n", "hid", "look", "alt", "att":
		return kindForm
	case "long":
		return kindText
	}
	return kindHeader
}

// How much each kind weighs, and where it ends: what the sender chose freely moves the score by so much and no more.
// The header has no bounds, since most of it is written by others. By measurement, see filters/bayes/README.md.
const (
	maxSpamSum = 12
	maxHamSum  = -8
	gain       = 1.05 // so that the zones stand where they stood
)

func kindWeight(k kind) float64 {
	switch k {
	case kindHeader:
		return 1.1
	case kindLink:
		return 0.8
	}
	return 1
}

// loneMost is what tokens that one mail alone had may say together about a kind, in a model that is made of labels of other checks for
// more than half: some of these are wrong, and a mail that is like the one with the wrong label shares a hundred such tokens with it.
// Two mails that agree are believed.
const loneMost = 1

// tally sums what the tokens of each kind say.
type tally struct {
	sum, count         [kinds]float64
	loneSum, loneCount [kinds]float64 // of tokens that are bounded by loneMost
}

func (t *tally) add(k kind, weight float64, lone bool) {
	if lone {
		t.loneSum[k] += weight
		t.loneCount[k]++
		return
	}
	t.sum[k] += weight
	t.count[k]++
}

// score weighs tokens: with the parts s of all spam and h of all ham that had a token, p = s/(s+h), and n mails that had it,
// f = (0.5+n·p)/(1+n) (Robinson's estimate with strength 1); for each kind of token z = Σ ln(f/(1-f))/√k over the k that count;
// and of these the weighted sum over the root of the sum of squared weights.
func score(tokens []string, r rates) Score {
	if !r.both {
		return Score{Probability: 0.5}
	}
	var all tally
	var spam, ham strongest
	kept := 0
	for i, t := range tokens {
		n, h, s := r.n[i], r.ham[i], r.spam[i]
		if n <= 0 || h+s <= 0 {
			continue
		}
		f := (0.5 + n*s/(s+h)) / (1 + n)
		if math.Abs(f-0.5) < minStrength {
			continue
		}
		w := math.Log(f / (1 - f))
		all.add(kindOf(t), w, r.auto && n <= 1 && (r.narrow == nil || !r.narrow[i]))
		kept++
		if w > 0 {
			spam.add(Word{t, w})
		} else {
			ham.add(Word{t, w})
		}
	}
	if kept == 0 {
		return Score{Probability: 0.5}
	}
	z := all.combine()
	if z < 0 {
		spam, ham = ham, spam
	}
	return Score{Z: z, Probability: 1 / (1 + math.Exp(-steepness*z)), Kept: kept, Words: spam.list, Against: ham.list}
}

func (t *tally) combine() float64 {
	total, norm := 0.0, 0.0
	for k := range kinds {
		n := t.count[k] + t.loneCount[k]
		if n == 0 {
			continue
		}
		w, root := kindWeight(k), math.Sqrt(n)
		x := w * t.sum[k] / root
		if t.loneCount[k] > 0 {
			x += w * min(max(t.loneSum[k]/root, -loneMost), loneMost)
		}
		if k != kindHeader {
			x = min(max(x, maxHamSum), maxSpamSum)
		}
		total += x
		norm += w * w
	}
	return gain * total / math.Sqrt(norm)
}

// strongest are the words of one side that count most, the strongest first and of equal ones the earliest.
type strongest struct{ list []Word }

func (s *strongest) add(w Word) {
	weight, n := math.Abs(w.Weight), len(s.list)
	switch {
	case n == maxScoreWords && weight <= math.Abs(s.list[n-1].Weight):
		return
	case n == maxScoreWords:
		n--
	case s.list == nil:
		s.list = make([]Word, 0, maxScoreWords)
	}
	s.list = s.list[:n+1]
	for ; n > 0 && math.Abs(s.list[n-1].Weight) < weight; n-- {
		s.list[n] = s.list[n-1]
	}
	s.list[n] = w
}
