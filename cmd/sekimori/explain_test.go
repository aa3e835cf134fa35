package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/history"
)

// TestExplainStory: a mail that was delivered or refused is explained from its story; what is not known is said with host and period.
func TestExplainStory(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "sekimori.toml")
	if err := os.WriteFile(conf, []byte(serveConfig(dir, "[[domain]]\nnames = [\"example.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:box\"]\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := history.Open(filepath.Join(dir, "data", "history"), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.Story(&history.Event{
		Time: time.Now(), Kind: history.KindMail, ID: "abc1", From: "sato@partner.test", HeaderFrom: "sato@partner.test", Action: "hold", Rules: "0123456789ab",
		Rcpts:    []history.Rcpt{{Addr: "taro@example.test", Action: "hold", Rule: "threshold.hold", Class: "spam", Score: 7, Limits: []float64{4, 6.5, 15}}},
		Findings: []history.Finding{{Name: "BAYES_SPAM", Points: 7, Evidence: [][2]string{{"words", "副業, 先着"}}}, {Name: "SPF_PASS", Evidence: [][2]string{{"domain", "partner.test"}}}},
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, code := runCommand(t, dir, "explain", "abc1", "--config", conf, "--lang", "ja")
	for _, want := range []string{"taro@example.test 宛てのこのメールの判定は「隔離」です。", "7.0点となり、「隔離」のしきい値である6.5点に達した", "sekimori rules show 0123456789ab", "「副業」「先着」", "次のことがなければ、隔離せずに届けていました。", `lower(message.from) == "sato@partner.test"`, `spf.result == "pass"`, `action   = "allow"`} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, out)
		}
	}
	if out, _ := runCommand(t, dir, "trace", "--id", "abc1", "--config", conf); !strings.Contains(out, "hold (7.0 of 6.5 points, rule threshold.hold)") {
		t.Errorf("trace:\n%s", out)
	}
	out, _ = runCommand(t, dir, "explain", "abc1", "--config", conf, "--json")
	var r struct {
		Source     string
		Recipients []struct{ Smallest [][]string }
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Source != "story" || len(r.Recipients) != 1 || len(r.Recipients[0].Smallest) != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, code = runCommand(t, dir, "explain", "nothere", "--config", conf); code != 1 || !strings.Contains(out, "covers") {
		t.Errorf("exit %d: %s", code, out)
	}
}
