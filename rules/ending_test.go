package rules

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEnding: a rule with a last day is said a week before and a week after, with the day, by its clock.
func TestEnding(t *testing.T) {
	o := fixtureOptions()
	o.Now = func() time.Time { return time.Date(2026, 12, 20, 12, 0, 0, 0, time.UTC) }
	o.Extra = map[string][]byte{"a.toml": []byte("[[rule]]\nid = \"SALE\"\ndescribe = { ja = \"あ\", en = \"x\" }\nwhen = 'client.early'\nscore = 1\nuntil = \"2026-12-25\"\n")}
	p, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	note := "SALE ends on 2026-12-25"
	if !slices.ContainsFunc(p.Warnings(), func(e Error) bool { return strings.Contains(e.Message, note) }) {
		t.Errorf("no %q in %v", note, p.Warnings())
	}
	for day, want := range map[int]string{17: "", 18: "SALE (a.toml:1) ends on 2026-12-25", 25: "SALE (a.toml:1) ends on 2026-12-25", 26: "SALE (a.toml:1) has ended on 2026-12-25", 32: "SALE (a.toml:1) has ended on 2026-12-25", 33: ""} {
		if got := strings.Join(p.Ending(time.Date(2026, 12, day, 23, 0, 0, 0, time.UTC)), ";"); got != want {
			t.Errorf("day %d: %q, want %q", day, got, want)
		}
	}
}
