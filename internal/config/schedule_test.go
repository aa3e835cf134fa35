package config

import (
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestScheduleText(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"off":                        "off",
		"Hourly":                     "hourly",
		"daily":                      "daily 08:00",
		"daily 16:00, 8:00 16:00":    "daily 08:00 16:00",
		"workdays 08:30":             "workdays 08:30",
		"weekly thursday mon 09:00":  "weekly mon thu 09:00",
		"weekly":                     "weekly mon 08:00",
		"weekly sun,sat 23:59 00:00": "weekly sun sat 00:00 23:59",
	} {
		z, err := ParseSchedule(in)
		if err != nil || z.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, z, err, want)
		}
		if again, err := ParseSchedule(z.String()); err != nil || again.String() != z.String() {
			t.Errorf("%q does not survive: %v", z, err)
		}
	}
	for _, in := range []string{"never", "daily 8", "daily 24:00", "daily 08:0", "weekly mo", "weekly monda", "off 08:00", "daily mon", "workdays -1:00"} {
		if z, err := ParseSchedule(in); err == nil {
			t.Errorf("%q was read as %q", in, z)
		}
	}
}

func TestScheduleTimes(t *testing.T) {
	tokyo, berlin, delhi := zone(t, "Asia/Tokyo"), zone(t, "Europe/Berlin"), zone(t, "Asia/Kolkata")
	for _, c := range []struct {
		schedule, now string
		loc           *time.Location
		last, next    string
	}{
		{"workdays 08:30", "2026-11-27T08:30:00+09:00", tokyo, "2026-11-27T08:30:00+09:00", "2026-11-30T08:30:00+09:00"},
		{"workdays 08:30", "2026-11-27T08:29:59+09:00", tokyo, "2026-11-26T08:30:00+09:00", "2026-11-27T08:30:00+09:00"},
		{"workdays 08:30", "2026-11-29T12:00:00+09:00", tokyo, "2026-11-27T08:30:00+09:00", "2026-11-30T08:30:00+09:00"},
		{"daily 08:00 16:00", "2026-11-27T12:00:00+09:00", tokyo, "2026-11-27T08:00:00+09:00", "2026-11-27T16:00:00+09:00"},
		{"daily 08:00", "2026-11-26T23:30:00Z", tokyo, "2026-11-27T08:00:00+09:00", "2026-11-28T08:00:00+09:00"},
		{"weekly mon", "2026-11-30T07:59:00+09:00", tokyo, "2026-11-23T08:00:00+09:00", "2026-11-30T08:00:00+09:00"},
		{"weekly mon", "2026-11-30T08:00:00+09:00", tokyo, "2026-11-30T08:00:00+09:00", "2026-12-07T08:00:00+09:00"},
		{"hourly", "2026-11-27T12:34:56Z", delhi, "2026-11-27T12:30:00Z", "2026-11-27T13:30:00Z"},
		// 02:30 is left out on 2026-03-29, and comes twice on 2026-10-25: once a day all the same.
		{"daily 02:30", "2026-03-29T12:00:00+02:00", berlin, "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"},
		{"daily 02:30", "2026-10-25T12:00:00+01:00", berlin, "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"},
		// The hour that comes twice has two.
		{"hourly", "2026-10-25T02:10:00+02:00", berlin, "2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"},
		{"hourly", "2026-10-25T02:10:00+01:00", berlin, "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"},
	} {
		z, err := ParseSchedule(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		now := at3339(t, c.now)
		if got, ok := z.Last(now, c.loc); !ok || !got.Equal(at3339(t, c.last)) {
			t.Errorf("%s at %s: last %s, want %s", z, c.now, got, c.last)
		}
		if got, ok := z.Next(now, c.loc); !ok || !got.Equal(at3339(t, c.next)) {
			t.Errorf("%s at %s: next %s, want %s", z, c.now, got, c.next)
		}
	}
	if _, ok := (Schedule{Kind: "off"}).Last(time.Now(), tokyo); ok {
		t.Error("off is due")
	}
}

// TestScheduleYear goes through a year with two changes of the clock: every day has its times, no due time is missed or comes twice.
func TestScheduleYear(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for schedule, want := range map[string]int{"daily 02:30 09:00": 2 * 365, "workdays 02:30": 261, "weekly mon fri": 104, "hourly": 365 * 24} {
		z, err := ParseSchedule(schedule)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, berlin)
		end := time.Date(2027, 1, 1, 0, 0, 0, 0, berlin)
		n, last := 0, time.Time{}
		for now := start.Add(-time.Minute); ; n++ {
			next, ok := z.Next(now, berlin)
			if !ok || !next.After(now) {
				t.Fatalf("%s: after %s comes %s", z, now, next)
			}
			if got, _ := z.Last(next, berlin); !got.Equal(next) {
				t.Fatalf("%s: at %s the last is %s", z, next, got)
			}
			if got, _ := z.Last(next.Add(-time.Second), berlin); !last.IsZero() && !got.Equal(last) {
				t.Fatalf("%s: before %s the last is %s, not %s", z, next, got, last)
			}
			if !next.Before(end) {
				break
			}
			now, last = next, next
		}
		if n != want {
			t.Errorf("%s: due %d times a year, want %d", z, n, want)
		}
	}
}

func at3339(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
