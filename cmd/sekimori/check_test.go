package main

import (
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
