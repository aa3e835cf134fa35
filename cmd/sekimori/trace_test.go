package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// busyOnce is a backend that puts off the first try for every address that begins with "second", and takes everything else.
func busyOnce(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var asked atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				fmt.Fprint(c, "220 backend.test\r\n")
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					switch verb := strings.ToUpper(line[:min(4, len(line))]); {
					case verb == "DATA":
						fmt.Fprint(c, "354 go on\r\n")
						for line != ".\r\n" {
							if line, err = r.ReadString('\n'); err != nil {
								return
							}
						}
						fmt.Fprint(c, "250 2.6.0 <x@shop.test> [InternalId=4711, Hostname=ex1.corp.test] Queued mail for delivery\r\n")
					case verb == "RCPT" && strings.Contains(line, "<second") && asked.Add(1) == 1:
						fmt.Fprint(c, "450 4.2.0 the mailbox is busy\r\n")
					case verb == "QUIT":
						fmt.Fprint(c, "221 bye\r\n")
						return
					default:
						fmt.Fprint(c, "250 ok\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

const traceRules = `
[[rule]]
id = "WAIT"
describe = { ja = "待つ", en = "wait" }
when = 'greylist.wait and from.domain == "new.test"'
action = "defer"
[[rule]]
id = "NEVER"
describe = { ja = "拒否", en = "never" }
when = 'from.domain == "bad.test"'
action = "reject"
[[rule]]
id = "LOOK"
describe = { ja = "確認", en = "look" }
when = 'message.text contains "lottery" and message.subject contains "当選"'
action = "hold"
class = "spam"
`

// TestTrace lets serve deliver, deliver at the second try, hold, refuse and put off, and finds each by each key.
func TestTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules")
	if err := os.Mkdir(rules, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rules, "a.toml"), []byte(traceRules), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("rules_dir = %q\n", rules) + serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
proxy_protocol_from = ["127.0.0.0/8"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["smtp://%s"]
[relay]
retry = ["1s"]
[dns]
servers = ["127.0.0.1:1"]
timeout = "100ms"
[filters.greylist]
delay = "5m"
`, busyOnce(t)))
	p := startIn(t, dir, conf)
	message := func(subject, id, text string) []byte {
		return []byte("From: Partner <partner@shop.test>\r\nTo: taro@example.test\r\nSubject: " + subject + "\r\nMessage-ID: <" + id + "@shop.test>\r\nDate: Fri, 27 Nov 2026 10:00:00 +0900\r\n\r\n" + text + "\r\n")
	}
	for _, m := range []struct{ ip, from, rcpt, subject, id, text, reply string }{
		{"192.0.2.1", "a@shop.test", "taro@example.test", "Invoice 4711", "m1", "hello", "250"},
		{"192.0.2.2", "b@shop.test", "second@example.test", "=?UTF-8?B?6KuL5rGC5pu4?=", "m2", "hello", "250"},
		{"192.0.2.3", "c@shop.test", "hanako@example.test", "=?UTF-8?B?5b2T6YG4?=", "m3", "a lottery", "250"},
		{"198.51.100.4", "d@bad.test", "taro@example.test", "x", "m4", "x", "5"},
		{"203.0.113.5", "e@new.test", "taro@example.test", "x", "m5", "x", "4"},
	} {
		if r := send(t, p.SMTP, m.ip, "mx.shop.test", m.from, m.rcpt, message(m.subject, m.id, m.text)); !strings.HasPrefix(r, m.reply) {
			t.Fatalf("%s: %s", m.from, r)
		}
	}
	p.emptied()
	trace := func(args ...string) (r traceResult) {
		t.Helper()
		out, _ := p.command(append([]string{"trace", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return r
	}
	fate := func(r *traceResult) (fates string) {
		for i := range r.Stories {
			_, state := fatesOf(&r.Stories[i])
			for _, s := range state {
				fates += s
			}
		}
		return fates
	}
	var last traceResult
	eventually(t, "the last try is in the history", func() bool { last = trace("b@shop.test"); return fate(&last) == "delivered" })
	for fates, keys := range map[string][][]string{
		"delivered": {
			{"a@shop.test"},
			{"--sender", "a@shop.test", "--rcpt", "taro@example.test"},
			{"192.0.2.1"},
			{"<m1@shop.test>"},
			{"m1@shop.test"},
			{"Invoice 4711"},
			{"second@example.test"},
			{"請求書"},
			{"--message-id", "m2@shop.test"},
			{"--client", "192.0.2.2"},
			{last.Stories[0].ID},
		},
		"held":     {{"hanako@example.test"}, {"c@shop.test"}, {"当選"}, {"192.0.2.3"}, {"<m3@shop.test>"}},
		"rejected": {{"bad.test"}, {"d@bad.test"}, {"198.51.100.4"}, {"198.51.100.0/24"}, {"--rcpt", "taro@example.test", "--sender", "bad.test"}},
		"deferred": {{"new.test"}, {"e@new.test"}, {"203.0.113.5"}},
	} {
		for _, args := range keys {
			if r := trace(args...); fate(&r) != fates {
				t.Errorf("%v: %q, want %q: %+v", args, fate(&r), fates, r.Stories)
			}
		}
	}
	words, code := p.command("trace", "second@example.test", "--since", "1h")
	if code != 0 || !strings.Contains(words, "450 4.2.0 the mailbox is busy") || !strings.Contains(words, "delivered 250 2.6.0") ||
		!strings.Contains(words, "Get-MessageTrackingLog -ResultSize Unlimited -MessageId '<m2@shop.test>'") || !strings.Contains(words, "-Sender 'b@shop.test' -Recipients 'second@example.test'") {
		t.Errorf("%d: %s", code, words)
	}
	if words, _ := p.command("trace", "c@shop.test"); !strings.Contains(words, "LOOK (a.toml:") || !strings.Contains(words, "held in the quarantine") {
		t.Error(words)
	}
	ja, code := p.command("trace", "x@bad.test", "--lang", "ja")
	if code != 1 || !strings.Contains(ja, "mx.test には該当する記録がありません") || !strings.Contains(ja, "198.51.100.4") || !strings.Contains(ja, "調べた範囲: mx.test、20") {
		t.Errorf("%d: %s", code, ja)
	}
	if out, code := p.command("trace"); code != 2 || !strings.Contains(out, "say what to look for") {
		t.Errorf("%d: %s", code, out)
	}
	p.factsJudgedAgain(t)
}

// factsJudgedAgain judges what serve has kept with the rules in force: each verdict is the one that it had.
func (p *program) factsJudgedAgain(t *testing.T) {
	t.Helper()
	cfg := p.loaded(t)
	policy, err := loadPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	checkFacts(t, cfg, policy)
}
