package reputation

import (
	"context"
	"errors"
	"slices"

	"sekimori/internal/store"
)

// Stats says what a model holds.
type Stats struct {
	Counts
	HamTokens, SpamTokens int // distinct tokens of each class
}

// Stats returns the numbers of everybody's model in memory; Load first for those of the store.
func (l *Learner) Stats() Stats { return statsOf(l.Model()) }

func statsOf(m *Model) Stats {
	s := Stats{Counts: m.Counts()}
	s.HamTokens, s.SpamTokens = m.Tokens()
	return s
}

// MonthStats says what a scope learned in a month.
type MonthStats struct {
	Month string // 202611
	Stats
	Ways map[Way]WayStats // of the mails shown, those of which it is noted by which way they came
}

// Months returns what the store holds of a scope, the newest month first, without those of which nothing is known. One round trip.
func (l *Learner) Months(ctx context.Context, s Scope) ([]MonthStats, error) {
	type answer struct {
		counts *store.SliceCmd
		length *store.IntCmd
	}
	pipe := l.client.Pipeline()
	ask := func(c Class, month string) answer {
		key := hashKey(s, c, month)
		return answer{pipe.HMGet(ctx, key, tokenShown, tokenMail, tokenAuto), pipe.HLen(ctx, key)}
	}
	var all [months][2]answer
	var ways [months]*store.MapStringCmd
	for n := range months {
		month := monthBefore(l.now(), n)
		ways[n] = pipe.HGetAll(ctx, waysKey(s, month))
		all[n] = [2]answer{ask(Ham, month), ask(Spam, month)}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return nil, err
	}
	var list []MonthStats
	for n, a := range all {
		var shown, learned, auto, tokens [2]int
		for c := range a {
			tokens[c] = int(a[c].length.Val())
			for i, n := range []*int{&shown[c], &learned[c], &auto[c]} {
				if v := a[c].counts.Val(); i < len(v) {
					s, _ := v[i].(string)
					*n = parseCount(s)
				}
				tokens[c] = max(0, tokens[c]-min(*n, 1)) // a field of its own
			}
		}
		if shown == [2]int{} {
			continue
		}
		list = append(list, MonthStats{monthBefore(l.now(), n), Stats{
			Counts{shown[0], shown[1], learned[0], learned[1], auto[0], auto[1]}, tokens[0], tokens[1],
		}, waysOf(ways[n].Val())})
	}
	return list, nil
}

// ScopeStats says how many mails were learned for fewer than everybody.
type ScopeStats struct {
	Scope                   Scope
	HamLearned, SpamLearned int
	Counts                  bool // they are enough to count
}

// Scopes returns the persons and domains for which anything was learned, as of the last Load, in order; those whose people teach most
// come first.
func (l *Learner) Scopes() []ScopeStats {
	l.narrow.mu.Lock()
	defer l.narrow.mu.Unlock()
	list := make([]ScopeStats, 0, len(l.narrow.learned))
	for s, n := range l.narrow.learned {
		list = append(list, ScopeStats{s, n[0], n[1], n[0]+n[1] >= s.confidence().Enough})
	}
	slices.SortFunc(list, func(a, b ScopeStats) int {
		if d := b.HamLearned + b.SpamLearned - a.HamLearned - a.SpamLearned; d != 0 {
			return d
		}
		if a.Scope < b.Scope {
			return -1
		}
		return 1
	})
	return list
}
