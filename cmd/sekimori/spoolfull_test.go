package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// health asks /healthz, and gives the status code with the word.
func (p *program) health() string {
	p.t.Helper()
	client := &http.Client{Timeout: 20 * time.Second}
	res, err := client.Get("http://" + p.Ops + "/healthz")
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var r struct {
		Status string `json:"status"`
	}
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprint(res.StatusCode, " ", r.Status)
}

// files lists what is beneath a directory.
func files(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, "\n")
}

// TestSpoolFull: while the backend is away and the spool at its limit, mail is put off before DATA, a balancer hears it and nothing is
// written; limits change with a reload; after the spool has drained mail is taken again. Nothing but the log is printed.
func TestSpoolFull(t *testing.T) {
	dir := t.TempDir()
	port := freePort(t)
	conf := func(limits string) string {
		return serveConfig(dir, fmt.Sprintf(`
[smtp]
early_talker_pause = "0s"
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[relay]
retry = ["1s"]
%s
[[domain]]
names = ["old.test"]
recipients = "any"
backends = ["smtp://127.0.0.1:%d"]
`, limits, port))
	}
	p := startIn(t, dir, conf("spool_limit_mails = 1"))
	mail := []byte("Subject: x\r\n\r\nx\r\n")
	post := func() string { return send(t, p.SMTP, "", "client.test", "a@sender.test", "x@old.test", mail) }
	full := func(why string) {
		t.Helper()
		p.until(why, func() bool { return p.health() == "503 spool full" })
		before := files(t, filepath.Join(dir, "data", "spool"))
		c := dial(t, p.SMTP, "")
		c.want("250", "EHLO client.test")
		c.want("452 4.3.1", "MAIL FROM:<a@sender.test>")
		c.want("503", "DATA")
		if after := files(t, filepath.Join(dir, "data", "spool")); after != before {
			t.Errorf("%s: written:\n%s\nbefore:\n%s", why, after, before)
		}
	}
	if h := p.health(); h != "200 ready" {
		t.Fatal(h)
	}
	if r := post(); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	full("the limit of mails")
	p.write("sekimori.toml", conf("spool_limit_mails = 2"))
	p.hangup("configuration reloaded")
	if h := p.health(); h != "200 ready" {
		t.Error(h)
	}
	if r := post(); !strings.HasPrefix(r, "250") {
		t.Error(r)
	}
	full("the higher limit")

	box := t.TempDir()
	startIn(t, box, strings.ReplaceAll(serveConfig(box, fmt.Sprintf(`
[smtp]
early_talker_pause = "0s"
[[smtp.listener]]
listen = ["127.0.0.1:%d"]
[[domain]]
names = ["old.test"]
recipients = "any"
backends = ["maildir:%s/box"]
[policy]
mode = "observe"
`, port, box)), "mx.test", "backend.test"))
	maildir(t, filepath.Join(box, "box"), 2)
	p.until("room again", func() bool { return p.health() == "200 ready" })
	if r := post(); !strings.HasPrefix(r, "250") {
		t.Error(r)
	}
	maildir(t, filepath.Join(box, "box"), 3)
	if code := p.stop(); code != 0 || p.words.Len() > 0 {
		t.Errorf("exit %d, printed %q", code, p.words.String())
	}
	for line := range strings.Lines(p.output()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}

	p.write("sekimori.toml", conf(`disk_reserve = "1000000GiB"`))
	p.run()
	full("a reserve larger than the disk")
}

// TestHarvestTwoHosts: what one host counts of a network holds at the other, through a real Redis.
func TestHarvestTwoHosts(t *testing.T) {
	needTool(t, "redis-server")
	port := freePort(t)
	startRedis(t, t.TempDir(), port)
	host := func() *program {
		dir := t.TempDir()
		list := filepath.Join(dir, "list")
		if err := os.WriteFile(list, []byte("known@old.test\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return startIn(t, dir, serveConfig(dir, fmt.Sprintf(`
[redis]
url = "redis://127.0.0.1:%d/0"
[smtp]
early_talker_pause = "0s"
max_failed_recipients_per_network = "12/1h"
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["old.test"]
recipients = "file:%s"
backends = ["maildir:%s/box"]
`, port, list, dir)))
	}
	asks := func(p *program) func(rcpt string) string {
		c := dial(t, p.SMTP, "")
		c.want("250", "EHLO client.test")
		c.want("250", "MAIL FROM:<a@sender.test>")
		return func(rcpt string) string { return c.say("RCPT TO:<%s@old.test>", rcpt)[:3] }
	}
	first, second := host(), host()
	ask := asks(first)
	for i := range 12 {
		if r := ask(fmt.Sprintf("u%d", i)); r != "550" {
			t.Fatalf("%d: %s", i, r)
		}
	}
	if r := ask("known"); r != "450" {
		t.Errorf("the first host goes on answering: %s", r)
	}
	ask = asks(second)
	n := 0
	eventually(t, "the other host gives no answers", func() bool {
		n++
		return n >= 12 || ask(fmt.Sprintf("v%d", n)) == "450"
	})
	if n >= 12 {
		t.Error("the other host counts for itself")
	}
	if r := ask("known"); r != "450" {
		t.Errorf("the other host says who exists: %s", r)
	}
}
