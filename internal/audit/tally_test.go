package audit

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestTally: what a scanner does is one entry for a person and an hour, to which every mail leads; a scanner of a large organisation
// fills the log no further than so.
func TestTally(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Log, now *clock) {
		ctx := t.Context()
		now.add(now.now().Truncate(time.Hour).Add(time.Hour).Sub(now.now())) // a whole hour
		tally := func(rcpt, id string, n int) {
			t.Helper()
			if err := l.Tally(ctx, Entry{Actor: "machine", Role: "machine", Act: "machine-open", Rcpts: []string{rcpt}, IDs: []string{id}, Detail: "of " + id}, n); err != nil {
				t.Fatal(err)
			}
		}
		list := func(q Query) (got []string) {
			t.Helper()
			for range 100 {
				p, err := l.List(ctx, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range p.Entries {
					got = append(got, fmt.Sprintf("%s %s %v ×%d %s", e.Time.Format("04:05"), e.Act, e.Rcpts, e.Count, e.Detail))
				}
				if q.Cursor = p.Next; q.Cursor == "" {
					break
				}
			}
			return got
		}
		want := func(name string, q Query, lines ...string) {
			t.Helper()
			if got := list(q); !slices.Equal(got, lines) {
				t.Errorf("%s:\n%q, want\n%q", name, got, lines)
			}
		}
		tally("taro@example.jp", "m1", 3)
		if err := l.Append(ctx, Entry{Act: "look", IDs: []string{"m1"}}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			now.add(10 * time.Second)
			tally("taro@example.jp", "m2", 1)
		}
		first := "00:00 machine-open [taro@example.jp] ×103 of m1"
		want("all", Query{Limit: 1}, first, "00:00 look [] ×0 ")
		want("the first mail", Query{ID: "m1", Act: "machine-open"}, first)
		want("the other mail", Query{ID: "m2"}, first)
		want("the person", Query{Rcpt: "taro@"}, first)
		now.add(time.Hour)
		tally("taro@example.jp", "m1", 1)
		want("the next hour", Query{ID: "m1", Act: "machine-open"}, "16:40 machine-open [taro@example.jp] ×1 of m1", first)

		now.add(time.Hour)
		since := now.now()
		for i := range tallyMost + 20 {
			tally(fmt.Sprintf("p%d@example.jp", i), "m3", 2)
		}
		tally("p0@example.jp", "m3", 1)
		got := list(Query{Since: since, Limit: 1000})
		if len(got) != tallyMost+1 {
			t.Fatalf("%d entries of one hour", len(got))
		}
		for _, e := range []string{
			"16:40 machine-open [p0@example.jp] ×3 of m3",
			"16:40 machine-open [] ×40 the rest of this hour: so many people have entries of their own",
		} {
			if !slices.Contains(got, e) {
				t.Errorf("%q is missing", e)
			}
		}
		if ttl := l.o.Client.PTTL(ctx, tallyKey(since.Format(dayLayout))).Val(); ttl < 29*24*time.Hour {
			t.Errorf("the numbers live %s", ttl)
		}
		if err := l.Tally(ctx, Entry{Act: "machine-open"}, 1); err == nil {
			t.Error("a tally of nobody")
		}
	})
}
