package reputation

import (
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Two hosts on one Redis: what one notes the other knows, and Redis's Lua says the same as the embedded store's.
func TestGreylistAndPastOnRedis(t *testing.T) {
	url := startRedis(t)
	now := time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	var hosts [2]*store.Store
	for i := range hosts {
		s, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: url}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		hosts[i] = s
	}
	try := GreyTry{Client: "192.0.2.0/24", Sender: "a@partner.example", SenderDomain: "partner.example", Rcpt: "x@example.jp"}
	rule := GreyRule{Delay: 5 * time.Minute, Window: time.Hour, Remember: 24 * time.Hour, Known: 1}
	for i, step := range []struct {
		after time.Duration
		rcpt  string
		want  Grey
		age   time.Duration
	}{
		{0, "x", GreyNew, 0},
		{4 * time.Minute, "x", GreyEarly, 4 * time.Minute},
		{2 * time.Hour, "x", GreyNew, 0},
		{6 * time.Minute, "x", GreyPassed, 6 * time.Minute},
		{time.Minute, "y", GreyKnown, 0},
	} {
		now = now.Add(step.after)
		try.Rcpt = step.rcpt + "@example.jp"
		got, age, err := NewGreylist(hosts[i%2].Client(), clock).Try(t.Context(), try, rule)
		if err != nil || got != step.want || age != step.age {
			t.Errorf("step %d: %v after %s, %v", i, got, age, err)
		}
	}
	x := []mail.Address{{Local: "x", Domain: "example.jp"}}
	one, other := NewHistory(hosts[0].Client(), clock), NewHistory(hosts[1].Client(), clock)
	for _, e := range []Event{Delivered, Delivered, Reported} {
		if err := one.Note(t.Context(), "partner.example", x, e); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // taken back once too often is not less than nothing
		if err := other.Forget(t.Context(), "partner.example", x, Reported); err != nil {
			t.Fatal(err)
		}
	}
	all, with, err := other.Past(t.Context(), "partner.example", append(x, mail.Address{Local: "y", Domain: "example.jp"}))
	if err != nil || all.Mails != 2 || all.Reported != 0 || !all.First.Equal(now) || with["x@example.jp"].Mails != 2 || with["x@example.jp"].Weeks != 1 || with["y@example.jp"] != (Past{}) {
		t.Errorf("%+v %+v %v", all, with, err)
	}
	// A month of silence is no week with mail, nor are releases and reports.
	for _, step := range []struct {
		after time.Duration
		event Event
		weeks int
	}{{30 * 24 * time.Hour, Reported, 1}, {0, Released, 1}, {0, Delivered, 2}, {time.Hour, Delivered, 2}, {7 * 24 * time.Hour, Delivered, 3}} {
		now = now.Add(step.after)
		if err := one.Note(t.Context(), "partner.example", x, step.event); err != nil {
			t.Fatal(err)
		}
		if _, with, err := other.Past(t.Context(), "partner.example", x); err != nil || with["x@example.jp"].Weeks != step.weeks {
			t.Errorf("after %s, %s: %+v %v", step.after, step.event, with, err)
		}
	}
}
