package text

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range All() {
		if seen[e.Key] {
			t.Errorf("%s: twice", e.Key)
		}
		seen[e.Key] = true
		if strings.TrimSpace(e.Ja) == "" || strings.TrimSpace(e.En) == "" {
			t.Errorf("%s: not in both languages", e.Key)
		}
		for _, word := range []string{"検疫", "解放", "リリース"} {
			if strings.Contains(e.Ja, word) {
				t.Errorf("%s: says %s", e.Key, word)
			}
		}
		ja, en := placeholder.FindAllString(e.Ja, -1), placeholder.FindAllString(e.En, -1)
		slices.Sort(ja)
		slices.Sort(en)
		if !slices.Equal(slices.Compact(ja), slices.Compact(en)) {
			t.Errorf("%s: {} differ: %v and %v", e.Key, ja, en)
		}
		if strings.HasPrefix(e.Key, "class.") && (!strings.HasSuffix(e.Ja, "。") || !strings.HasSuffix(e.En, ".")) {
			t.Errorf("%s: not a sentence", e.Key)
		}
	}
	for _, f := range mail.BaseFacts {
		if !seen["fact."+f.Name] {
			t.Errorf("no text for the fact %s", f.Name)
		}
	}
	for a := mail.Deliver; a <= mail.Reject; a++ {
		if !seen["action."+a.String()] {
			t.Errorf("no text for the action %s", a)
		}
	}
	for s := mail.Connect; s <= mail.Conclude; s++ {
		if !seen["stage."+s.String()] {
			t.Errorf("no text for the stage %s", s)
		}
	}
}

func held() mail.Verdict {
	return mail.Verdict{
		Action: mail.Hold, Class: "spam", Score: 7, RuleID: "threshold.hold", Limit: 6,
		Counted: []mail.Counted{
			{Name: "X_SMALL", Points: 0.5},
			{Name: "X_NONE"},
			{
				Name: "LATE", Points: 2.5, Describe: map[string]string{"ja": "遅いです。", "en": "It is late."}, Rule: "a.toml:3",
				Evidence: []mail.Evidence{{Key: "from", Value: "a\x00\u202eb\r\nX"}},
			},
			{Name: "BIG", Points: 4, Describe: map[string]string{"ja": "大きいです。", "en": "It is big."}},
		},
		Degraded: []string{"dnsbl: bl.example: timeout", "geoip: skipped: not configured"},
		Unknown:  []string{"LISTED"},
	}
}

func TestExplain(t *testing.T) {
	en := Explain(held(), En)
	if len(en) != 4 || en[0] != "It is big." || en[1] != "It is late." || !strings.Contains(en[3], "know the sender") {
		t.Errorf("en: %q", en)
	}
	if strings.Contains(en[2], "GeoIP") || strings.Contains(en[2], "timeout") {
		t.Errorf("en: %q", en[2])
	}
	ja := strings.Join(Explain(held(), Ja), "")
	if !strings.HasPrefix(ja, "大きいです。遅いです。") || strings.Contains(ja, "BIG") {
		t.Errorf("ja: %q", ja)
	}
	v := mail.Verdict{Action: mail.Hold, Final: true, Class: "spoof"}
	if got := Explain(v, Ja); len(got) != 1 || !strings.Contains(got[0], "なりすまし") {
		t.Errorf("class: %q", got)
	}
	if got := Explain(mail.Verdict{}, En); len(got) != 1 || !strings.Contains(got[0], "Nothing") {
		t.Errorf("clean: %q", got)
	}
	if got := Explain(mail.Verdict{Action: mail.Reject, Class: "of-ones-own", Final: true}, En); len(got) != 1 || got[0] == "" {
		t.Errorf("unknown class: %q", got)
	}
}

func TestReport(t *testing.T) {
	got := strings.Join(Report(held(), En), "\n")
	for _, want := range []string{
		"Verdict: held in the quarantine", "7.0 points reach the threshold of 6.0", "+4.0 BIG",
		`from="a  b  X"`, "dnsbl: bl.example: timeout", "geoip: skipped: not configured", "LISTED", "absent would have kept it below the threshold: LATE, BIG",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	v := mail.Verdict{Action: mail.Hold, RuleID: "DMARC_POLICY_REJECT", Rule: "defaults/2026.11.toml:7", Final: true}
	if got := Counterfactual(v, Ja); !strings.Contains(got, "DMARC_POLICY_REJECT") {
		t.Errorf("%q", got)
	}
	v = held()
	v.Score = 20
	if got := Counterfactual(v, En); !strings.Contains(got, "14.0 points less") {
		t.Errorf("%q", got)
	}
}

func TestClean(t *testing.T) {
	if got := Clean("a\u200bb\x07\xff日本", 5); got != "a b  …" && got != "a b  日…" {
		t.Errorf("%q", got)
	}
}
