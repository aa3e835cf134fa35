package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestScanRouting shows what rules that send a mail elsewhere look like to the administrator who tries them.
func TestScanRouting(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("rules/routing.toml", `
[[rule]]
id = "TO_ARCHIVE"
describe = { ja = "控えを送ります。", en = "A copy for the archive" }
when = 'message.subject == "copy"'
bcc = "archive@example.test"
[[rule]]
id = "ELSEWHERE"
describe = { ja = "担当者へ送ります。", en = "For somebody else" }
when = 'message.subject == "move"'
redirect = "other@example.test"
[[rule]]
id = "AWAY"
describe = { ja = "破棄します。", en = "Thrown away" }
when = 'message.subject == "away"'
action = "discard"
`)
	conf := write("sekimori.toml", strings.Replace(serveConfig(dir, `
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:maildir"]
[dns]
servers = ["127.0.0.1:1"]
`), "[log]", "rules_dir = \"rules\"\n[log]", 1))
	for _, c := range []struct{ subject, lang, want string }{
		{"copy", "en", "A copy goes to archive@example.test as well."},
		{"move", "en", "It goes to other@example.test instead of the recipient."},
		{"move", "ja", "本来の宛先ではなく、other@example.test に届けます。"},
		{"away", "en", "Decided by the rule AWAY (routing.toml:12)"},
	} {
		mail := write(c.subject+".eml", "From: a@partner.test\r\nSubject: "+c.subject+"\r\n\r\ntext\r\n")
		args := []string{"scan", mail, "--config", conf, "--client", "192.0.2.1", "--helo", "mx.partner.test", "--from", "a@partner.test", "--rcpt", "taro@example.test"}
		if out, _ := runCommand(t, dir, append(args, "--lang", c.lang)...); !strings.Contains(out, c.want) {
			t.Errorf("%s in %s: no %q in\n%.600s", c.subject, c.lang, c.want, out)
		}
		out, _ := runCommand(t, dir, append(args, "--json")...)
		var verdict struct {
			Action, Rule  string
			Degraded, Off []string
		}
		if err := json.Unmarshal([]byte(out), &verdict); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if want := map[string]string{"copy": "deliver", "move": "redirect", "away": "discard"}[c.subject]; verdict.Action != want {
			t.Errorf("%s: action %q, want %q", c.subject, verdict.Action, want)
		}
		const off = "geoip: no database is configured"
		if !slices.Contains(verdict.Off, off) || strings.Contains(strings.Join(verdict.Degraded, "\n"), "geoip") {
			t.Errorf("what is not configured: off %q, degraded %q", verdict.Off, verdict.Degraded)
		}
	}
}

// TestScanBehindGateway: by the rules that are built in, mail whose client cannot be told gets points for that, and the gateway's
// other mail does not.
func TestScanBehindGateway(t *testing.T) {
	dir := t.TempDir()
	conf, file := filepath.Join(dir, "sekimori.toml"), filepath.Join(dir, "x.eml")
	text := serveConfig(dir, "[smtp]\ntrusted_relays = [\"192.0.2.10\"]\n[[domain]]\nnames = [\"example.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:box\"]\n[dns]\nservers = [\"127.0.0.1:1\"]\n")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for received, want := range map[string]bool{
		"from x (y [203.0.113.9]) (mail.partner.test [198.51.100.7]) by gw.test with SMTP; x": true,
		"from mail.partner.test (mail.partner.test [198.51.100.7]) by gw.test with SMTP; x":   false,
		"by gw.test (Postfix, from userid 0) id 1; x":                                         false,
	} {
		if err := os.WriteFile(file, []byte("Received: "+received+"\r\nFrom: a@partner.test\r\nSubject: x\r\n\r\ntext\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := runCommand(t, dir, "scan", file, "--config", conf, "--client", "192.0.2.10", "--helo", "gw.test", "--from", "a@partner.test", "--rcpt", "x@example.test", "--json")
		if !json.Valid([]byte(out)) || strings.Contains(out, `"CLIENT_UNKNOWN"`) != want {
			t.Errorf("Received: %s\nwant CLIENT_UNKNOWN %v in\n%s", received, want, out)
		}
	}
}
