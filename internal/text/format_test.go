package text

import (
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

func TestFormats(t *testing.T) {
	at := time.Date(2026, 11, 20, 14, 32, 5, 0, time.FixedZone("JST", 9*3600))
	if got := Moment(at, Ja); got != "2026年11月20日（金）14時32分" {
		t.Error(got)
	}
	if got := Moment(at, En); got != "Fri 20 Nov 2026 14:32" {
		t.Error(got)
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 48_300: "48 KB", 3_250_000: "3.2 MB", 2_000_000_000: "2.0 GB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestSure(t *testing.T) {
	for want, list := range map[Certainty][]mail.Verdict{
		CertaintyHigh:   {{Class: "malware"}, {Class: "spoof", Final: true}, {Class: "spam", Score: 12, Limit: 6}},
		CertaintyMedium: {{Class: "spam", Score: 8, Limit: 6}, {Class: "spam", Score: 8}, {Class: "spoof", Final: true, Degraded: []string{"dkim: timeout"}}},
		CertaintyLow:    {{Class: "spam", Score: 6.5, Limit: 6}, {Class: "unchecked", Final: true}},
	} {
		for _, v := range list {
			if got := Sure(v); got != want {
				t.Errorf("%+v: %s, want %s", v, got, want)
			}
		}
		if SureWord(want, Ja) == "" || SureWord(want, En) == "" {
			t.Errorf("%s has no word", want)
		}
	}
	for _, e := range All() {
		if class, ok := strings.CutPrefix(e.Key, "class."); ok && Fill("classname."+class, Ja) == "" {
			t.Errorf("the class %s has no name", class)
		}
	}
	if got := ClassName("own-class", Ja); got != "own-class" {
		t.Error(got)
	}
}
