package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

const newsRule = `
[[rule]]
id = "NEWS"
describe = { ja = "試験", en = "a test" }
when = 'message.subject contains "news"'
action = "hold"
class = "policy"
[[rule]]
id = "FIRM"
describe = { ja = "試験", en = "a test" }
when = 'message.subject contains "secret"'
action = "hold"
class = "policy"
final = true
`

// actsGateway holds mail whose subject has the word news, and signs what is released.
func actsGateway(t *testing.T, rules, undo string) *gateway {
	t.Helper()
	key := filepath.Join(t.TempDir(), "released.key")
	if err := os.WriteFile(key, []byte("a key of more than sixteen octets\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return startGateway(t, gatewayOptions{
		zone: partnerZone + dkimZone + "_dmarc.partner.test. TXT \"v=DMARC1; p=none\"\n", rules: rules,
		extra: fmt.Sprintf("[quarantine]\nundo = %q\n[quarantine.mark]\nkey_file = %q\n", undo, key),
	})
}

func (g *gateway) mustRun(args ...string) string {
	g.t.Helper()
	out, code := g.command(args...)
	if code != 0 {
		g.t.Fatalf("%v: exit %d\n%s", args, code, out)
	}
	return out
}

func newsMail(t *testing.T, subject string, signed bool) []byte {
	t.Helper()
	m := []byte(strings.Replace(strings.Replace(plainMail, "Subject: hello", "Subject: "+subject, 1), "<1@", "<"+subject+"@", 1))
	if signed {
		m = sign(t, m, "partner.test")
	}
	return m
}

// TestAllowedSender releases a mail and allows its sender: what he signs passes from then on, what only names him does not, and
// what an administrator's rule marks as final does not either.
func TestAllowedSender(t *testing.T) {
	g := actsGateway(t, newsRule, "1m")
	first := newsMail(t, "news-1", true)
	if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", first); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	held := g.held()
	if len(held) != 1 || held[0]["rule"] != "NEWS (own.toml:2)" {
		t.Fatalf("%v", held)
	}
	id := fmt.Sprint(held[0]["id"])
	var results []decided
	if err := json.Unmarshal([]byte(g.mustRun("quarantine", "release", id, "--allow", "--json")), &results); err != nil {
		t.Fatal(err)
	}
	if len(results) != 1 || results[0].Result != "releasing" || len(results[0].Allowed) != 1 || results[0].Allowed[0] != "@partner.test confirmed" || results[0].Learned != "ham" {
		t.Fatalf("%+v", results)
	}
	got := maildir(t, g.maildir, 1)[0]
	if !bytes.HasSuffix(got, first) {
		t.Errorf("the octets are others:\n%s", got)
	}
	file := filepath.Join(t.TempDir(), "released.eml")
	if err := os.WriteFile(file, got, 0o600); err != nil {
		t.Fatal(err)
	}
	g.mustRun("quarantine", "verify", file, "--rcpt", "taro@example.test")
	if out, code := g.command("quarantine", "verify", file, "--rcpt", "jiro@example.test"); code != 1 {
		t.Errorf("another's copy: exit %d\n%s", code, out)
	}
	for _, c := range []struct {
		subject string
		signed  bool
		client  string
		rcpt    string
		passes  bool
	}{
		{"news-2", true, "198.51.100.66", "taro@example.test", true},
		{"news-3", false, "198.51.100.66", "taro@example.test", false},
		{"news-4", true, "192.0.2.9", "jiro@example.test", false},
		{"secret-news", true, "192.0.2.9", "taro@example.test", false},
	} {
		before := len(g.held())
		if r := send(t, g.SMTP, c.client, "mx.partner.test", "x@other.test", c.rcpt, newsMail(t, c.subject, c.signed)); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
		if passed := len(g.held()) == before; passed != c.passes {
			t.Errorf("%s: passed is %v\n%s", c.subject, passed, g.mustRun("quarantine", "show", fmt.Sprint(g.held()[0]["id"])))
		}
	}
	for _, m := range maildir(t, g.maildir, 1) {
		if head, _, _ := strings.Cut(string(m), "\r\n\r\n"); strings.Contains(head, "Subject: news-2") && !strings.Contains(head, "ALLOWED_BY_RECIPIENT") {
			t.Errorf("the reason does not say why:\n%s", head)
		}
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(g.mustRun("quarantine", "allow", "list", "--json")), &list); err != nil || len(list) != 1 || list[0]["domain"] != "partner.test" {
		t.Fatalf("%v %v", list, err)
	}
	g.mustRun("quarantine", "allow", "revoke", fmt.Sprint(list[0]["id"]))
	if out, code := g.command("quarantine", "allow", "revoke", "feed"); code != 1 || !strings.Contains(out, "allow list") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out := g.mustRun("quarantine", "allow", "list"); !strings.Contains(out, "no sender is allowed") {
		t.Error(out)
	}
	out := g.mustRun("quarantine", "audit", "--id", id)
	for _, word := range []string{"release", "allow", "command:", "taro@example.test", "@partner.test confirmed"} {
		if !strings.Contains(out, word) {
			t.Errorf("the audit log does not say %s:\n%s", word, out)
		}
	}
}

// TestKilledBeforeRelease kills serve between the request and the hand-over: the mail leaves once, and what is undone stays.
func TestKilledBeforeRelease(t *testing.T) {
	g := actsGateway(t, newsRule, "3s")
	for _, subject := range []string{"news-1", "news-2"} {
		if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", newsMail(t, subject, false)); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
	}
	bulk := func(subject string) string {
		var r bulkReport
		if err := json.Unmarshal([]byte(g.mustRun("quarantine", "release", "--rule", "NEWS", "--subject", subject, "--since", "1h", "--json")), &r); err != nil {
			t.Fatal(err)
		}
		if r.Plan.Count != 1 || r.Receipt == "" || r.Progress.Failed != 0 {
			t.Fatalf("%+v", r)
		}
		return r.Receipt
	}
	if out := g.mustRun("quarantine", "release", "--rule", "NEWS", "--dry-run"); !strings.Contains(out, "2 mails match") || len(g.held()) != 2 {
		t.Errorf("%s", out)
	}
	undone := bulk("news-2")
	g.mustRun("quarantine", "undo", undone)
	bulk("news-1")
	g.kill()
	if got, _ := filepath.Glob(filepath.Join(g.maildir, "*", "*", "new", "*")); len(got) != 0 {
		t.Error("it left before it was due: the test shows nothing")
	}
	g.run()
	got := maildir(t, g.maildir, 1)
	eventually(t, "the mail is released", func() bool { return len(g.held()) == 1 })
	g.kill() // and once more after it: it is not handed over again
	g.run()
	if again := maildir(t, g.maildir, 1); len(again) != 1 || !bytes.Contains(got[0], []byte("Subject: news-1")) {
		t.Errorf("%d mails arrived", len(again))
	}
	if held := g.held(); len(held) != 1 || held[0]["subject"] != "news-2" {
		t.Errorf("%v", held)
	}
	if out, code := g.command("quarantine", "undo", "nothing"); code != 1 || !strings.Contains(out, "receipt") {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, args := range [][]string{{"release"}, {"release", "x", "--rule", "NEWS"}, {"delete", "x", "--dry-run"}, {"release", "--rule", "NEWS", "--allow"}} {
		if out, code := g.command(append([]string{"quarantine"}, args...)...); code != 2 {
			t.Errorf("%v: exit %d\n%s", args, code, out)
		}
	}
}

// TestReleasedCharsets holds and releases mail in every charset, signed: below our fields are the octets that came, and the signature
// is still valid.
func TestReleasedCharsets(t *testing.T) {
	g := actsGateway(t, strings.Replace(newsRule, `message.subject contains "news"`, `message.size > 0`, 1), "1m")
	files, err := filepath.Glob("../../testdata/mail/*.eml")
	if err != nil || len(files) < 10 {
		t.Fatal("testdata/mail is not there", err)
	}
	sent := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m := sign(t, b, "partner.test")
		if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", m); !strings.HasPrefix(r, "250") {
			t.Fatalf("%s: %s", f, r)
		}
		sent[filepath.Base(f)] = m
	}
	if n := len(g.held()); n != len(sent) {
		t.Fatalf("%d are held of %d", n, len(sent))
	}
	args := []string{"quarantine", "release"}
	for _, h := range g.held() {
		args = append(args, fmt.Sprint(h["id"]))
	}
	g.mustRun(args...)
	got := maildir(t, g.maildir, len(sent))
	key := strings.ReplaceAll(dkimZone[strings.Index(dkimZone, "TXT ")+4:], "\" \"", "")
	lookup := func(string) ([]string, error) { return []string{strings.Trim(key, "\"\n")}, nil }
	for name, m := range sent {
		found := false
		for _, r := range got {
			if !bytes.HasSuffix(r, m) {
				continue
			}
			found = true
			v, err := dkim.VerifyWithOptions(bytes.NewReader(r), &dkim.VerifyOptions{LookupTXT: lookup})
			if err != nil || len(v) == 0 || v[0].Err != nil || v[0].Domain != "partner.test" {
				t.Errorf("%s: the signature: %v %+v", name, err, v)
			}
			file := filepath.Join(t.TempDir(), "r.eml")
			if err := os.WriteFile(file, bytes.ReplaceAll(r, []byte("\r\n"), []byte("\n")), 0o600); err != nil {
				t.Fatal(err)
			}
			g.mustRun("quarantine", "verify", file, "--rcpt", "taro@example.test")
		}
		if !found {
			t.Errorf("%s was not released as it came", name)
		}
	}
}
