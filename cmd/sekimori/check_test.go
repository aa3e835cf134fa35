package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckSaysEverythingAtOnce has mistakes in the configuration, in a file it names, in two checks and in a rule file.
func TestCheckSaysEverythingAtOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rules/a.toml", "[[rule]]\nid = \"X\"\ndescribe = { ja = \"a\", en = \"b\" }\nwhen = 'rdns.reslt == \"none\"'\nscore = 1.0\n")
	write("c.toml", `rules_dir = "rules"
nonsense = 1
[smtp]
tls_cert_file = "none.crt"
tls_key_file = "none.key"
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:box"]
[filters.geoip]
country = "none.mmdb"
[[filters.dnsbl.list]]
zone = "{key}.bl.test"
`)
	out, code := runCommand(t, dir, "check", "--config", "c.toml")
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{
		"c.toml:2:1: nonsense: unknown key", "c.toml:4:17: smtp.tls_cert_file", "c.toml:11:11: filters.geoip.country",
		"c.toml:13:8: filters.dnsbl.list[0].zone", `a.toml:4:`, `did you mean "rdns.result"?`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %s\n%s", want, out)
		}
	}
}

// TestExitCodes: 0 fine, 1 a finding or failure, 2 wrong usage.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		code int
	}{
		{"version", exitOK},
		{"check", exitOK},
		{"rules check", exitOK},
		{"symbols --lang ja", exitOK},
		{"symbols --facts --lang ja", exitOK},
		{"quarantine list", exitOK},
		{"queue list --json", exitOK},
		{"nonsense", exitUsage},
		{"queue retry", exitUsage},
		{"scan", exitUsage},
		{"scan x.eml --client nowhere --helo h --from a@b.test --rcpt c@d.test", exitUsage},
		{"scan none.eml --client 192.0.2.1 --helo h --from a@b.test --rcpt c@d.test", exitFailure},
		{"learn ham none", exitFailure},
		{"check --config none.toml", exitFailure},
		{"quarantine show none", exitFailure},
	} {
		if out, code := runCommand(t, dir, strings.Fields(c.args)...); code != c.code || out == "" {
			t.Errorf("%s: exit %d, want %d\n%s", c.args, code, c.code, out)
		}
	}
}

// TestCheckNotes: what check says as notes and warnings stands in its JSON too, each once, and which are warnings can be told.
func TestCheckNotes(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "c.toml")
	text := serveConfig(dir, "[alert]\nmail = [\"admin@example.test\"]\n[[domain]]\nnames = [\"example.test\"]\nrecipients = \"unix\"\nbackends = [\"smtp://127.0.0.1:1\"]\n")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said, _ := runCommand(t, dir, "check", "--config", conf)
	out, code := runCommand(t, dir, "check", "--json", "--config", conf)
	var r checkReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitOK || !r.OK {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	want := 0
	for _, l := range lines(said) {
		note, isNote := strings.CutPrefix(l, "note: ")
		if !isNote && !strings.HasPrefix(l, "warning: ") {
			continue
		}
		want++
		if n := strings.Count(strings.Join(r.Notes, "\n")+"\n", note+"\n"); n != 1 {
			t.Errorf("%d times in the JSON: %q\n%q", n, note, r.Notes)
		}
	}
	all := strings.Join(r.Notes, "\n")
	if len(r.Notes) != want || strings.Contains(all, "note: ") || strings.Contains(all, "warning: warning: ") {
		t.Errorf("%d notes, want %d: %q", len(r.Notes), want, r.Notes)
	}
	for _, w := range []string{"warning: ", "no ~/.forward is read"} {
		if !strings.Contains(all, w) {
			t.Errorf("%q is in none of %q", w, r.Notes)
		}
	}
}
