package text

import (
	"fmt"
	"math/rand/v2"
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
		if strings.HasPrefix(e.Key, "symbol.") {
			for _, name := range ja {
				if _, ok := Lookup("placeholder."+strings.Trim(name, "{}"), Ja); !ok {
					t.Errorf("%s: nothing stands for %s where no mail is at hand", e.Key, name)
				}
			}
			if got := Meaning(strings.TrimPrefix(e.Key, "symbol."), Ja); strings.ContainsAny(got, "{}–") {
				t.Errorf("%s: %s", e.Key, got)
			}
		}
		for _, word := range []string{"同社", "同氏", "規則に", "してください。。", "  "} {
			if strings.Contains(e.Ja, word) {
				t.Errorf("%s: says %q", e.Key, word)
			}
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
		"held in the quarantine", "7.0 points reach the threshold of 6.0", "+4.0 (BIG): It is big.",
		`from = "a  b  X"`, "spam: bl.example (it did not answer in time)", "it is not configured", "LISTED",
		"Without any one of these it would have been delivered:\n  - It is big. (BIG, +4.0)\n  - It is late. (LATE, +2.5)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	v := mail.Verdict{Action: mail.Hold, RuleID: "DMARC_POLICY_REJECT", Rule: "defaults/2026.11.toml:7", Final: true}
	if got := strings.Join(Report(v, Ja), "\n"); !strings.Contains(got, "次のことがなければ、隔離せずに届けていました。\n・ルール DMARC_POLICY_REJECT（defaults/2026.11.toml:7）") {
		t.Errorf("%s", got)
	}
}

// TestNeeded compares with all subsets of what counted.
func TestNeeded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 7))
	for n := range 2000 {
		v := mail.Verdict{Action: mail.Hold, RuleID: "threshold.hold", Limit: 6, Class: "spam"}
		for i := range 1 + rnd.IntN(8) {
			c := mail.Counted{Name: fmt.Sprintf("F%d", i), Points: float64(rnd.IntN(13)-3) / 2}
			v.Counted = append(v.Counted, c)
			v.Score += c.Points
		}
		if v.Score < 6 {
			continue
		}
		if n%3 == 0 {
			v.RuleID, v.Final, v.Limit = "R", true, 0
			v.Counted = append(v.Counted, mail.Counted{Name: "R", Rule: "a.toml:1"})
		}
		want, size := map[string]bool{}, len(v.Counted)+1
		for set := range 1 << len(v.Counted) {
			left, names := 0.0, []string{}
			rule := v.Final
			for i, c := range v.Counted {
				if set&(1<<i) == 0 {
					left += c.Points
					continue
				}
				names = append(names, c.Name)
				rule = rule && c.Name != "R"
			}
			if rule || left >= 6-1e-9 || len(names) > size {
				continue
			}
			if len(names) < size {
				size = len(names)
				clear(want)
			}
			slices.Sort(names)
			want[strings.Join(names, " ")] = true
		}
		got := Needed(v, mail.Limits{Hold: 6, Reject: 15})
		if len(got.Sets) != min(len(want), mail.MaxSets) || got.More != (len(want) > mail.MaxSets) {
			t.Fatalf("%v: %d sets, more %v; want %v", v.Counted, len(got.Sets), got.More, want)
		}
		for _, set := range got.Sets {
			var names []string
			for _, c := range set {
				names = append(names, c.Name)
			}
			slices.Sort(names)
			if !want[strings.Join(names, " ")] {
				t.Fatalf("%v: %v is not among %v", v.Counted, names, want)
			}
		}
	}
}

func TestClean(t *testing.T) {
	if got := Clean("a\u200bb\x07\xff日本", 5); got != "a b  …" && got != "a b  日…" {
		t.Errorf("%q", got)
	}
}
