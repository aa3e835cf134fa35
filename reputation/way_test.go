package reputation

import (
	"bytes"
	"fmt"
	"testing"
)

func digest(n int) string { return fmt.Sprintf("%032x", n) }

// TestWays: by which way mails came is counted with them, and taken away with them, in each scope.
func TestWays(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		l := w.limited(Limits{Person: 10, Campaign: 20, Vocabulary: 1000, Auto: AutoLimits{Daily: 10, Sender: 10}})
		ctx := t.Context()
		teach := func(s Sample) Taught {
			t.Helper()
			return must[Taught](t)(l.Teach(ctx, s))
		}
		months := func(s Scope) map[Way]WayStats {
			t.Helper()
			list := must[[]MonthStats](t)(l.Months(ctx, s))
			if len(list) != 1 {
				return map[Way]WayStats{}
			}
			return list[0].Ways
		}
		want := func(s Scope, why string, ways map[Way]WayStats) {
			t.Helper()
			if got := months(s); fmt.Sprint(got) != fmt.Sprint(ways) {
				t.Errorf("%s, %s: %v, want %v", why, s, got, ways)
			}
		}
		teach(sample(Spam, spamTokens(1), digest(1)))
		teach(sample(Ham, hamTokens(1), digest(2)))
		drop := byPerson(Spam, "taro@example.jp", digest(3), spamTokens(3))
		drop.Way = ByDrop
		was := teach(drop)
		teach(drop)
		auto := Sample{Class: Spam, Tokens: spamTokens(4), Fingerprint: digest(4), Source: Auto, By: "192.0.2.0/24"}
		teach(auto)
		want(Everybody, "each by its way", map[Way]WayStats{ByCommand: {1, 1}, ByDrop: {0, 1}, ByChecks: {0, 1}})
		want(PersonScope(address("taro@example.jp")), "a person's", map[Way]WayStats{ByDrop: {0, 1}})
		confirmed := sample(Spam, spamTokens(4), digest(4))
		confirmed.Way = ByIMAP
		teach(confirmed)
		want(Everybody, "confirmed", map[Way]WayStats{ByCommand: {1, 1}, ByDrop: {0, 1}, ByIMAP: {0, 1}})
		moved := sample(Ham, spamTokens(1), digest(1))
		moved.Way = ByQuarantine
		teach(moved)
		want(Everybody, "moved to the other class", map[Way]WayStats{ByCommand: {1, 0}, ByDrop: {0, 1}, ByIMAP: {0, 1}, ByQuarantine: {1, 0}})
		var export bytes.Buffer
		if _, _, err := l.Export(ctx, &export, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := l.Restore(ctx, drop, was.Before); err != nil {
			t.Fatal(err)
		}
		must[[]Lesson](t)(l.Unlearn(ctx, hamTokens(1), digest(2)))
		want(Everybody, "undone and unlearned", map[Way]WayStats{ByIMAP: {0, 1}, ByQuarantine: {1, 0}})
		want(PersonScope(address("taro@example.jp")), "undone", map[Way]WayStats{})
		must[int](t)(l.Reset(ctx, nil, nil))
		want(Everybody, "reset", map[Way]WayStats{})
		if exists := w.client.Exists(ctx, waysKey(Everybody, monthOf(w.clock()))).Val(); exists != 0 {
			t.Error("the counts of a reset are there")
		}
		must[int](t)(l.Import(ctx, &export, nil))
		want(Everybody, "imported", map[Way]WayStats{ByCommand: {1, 0}, ByDrop: {0, 1}, ByIMAP: {0, 1}, ByQuarantine: {1, 0}})
	})
}
