package reputation

import (
	"context"
	"testing"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// TestTally: each name counts once for a mail, days are told apart, and what the store did not take is written later.
func TestTally(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	now := time.Date(2026, 11, 27, 23, 0, 0, 0, time.UTC)
	tally := NewTally(st.Client(), func() time.Time { return now })
	mailOf := []mail.Verdict{
		{RuleID: "A", Counted: []mail.Counted{{Name: "SPF_FAIL"}, {Name: "SPF_FAIL"}, {Name: "A"}}, Observed: []string{"B"}},
		{RuleID: "threshold.hold", Counted: []mail.Counted{{Name: "SPF_FAIL"}}, Observed: []string{"B"}},
	}
	tally.Judged(mailOf)
	tally.Released([]mail.Counted{{Name: "A"}, {Name: "SPF_FAIL"}, {Name: "SPF_FAIL"}})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tally.Flush(gone); err == nil {
		t.Fatal("written with a context that has ended")
	}
	now = now.Add(2 * time.Hour) // the next day
	tally.Judged(mailOf)
	for range 2 {
		if err := tally.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for days, n := range map[int]int64{1: 1, 2: 2, 99: 2} {
		got, err := tally.Read(t.Context(), days)
		if err != nil || len(got) != 3 {
			t.Fatalf("%v %v", got, err)
		}
		for name, want := range map[string]Tallied{"SPF_FAIL": {n, 0, n - 1}, "A": {n, 0, n - 1}, "B": {0, n, 0}} {
			if got[name] != want {
				t.Errorf("%d days: %s: %+v, not %+v", days, name, got[name], want)
			}
		}
	}
}
