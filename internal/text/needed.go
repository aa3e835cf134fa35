package text

import (
	"math"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// Needed computes from a verdict alone what would have changed it: the rule that decided has to go, and with it the fewest findings
// that bring the sum below the threshold. Where limits do not name the threshold, the one in the verdict stands for it. See
// rules.Policy.Without for the answer where the mail's facts are at hand.
func Needed(v mail.Verdict, l mail.Limits) mail.Change {
	if v.RuleID == "" || v.Word() == mail.Deliver.String() || strings.HasPrefix(v.RuleID, "degraded.") {
		return mail.Change{}
	}
	var must []mail.Counted
	var items []mail.Counted
	for _, c := range v.Counted {
		switch {
		case c.Name == v.RuleID:
			must = []mail.Counted{c}
		case c.Points > 0:
			items = append(items, c)
		}
	}
	if !strings.HasPrefix(v.RuleID, "threshold.") && must == nil {
		must = []mail.Counted{{Name: v.RuleID, Rule: v.Rule, Describe: v.Describe}}
	}
	limit := lowest(&v, l)
	if limit <= 0 {
		return mail.Change{}
	}
	slices.SortStableFunc(items, func(a, b mail.Counted) int {
		switch {
		case a.Points > b.Points:
			return -1
		case a.Points < b.Points:
			return 1
		}
		return 0
	})
	c := mail.Change{}
	least(items, v.Score-limit, func(set []mail.Counted) bool {
		if len(c.Sets) == mail.MaxSets {
			c.More = true
			return false
		}
		c.Sets = append(c.Sets, slices.Concat(must, set))
		return true
	})
	return c
}

// lowest is the threshold below which the sum has to stay; infinite where there is none.
func lowest(v *mail.Verdict, l mail.Limits) float64 {
	limit := math.Inf(1)
	for _, t := range []float64{l.Hold, l.Reject} {
		if t > 0 {
			limit = min(limit, t)
		}
	}
	if v.Action == mail.Tag && l.Tag > 0 {
		limit = min(limit, l.Tag)
	}
	if v.Limit != 0 && (math.IsInf(limit, 1) || v.RuleID == "threshold."+v.Action.String()) {
		limit = min(limit, v.Limit)
	}
	return limit
}

// least calls f with each of the smallest sets of items, of which the first have the most points, whose points are more than over, until
// f returns false. Taking the greatest first shows how many it takes; no smaller number can do it.
func least(items []mail.Counted, over float64, f func([]mail.Counted) bool) {
	const slack = 1e-9 // a threshold is reached a little below
	size, sum := 0, 0.0
	for sum <= over+slack {
		if size == len(items) {
			return
		}
		sum += items[size].Points
		size++
	}
	set := make([]mail.Counted, 0, size)
	var choose func(from int, sum float64) bool
	choose = func(from int, sum float64) bool {
		if len(set) == size {
			return f(slices.Clone(set))
		}
		for i := from; i <= len(items)-(size-len(set)); i++ {
			most := sum
			for k := i; k < i+size-len(set); k++ {
				most += items[k].Points
			}
			if most <= over+slack {
				break // those that follow have less
			}
			set = append(set, items[i])
			more := choose(i+1, sum+items[i].Points)
			set = set[:len(set)-1]
			if !more {
				return false
			}
		}
		return true
	}
	choose(0, 0)
}
