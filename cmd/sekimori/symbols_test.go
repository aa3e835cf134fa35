package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSymbolCounts: a recipient who was refused is counted for the rule, off the path of the mail; coverage and the page know it.
func TestSymbolCounts(t *testing.T) {
	p := startReload(t, "")
	p.write("rules/50-new.toml", reloadRule)
	p.hangup("configuration reloaded")
	untouched := func() []string {
		t.Helper()
		out, _ := p.command("rules", "test", "--coverage", "--json")
		var r testReport
		if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r); err != nil || r.Coverage == nil {
			t.Fatal(err, out)
		}
		return r.Coverage.NoMail
	}
	const rule = "NEW_RULE (50-new.toml:1)"
	if !slices.Contains(untouched(), rule) {
		t.Error("a mail touched the rule before there was one")
	}
	c := dial(t, p.SMTP, "")
	c.want("250", "EHLO client.test")
	c.want("250", "MAIL FROM:<b@sender.test>")
	c.want("550 5.7.1 the new rule", "RCPT TO:<x@old.test>")
	p.until("counted", func() bool { return !slices.Contains(untouched(), rule) })
	page := filepath.Join(p.dir, "symbols.html")
	if out, code := p.command("symbols", "--html", page); code != 0 {
		t.Fatal(out)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<code>SPF_FAIL</code>", "<code>NEW_RULE</code><br>50-new.toml:1</td><td>new</td><td lang=\"en\">new</td><td class=\"n\">1</td><td class=\"n\">0</td>"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if out, code := p.command("symbols", "--days", "99"); code != 2 || !strings.Contains(out, "--days 99: counts are kept for 1 to 44 days") {
		t.Errorf("%d\n%s", code, out)
	}
}
