package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/history"
)

// TestRulesCompare: where the gateway and the rules differ is shown with what matters most first, and a go needs every criterion.
func TestRulesCompare(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "sekimori.toml")
	if err := os.WriteFile(conf, []byte(serveConfig(dir, "[[domain]]\nnames = [\"example.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:"+dir+"/maildir\"]\n[filters.gateway]\nreads = [\"spamassassin\"]\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := history.Open(filepath.Join(dir, "data", "history"), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	mailed := func(count int, gateway, action, would, rule string, findings ...history.Finding) string {
		id := ""
		for range count {
			n++
			id = fmt.Sprintf("mail%d", n)
			w.Story(&history.Event{
				Time: time.Now().Add(-time.Duration(n%4) * 24 * time.Hour), Kind: history.KindMail, ID: id, From: "a@sender.test", Subject: "subject of " + id, Gateway: gateway, Findings: findings,
				Rcpts: []history.Rcpt{{Addr: "taro@example.test", Action: action, Would: would, Rule: rule, Score: 1}},
			})
		}
		return id
	}
	compare := func(args ...string) (string, int) {
		t.Helper()
		var out strings.Builder
		code := run(t.Context(), append([]string{"rules", "compare", "--config", conf, "--since", "7d"}, args...), strings.NewReader(""), &out, &out)
		return out.String(), code
	}
	mailed(950, "deliver", "deliver", "", "")
	mailed(40, "tag", "deliver", "hold", "threshold.hold")
	mailed(5, "tag", "deliver", "", "")
	mailed(3, "", "deliver", "", "")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if out, code := compare(); code != 0 || !strings.Contains(out, "GO: by these criteria") || !strings.Contains(out, "995 recipients' mails") || !strings.Contains(out, "3 more on which it said nothing") ||
		!strings.Contains(out, "5 of 45 (11.11%)") {
		t.Errorf("%d\n%s", code, out)
	}
	mailed(2, "deliver", "deliver", "reject", "TOO_STRICT")
	mailed(1, "deliver", "hold", "", "TOO_STRICT", history.Finding{Name: "HISTORY_KNOWN"})
	last := mailed(1, "deliver", "hold", "", "OTHER")
	w.Story(&history.Event{Time: time.Now(), Kind: history.KindEnded, ID: last, Action: "released", By: "taro@example.test", Rcpts: []history.Rcpt{{Addr: "taro@example.test"}}})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, code := compare("--json")
	var x comparison
	if err := json.Unmarshal([]byte(out), &x); err != nil || code != 1 || x.Go || x.Mails != 999 {
		t.Fatalf("%v %d %+v", err, code, x)
	}
	held := x.Cells[1]
	if held.Gateway != "deliver" || held.Ours != "hold" || held.Count != 2 || held.Known != 2 || held.Rules["TOO_STRICT"] != 1 || len(held.Mails) != 2 || !held.Mails[0].Released || !held.Mails[1].Known {
		t.Errorf("%+v", held)
	}
	if c := x.Criteria; c[2].Met || c[3].Met || !c[4].Met || c[2].Found != "4 of 954 (0.42%)" {
		t.Errorf("%+v", c)
	}
	if out, code := compare("--max-stricter", "1", "--max-known", "2"); code != 0 {
		t.Errorf("%d\n%s", code, out)
	}
	for _, args := range [][]string{{"--max-stricter", "101"}, {"--min-days", "0"}, {"--limit", "-1"}, {"--until", "30d"}} {
		if out, code := compare(args...); code != 2 {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
}
