package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDropKilled: a server that is killed while it learns what is handed in loses nothing and counts nothing twice. The one who hands in
// comes again until he is told 250, as a mail server does.
func TestDropKilled(t *testing.T) {
	p := start(t, serveConfig(t.TempDir(), `
[smtp]
mynetworks = ["127.0.0.0/8"]
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[bayes.drop]
spam = ["spam@example.test"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:mail"]
[filters]
ratelimit = { enabled = false }
`))
	const rounds, each = 3, 3 // no more than one person may teach
	mailOf := func(round int) []byte {
		text := "From: taro@example.test\nContent-Type: multipart/mixed; boundary=outer\n"
		for i := range each {
			text += "\n--outer\n" + attachedMail(10*round+i) + "\n"
		}
		return withCRLF([]byte(text + "--outer--\n"))
	}
	for round := range rounds {
		c := dial(t, p.SMTP, "")
		c.want("250", "HELO client.test")
		c.want("250", "MAIL FROM:<taro@example.test>")
		c.want("250", "RCPT TO:<spam@example.test>")
		c.want("354", "DATA")
		if _, err := c.c.Write(append(mailOf(round), ".\r\n"...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(8*round*round) * time.Millisecond) // somewhere between nothing and all
		p.kill()
		p.run()
		reply := ""
		eventually(t, "it is accepted", func() bool {
			reply = send(t, p.SMTP, "", "client.test", "taro@example.test", "spam@example.test", mailOf(round))
			return strings.HasPrefix(reply, "250 ")
		})
		var learned, known int
		if n, _ := fmt.Sscanf(reply, "250 2.0.0 accepted: %d learned as spam, %d known before", &learned, &known); n < 1 || learned+known != each {
			t.Fatalf("round %d: %s", round, reply)
		}
		t.Logf("round %d: %s", round, reply)
	}
	p.kill()
	p.run()
	out, _ := p.command("bayes", "stats", "--json")
	var stats struct {
		SpamShown int
		Ways      map[string]struct{ Spam int }
	}
	if err := json.Unmarshal([]byte(out), &stats); err != nil || stats.SpamShown != rounds*each || stats.Ways["drop"].Spam != rounds*each || len(stats.Ways) != 1 {
		t.Errorf("%v, %d mails were learned, not %d\n%s", err, stats.SpamShown, rounds*each, out)
	}
	if out, code := p.command("bayes", "stats"); code != 0 || !strings.Contains(out, "learning addresses") || !strings.Contains(out, "SHOWN BY") {
		t.Errorf("%d %s", code, out)
	}
	if r := send(t, p.SMTP, "", "client.test", "taro@example.test", "spam@example.test", []byte(plainMail)); !strings.HasPrefix(r, "554 5.6.0 no mail is attached") {
		t.Error(r)
	}
	if r := send(t, p.SMTP, "", "client.test", "taro@example.test", "spam@example.test", mailOf(0)); !strings.HasPrefix(r, "250 2.0.0 accepted: 0 learned as spam, 3 known before") {
		t.Error(r)
	}
	eventually(t, "the story is there", func() bool {
		out, _ = p.command("trace", "spam@example.test")
		return strings.Contains(out, "3 known before") && strings.Contains(out, "no mail is attached")
	})
	if !strings.Contains(out, "was handed in to be learned") {
		t.Error(out)
	}
	if out, code := p.command("queue", "check"); code != 0 || !strings.Contains(out, "learned") {
		t.Errorf("%d %s", code, out)
	}
}
