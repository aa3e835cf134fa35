package reputation

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Tallied are how often a symbol or rule came up.
type Tallied struct {
	Hits     int64 `json:"hits"`     // mails (or recipients refused before the message) in whose verdict it counted or decided
	Observed int64 `json:"observed"` // in which a rule would have acted but was told to observe
	Released int64 `json:"released"` // held mails in whose reasons it stood and that somebody released
}

// Tally counts by symbol or rule and day (UTC) in the store. What is counted waits in memory and is written in batches, off the path of
// the mail; what the store cannot take waits for the next time. Safe for concurrent use.
type Tally struct {
	client store.Client
	now    func() time.Time

	mu      sync.Mutex
	waiting map[tallied]int64
}

type tallied struct {
	day, field string
}

const (
	tallyEvery  = 10 * time.Second
	tallyLife   = 45 * 24 * time.Hour
	tallyMost   = 50_000 // that wait while the store does not answer; a day has as many as there are symbols and rules
	tallyPrefix = "tally:"

	// TallyDays is for how many days counts are kept.
	TallyDays = 44
)

// NewTally makes the counters on a store's client.
func NewTally(client store.Client, now func() time.Time) *Tally {
	return &Tally{client: client, now: now, waiting: map[tallied]int64{}}
}

func tallyDay(t time.Time) string { return t.UTC().Format("20060102") }

// Judged counts the verdicts of one mail, each name once.
func (t *Tally) Judged(verdicts []mail.Verdict) {
	day := tallyDay(t.now())
	var seen []string
	add := func(kind, name string) {
		if name == "" {
			return
		}
		field := kind + name
		for _, s := range seen {
			if s == field {
				return
			}
		}
		seen = append(seen, field)
		t.add(day, field)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range verdicts {
		v := &verdicts[i]
		for k := range v.Counted {
			add("h:", v.Counted[k].Name)
		}
		if !strings.HasPrefix(v.RuleID, "threshold.") && !strings.HasPrefix(v.RuleID, "degraded.") {
			add("h:", v.RuleID)
		}
		for _, id := range v.Observed {
			add("o:", id)
		}
	}
}

// Released counts a held mail that was released, by the names in its reasons.
func (t *Tally) Released(reasons []mail.Counted) {
	day := tallyDay(t.now())
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[string]bool{}
	for _, r := range reasons {
		if !seen[r.Name] {
			seen[r.Name] = true
			t.add(day, "r:"+r.Name)
		}
	}
}

// add counts one; the caller holds mu.
func (t *Tally) add(day, field string) {
	key := tallied{day, field}
	if n, ok := t.waiting[key]; ok || len(t.waiting) < tallyMost {
		t.waiting[key] = n + 1
	}
}

// Run writes until ctx ends, and once more then.
func (t *Tally) Run(ctx context.Context) {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			_ = t.Flush(last) // counts of ten seconds, at the worst
			stop()
			return
		case <-tick.C:
			write, stop := context.WithTimeout(ctx, 5*time.Second)
			_ = t.Flush(write) // the store has a warning of its own, and nothing is lost yet
			stop()
		}
	}
}

// Flush writes what waits. What was not written waits again.
func (t *Tally) Flush(ctx context.Context) error {
	t.mu.Lock()
	batch := t.waiting
	t.waiting = map[tallied]int64{}
	t.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	pipe := t.client.Pipeline()
	failed := map[tallied]func() error{}
	days := map[string]bool{}
	for key, n := range batch {
		failed[key] = pipe.HIncrBy(ctx, tallyPrefix+key.day, key.field, n).Err
		days[key.day] = true
	}
	for day := range days {
		pipe.PExpire(ctx, tallyPrefix+day, tallyLife)
	}
	_, err := pipe.Exec(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, n := range batch {
		if failed[key]() != nil {
			t.waiting[key] += n
		}
	}
	return err
}

// Read returns the counts of the last days, today among them, by symbol or rule.
func (t *Tally) Read(ctx context.Context, days int) (map[string]Tallied, error) {
	all := map[string]Tallied{}
	for i := range min(max(days, 1), TallyDays) {
		fields, err := t.client.HGetAll(ctx, tallyPrefix+tallyDay(t.now().AddDate(0, 0, -i))).Result()
		if err != nil {
			return nil, err
		}
		for field, value := range fields {
			n, err := strconv.ParseInt(value, 10, 64)
			kind, name, ok := strings.Cut(field, ":")
			if err != nil || !ok {
				continue
			}
			c := all[name]
			switch kind {
			case "h":
				c.Hits += n
			case "o":
				c.Observed += n
			case "r":
				c.Released += n
			}
			all[name] = c
		}
	}
	return all, nil
}
