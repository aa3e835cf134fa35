package reputation

import (
	"fmt"
	"testing"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

func TestRetreatReached(t *testing.T) {
	l := RetreatLimits{Share: 0.5, Releases: 10, Persons: 5, Days: 7}
	many := make([]int64, 1000)
	for i := range many {
		many[i] = 25
	}
	for _, c := range []struct {
		name     string
		held     int64
		by       []int64
		released int64
		yes      bool
	}{
		{"nothing", 0, nil, 0, false},
		{"half of it, by enough people", 20, []int64{2, 2, 2, 2, 2}, 10, true},
		{"too few mails", 10, []int64{1, 1, 1, 1, 1}, 5, false},
		{"too few people", 20, []int64{5, 5, 5, 5}, 0, false},
		{"too small a share", 21, []int64{2, 2, 2, 2, 2}, 10, false},
		{"one person alone", 1000, []int64{1000}, 0, false},
		{"one person, and others who hardly release anything", 1000, []int64{1000, 1, 1, 1, 1}, 5, false},
		{"one person does not stand for the others", 1100, []int64{1000, 20, 20, 20, 20}, 100, false},
		{"a busy one among many", 40, []int64{9, 4, 4, 4, 4}, 20, true},
		{"a large house", 50_000, many, 25_000, true},
		{"a large house, a little less", 50_002, many, 25_000, false},
	} {
		if released, yes := l.Reached(c.held, c.by); released != c.released || yes != c.yes {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, released, yes, c.released, c.yes)
		}
	}
}

// Two hosts count into one store; both see that the rule has stepped back, also after a restart, until it is changed or cleared. Then
// everything is counted anew.
func TestRetreats(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	now := time.Date(2026, 11, 27, 23, 0, 0, 0, time.UTC)
	limits := RetreatLimits{Share: 0.5, Releases: 4, Persons: 2, Days: 2}
	host := func(sum string) *Retreats {
		r := NewRetreats(st.Client(), func() time.Time { return now })
		r.Rules(map[string]string{"A": sum})
		if _, err := r.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r
	}
	work := func(r *Retreats, ids, released int, held time.Time) []string {
		for range ids {
			r.Judged([]mail.Verdict{{Action: mail.Hold, RuleID: "A"}, {Action: mail.Hold, RuleID: "threshold.hold"}, {Action: mail.Tag, RuleID: "A"}, {Action: mail.Hold, RuleID: "B"}})
		}
		for i := range released {
			r.Released("A", fmt.Sprintf("User%d+%d@example.jp", i%3, i), held)
		}
		fresh, err := r.Flush(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fresh
	}
	one, two := host("s1"), host("s1")
	evaluate := func(r *Retreats) *Back {
		t.Helper()
		b, err := r.Evaluate(t.Context(), "A", "hold", "tag", limits)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	work(one, 6, 0, now)
	if work(two, 2, 2, now.Add(-time.Hour)); evaluate(two) != nil {
		t.Error("what was held before the rule was there counts")
	}
	now = now.Add(2 * time.Hour) // the next day
	if fresh := work(two, 0, 3, now.Add(-time.Hour)); len(fresh) != 1 || evaluate(two) != nil {
		t.Error("3 of 8 are enough", fresh)
	}
	work(one, 0, 1, now.Add(-time.Hour))
	b := evaluate(one)
	if b == nil || b.Held != 8 || b.Released != 4 || b.People != 3 || b.Mode != "tag" || b.Was != "hold" || b.Percent() != 50 {
		t.Fatalf("%+v", b)
	}
	if evaluate(one) != nil {
		t.Error("it steps back twice for the same releases")
	}
	for _, r := range []*Retreats{one, two, host("s1"), host("s2")} {
		list, err := r.Load(t.Context())
		if err != nil || len(list) != 1 || list[0] != *b || evaluate(r) != nil {
			t.Errorf("%+v, %v", list, err)
		}
	}
	// What was held before it stepped back says nothing about what it does now.
	now = now.Add(time.Minute)
	if fresh := work(one, 1, 9, b.At.Add(-time.Minute)); len(fresh) > 0 {
		t.Error(fresh)
	}
	changed := host("s2")
	if work(changed, 4, 4, now); evaluate(changed) == nil {
		t.Error("a changed rule counts by itself")
	}
	cleared, err := two.Clear(t.Context(), "A", "root")
	if err != nil || len(cleared) != 2 {
		t.Fatal(cleared, err)
	}
	if list, err := one.Load(t.Context()); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	now = now.Add(time.Minute)
	if work(one, 4, 1, now); evaluate(one) != nil {
		t.Error("what was released before it was cleared counts")
	}
	if work(one, 0, 3, now); evaluate(one) == nil {
		t.Error("it never steps back again")
	}
}

// What the store did not take is written later.
func TestRetreatsWait(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	r := NewRetreats(st.Client(), func() time.Time { return now })
	r.Rules(map[string]string{"A": "s"})
	r.Judged([]mail.Verdict{{Action: mail.Reject, RuleID: "A"}})
	r.Released("A", "x", now.Add(time.Second))
	_ = st.Close()
	if _, err := r.Flush(t.Context()); err == nil {
		t.Fatal("written to a store that is closed")
	}
	if len(r.waiting) != 2 || !r.fresh["A"] {
		t.Error(r.waiting, r.fresh)
	}
}
