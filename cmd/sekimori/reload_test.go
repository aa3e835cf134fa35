package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// toData goes up to the middle of a message.
func (c *client) toData(rcpt string) {
	c.t.Helper()
	c.want("250", "EHLO client.test")
	c.want("250", "MAIL FROM:<a@sender.test>")
	c.want("250", "RCPT TO:<%s>", rcpt)
	c.want("354", "DATA")
	if _, err := fmt.Fprintf(c.c, "From: a@sender.test\r\nTo: %s\r\nSubject: half of it\r\n\r\nfirst half\r\n", rcpt); err != nil {
		c.t.Fatal(err)
	}
}

const reloadRule = `[[rule]]
id = "NEW_RULE"
describe = "new"
when = 'from.domain == "sender.test"'
action = "reject"
reply = "the new rule"
  [[rule.test]]
  expect = "hit"
  given = { "from.domain" = "sender.test" }
`

func reloadConfig(dir, domain, more string) string {
	return "rules_dir = \"rules\"\n" + serveConfig(dir, fmt.Sprintf(`
[smtp]
early_talker_pause = "0s"
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = [%q]
recipients = "any"
backends = ["maildir:%s/maildir"]
%s`, domain, dir, more))
}

func (p *program) write(name, text string) {
	p.t.Helper()
	name = filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		p.t.Fatal(err)
	}
}

// hangup sends SIGHUP and waits for the words in the log.
func (p *program) hangup(words string) {
	p.t.Helper()
	before := strings.Count(p.output(), words)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	p.until(words, func() bool { return strings.Count(p.output(), words) > before })
}

func (p *program) until(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("not seen: %s\n%s", what, p.output())
		}
	}
}

// startReload runs a server for old.test whose rules_dir is there and empty.
func startReload(t *testing.T, more string) *program {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	return startIn(t, dir, reloadConfig(dir, "old.test", more))
}

// TestReloadUnderData: a connection in the middle of DATA ends by the configuration it began with; the next one meets the new
// domain and rule.
func TestReloadUnderData(t *testing.T) {
	p := startReload(t, "")
	old := dial(t, p.SMTP, "")
	old.toData("x@old.test")
	p.write("rules/50-new.toml", reloadRule)
	p.write("sekimori.toml", reloadConfig(p.dir, "new.test", ""))
	p.hangup("configuration reloaded")
	next := dial(t, p.SMTP, "")
	next.want("250", "EHLO client.test")
	next.want("250", "MAIL FROM:<b@sender.test>")
	next.want("550 5.7.1 relaying denied", "RCPT TO:<x@old.test>")
	next.want("550 5.7.1 the new rule", "RCPT TO:<x@new.test>")
	old.want("250 2.0.0 accepted", "second half\r\n.")
	old.want("250", "MAIL FROM:<a@sender.test>")
	old.want("250", "RCPT TO:<x@old.test>")
}

// TestReloadRefused: a configuration that does not load leaves the old one in force and says so in log, metric and check; mended,
// it is noticed without a signal.
func TestReloadRefused(t *testing.T) {
	p := startReload(t, "")
	if out, code := p.command("check"); code != 0 || !strings.Contains(out, "uses this configuration") {
		t.Errorf("%d\n%s", code, out)
	}
	p.write("rules/50-new.toml", strings.Replace(reloadRule, "from.domain ==", "from.domian ==", 1))
	p.hangup("configuration not reloaded")
	p.until("the place of the error", func() bool { return strings.Contains(p.output(), "50-new.toml:4:") })
	if m := fetch(t, "http://"+p.Ops+"/metrics"); !strings.Contains(m, "sekimori_config_reload_success 0") || !strings.Contains(m, `sekimori_warning{cause="config"} 1`) {
		t.Error(m)
	}
	out, code := p.command("check")
	if code != 1 || !strings.Contains(out, "was refused") {
		t.Errorf("%d\n%s", code, out)
	}
	if r := send(t, p.SMTP, "", "client.test", "a@sender.test", "x@old.test", []byte("Subject: x\r\n\r\nx\r\n")); !strings.HasPrefix(r, "250") {
		t.Error(r)
	}
	p.write("rules/50-new.toml", reloadRule)
	p.until("the change", func() bool { return strings.Contains(p.output(), "configuration reloaded") })
	if r := send(t, p.SMTP, "", "client.test", "a@sender.test", "x@old.test", []byte("Subject: x\r\n\r\nx\r\n")); !strings.HasPrefix(r, "550 5.7.1 the new rule") {
		t.Error(r)
	}
	if m := fetch(t, "http://"+p.Ops+"/metrics"); !strings.Contains(m, "sekimori_config_reload_success 1") || strings.Contains(m, `cause="config"`) {
		t.Error("the metric does not say that all is well again")
	}
}

// TestReloadNeedsRestart: keys of what is opened once are named, and nothing of the file is taken over.
func TestReloadNeedsRestart(t *testing.T) {
	p := startReload(t, "")
	conf := strings.Replace(reloadConfig(p.dir, "new.test", ""), "hostname = \"mx.test\"", "hostname = \"mx2.test\"", 1)
	p.write("sekimori.toml", strings.Replace(conf, "[metrics]\nlisten", "[metrics]\n# moved\nlisten", 1))
	p.hangup("hostname can change with a restart only")
	out, code := p.command("check")
	if code != 0 || !strings.Contains(out, "hostname can change with a restart only") {
		t.Errorf("%d\n%s", code, out)
	}
	c := dial(t, p.SMTP, "")
	c.want("250", "EHLO client.test")
	c.want("250", "MAIL FROM:<a@sender.test>")
	c.want("250", "RCPT TO:<x@old.test>")
	p.stop()
	p.run()
	if out, _ := p.command("check"); !strings.Contains(out, "uses this configuration") {
		t.Error(out)
	}
	p.stop()
	if out, _ := p.command("check"); !strings.Contains(out, "no server runs") {
		t.Error(out)
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
