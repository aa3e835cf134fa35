package measure

import "slices"

// The zones of the check: spam from SpamZ on, ham from HamZ down, unsure between.
const (
	SpamZ = 4
	HamZ  = -2
)

// Result are the figures of a measurement, in percent but for the numbers of mails. Unsure counts as not spam.
type Result struct {
	Ham        int     `json:"ham"`
	Spam       int     `json:"spam"`
	FPR        float64 `json:"fpr"`         // ham called spam
	FNR        float64 `json:"fnr"`         // spam not called spam
	ROCA       float64 `json:"one_roca"`    // 1-ROCA: how often a ham scores above a spam
	FNR01      float64 `json:"fnr_at_0.1"`  // spam missed when 0.1 % of the ham may be lost
	FNR05      float64 `json:"fnr_at_0.5"`  // when 0.5 % may be
	UnsureHam  float64 `json:"unsure_ham"`  // ham of which the check says nothing
	UnsureSpam float64 `json:"unsure_spam"` // spam of which it says nothing
}

// Evaluate makes the figures of scores whose spam zone begins at threshold. Without mails of both classes all are zero.
func Evaluate(out []Outcome, threshold float64) Result {
	ham, spam := split(out)
	r := Result{Ham: len(ham), Spam: len(spam)}
	if len(ham) == 0 || len(spam) == 0 {
		return r
	}
	above := 0.0
	for _, z := range spam {
		lo, _ := slices.BinarySearch(ham, z)
		hi := lo
		for hi < len(ham) && ham[hi] == z {
			hi++
		}
		above += float64(lo) + 0.5*float64(hi-lo)
	}
	r.ROCA = 100 * (1 - above/float64(len(ham))/float64(len(spam)))
	r.FPR = share(ham, func(z float64) bool { return z >= threshold })
	r.FNR = share(spam, func(z float64) bool { return z < threshold })
	r.FNR01, r.FNR05 = missed(ham, spam, 0.001), missed(ham, spam, 0.005)
	unsure := func(z float64) bool { return z > HamZ && z < threshold }
	r.UnsureHam, r.UnsureSpam = share(ham, unsure), share(spam, unsure)
	return r
}

// split returns the scores of each class, rising.
func split(out []Outcome) (ham, spam []float64) {
	for _, o := range out {
		if o.Spam {
			spam = append(spam, o.Z)
		} else {
			ham = append(ham, o.Z)
		}
	}
	slices.Sort(ham)
	slices.Sort(spam)
	return ham, spam
}

func share(list []float64, f func(float64) bool) float64 {
	n := 0
	for _, z := range list {
		if f(z) {
			n++
		}
	}
	return 100 * float64(n) / float64(len(list))
}

// missed is the part of spam that scores no higher than the ham that is left when that part of the ham, the highest, may be lost.
func missed(ham, spam []float64, lost float64) float64 {
	limit := ham[len(ham)-1-int(lost*float64(len(ham))+1e-9)]
	return share(spam, func(z float64) bool { return z <= limit })
}

// Plus adds figures, so that Over makes the mean of several parts of the same mail.
func (r Result) Plus(o Result) Result {
	return Result{
		r.Ham + o.Ham, r.Spam + o.Spam, r.FPR + o.FPR, r.FNR + o.FNR, r.ROCA + o.ROCA, r.FNR01 + o.FNR01, r.FNR05 + o.FNR05,
		r.UnsureHam + o.UnsureHam, r.UnsureSpam + o.UnsureSpam,
	}
}

// Over is the mean of n figures that were added; the numbers of mails stay sums.
func (r Result) Over(n int) Result {
	d := float64(n)
	return Result{r.Ham, r.Spam, r.FPR / d, r.FNR / d, r.ROCA / d, r.FNR01 / d, r.FNR05 / d, r.UnsureHam / d, r.UnsureSpam / d}
}
