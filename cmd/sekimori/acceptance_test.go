package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestFirstHour does what somebody does in the first hour: a clean mail, one from a listed address, a spoofed one, and a
// release, with the built-in rules and a plain list.
func TestFirstHour(t *testing.T) {
	g := startGateway(t, gatewayOptions{
		zone:  partnerZone + dkimZone + "_dmarc.partner.test. TXT \"v=DMARC1; p=reject\"\n2.0.0.127.bl.test. A 127.0.0.2\n",
		extra: "[[filters.dnsbl.list]]\nzone = \"bl.test\"\nscore = 4.0\n",
	})
	if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", testMail(t, "signed")); !strings.HasPrefix(r, "250") {
		t.Fatalf("the clean mail: %s", r)
	}
	head, _, _ := strings.Cut(string(maildir(t, g.maildir, 1)[0]), "\r\n\r\n")
	if v := field(head, "X-Sekimori-Verdict"); !strings.HasPrefix(v, "deliver") {
		t.Errorf("the clean mail: %s\n%s", v, head)
	}

	listed(t, g)

	spoofed := []byte(strings.Replace(plainMail, "Subject: hello", "Subject: spoofed", 1))
	r := send(t, g.SMTP, "198.51.100.66", "mail.evil.test", "x@evil.test", "taro@example.test", spoofed)
	if !strings.HasPrefix(r, "250") {
		t.Fatalf("the spoofed mail: %s", r)
	}
	held := g.held()
	if len(held) != 1 || held[0]["class"] != "spoof" || held[0]["subject"] != "spoofed" {
		t.Fatalf("held: %v", held)
	}
	id := fmt.Sprint(held[0]["id"])
	out, code := g.command("quarantine", "show", id, "--raw")
	if code != 0 || out != string(spoofed) {
		t.Errorf("show --raw: exit %d, %q", code, out)
	}
	if out, code = g.command("quarantine", "show", id, "--lang", "ja"); code != 0 || !strings.Contains(out, "隔離") {
		t.Errorf("show: exit %d\n%s", code, out)
	}
	if out, code := g.command("quarantine", "release", id); code != 0 {
		t.Fatalf("release: exit %d\n%s", code, out)
	}
	got := maildir(t, g.maildir, 2)
	i := 0
	if !bytes.Contains(got[0], []byte("X-Sekimori-Released")) {
		i = 1
	}
	if !bytes.HasSuffix(got[i], spoofed) || !bytes.Contains(got[i], []byte("X-Sekimori-Released: "+id)) {
		t.Errorf("released:\n%s", got[i])
	}
	if _, code := g.command("quarantine", "release", "nosuchmail"); code != 1 {
		t.Errorf("release of what is not there: exit %d", code)
	}
}

// listed puts a network on the deny list, as a file without any rule.
func listed(t *testing.T, g *gateway) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(rulesDir(t, g), "deny_clients.txt"), []byte("192.0.2.77 # a listed address\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := g.command("check"); code != 0 {
		t.Fatalf("check: exit %d\n%s", code, out)
	}
	if code := g.stop(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	g.run()
	c := dial(t, g.SMTP, "192.0.2.77")
	c.want("250", "EHLO mx.partner.test")
	c.want("250", "MAIL FROM:<sender@partner.test>")
	reply := c.want("550 5.7.1", "RCPT TO:<taro@example.test>")
	if !strings.Contains(reply, "id=") {
		t.Errorf("the refusal does not name the transaction: %s", reply)
	}
	c.want("250", "RCPT TO:<postmaster@example.test>")
}

func rulesDir(t *testing.T, g *gateway) string {
	t.Helper()
	b, err := os.ReadFile(g.conf)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "rules_dir = \"")
	dir, _, _ := strings.Cut(rest, "\"")
	return dir
}

// TestLateBackend has a backend that answers the final dot after 40 s, far beyond the budget of 15 s: the client has its
// 250 in time, and the mail is delivered once.
func TestLateBackend(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 40 seconds")
	}
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mails, answered atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go lateBackend(c, 40*time.Second, &mails, &answered)
		}
	}()
	p := start(t, serveConfig(t.TempDir(), fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["smtp://%s"]
[policy]
mode = "observe"
`, l.Addr())))
	began := time.Now()
	if r := send(t, p.SMTP, "", "client.test", "sender@partner.test", "taro@example.test", []byte(plainMail)); !strings.HasPrefix(r, "250") {
		t.Fatalf("%s", r)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the client waited %s", took)
	}
	if out, _ := p.command("queue", "list"); !strings.Contains(out, "inflight") {
		t.Errorf("queue list: %s", out)
	}
	time.Sleep(time.Until(began.Add(42 * time.Second)))
	p.emptied()
	if mails.Load() != 1 || answered.Load() != 1 {
		t.Errorf("the backend got %d mails and answered %d", mails.Load(), answered.Load())
	}
}

func lateBackend(c net.Conn, wait time.Duration, mails, answered *atomic.Int32) {
	defer c.Close()
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 late.test\r\n")
	for data := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " x")[0]); {
		case data && line == ".\r\n":
			data = false
			mails.Add(1)
			time.Sleep(wait)
			answered.Add(1)
			fmt.Fprint(c, "250 2.0.0 ok\r\n")
		case data:
		case verb == "DATA":
			data = true
			fmt.Fprint(c, "354 go\r\n")
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}
