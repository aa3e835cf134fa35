package main

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// budget is how long a mail may take when a dependency does not answer: the checks' deadline and what the dialogue needs.
const budget = 12 * time.Second

// partnerZone makes partner.test a sender in good order.
const partnerZone = "partner.test. TXT \"v=spf1 ip4:192.0.2.9 -all\"\n9.2.0.192.in-addr.arpa. PTR mx.partner.test.\nmx.partner.test. A 192.0.2.9\n"

func timedSend(t *testing.T, g *gateway, client string) {
	t.Helper()
	g.sent++
	began := time.Now()
	r := send(t, g.SMTP, client, "mx.partner.test", "sender@partner.test", "taro@example.test", []byte(plainMail))
	if !strings.HasPrefix(r, "250") {
		t.Fatalf("mail is not taken: %s\n%s", r, g.output())
	}
	if took := time.Since(began); took > budget {
		t.Errorf("the mail took %s", took)
	}
}

// lastMail returns the header of the newest mail in the Maildir.
func lastHeader(t *testing.T, g *gateway) string {
	t.Helper()
	newest := ""
	for _, m := range maildir(t, g.maildir, g.sent) {
		head, _, _ := strings.Cut(string(m), "\r\n\r\n")
		if id := field(head, "X-Sekimori-ID"); id > field(newest, "X-Sekimori-ID") || newest == "" {
			newest = head
		}
	}
	return newest
}

// field returns the unfolded value of a header field.
func field(head, name string) string {
	head = strings.ReplaceAll(strings.ReplaceAll(head, "\r\n\t", " "), "\r\n ", " ")
	for line := range strings.SplitSeq(head, "\r\n") {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return v
		}
	}
	return ""
}

func TestRedisAway(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	redis := startRedis(t, dir, port)
	g := startGateway(t, gatewayOptions{
		zone:  partnerZone,
		extra: fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d/0\"\n", port),
		rules: holdRule,
	})
	timedSend(t, g, "192.0.2.9")
	if h := field(lastHeader(t, g), "X-Sekimori-Reason"); strings.Contains(h, "ratelimit") {
		t.Errorf("with Redis alive: %s", h)
	}
	for _, how := range []string{"hung", "stopped"} {
		if how == "hung" {
			_ = redis.Process.Signal(syscall.SIGSTOP)
		} else {
			_ = redis.Process.Signal(syscall.SIGCONT)
			_ = redis.Process.Kill()
		}
		for range 3 {
			timedSend(t, g, "192.0.2.9")
		}
		if h := lastHeader(t, g); !strings.Contains(field(h, "X-Sekimori-Reason"), "ratelimit") {
			t.Errorf("Redis %s: the header does not name what was not looked at:\n%s", how, h)
		}
		began := time.Now()
		r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test",
			[]byte(strings.Replace(plainMail, "hello", "hold me", 1)))
		if !strings.HasPrefix(r, "250") || time.Since(began) > budget {
			t.Errorf("Redis %s: a mail to be held: %s after %s", how, r, time.Since(began))
		}
	}
	// What was held meanwhile is moved when Redis is back.
	startRedis(t, t.TempDir(), port)
	eventually(t, "both held mails are listed", func() bool {
		out, code := g.command("quarantine", "list", "--json")
		return code == 0 && strings.Count(out, `"subject"`) >= 2
	})
}

const holdRule = `
[[rule]]
id = "HOLD_ME"
describe = { ja = "試験", en = "a test" }
when = 'message.subject == "hold me"'
action = "hold"
`

func TestStartsWithRedisDead(t *testing.T) {
	g := startGateway(t, gatewayOptions{zone: partnerZone, extra: fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d/0\"\n", freePort(t))})
	timedSend(t, g, "192.0.2.9")
	resp, err := http.Get("http://" + g.Ops + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("/healthz: %s", resp.Status)
	}
}

func TestDNSAway(t *testing.T) {
	g := startGateway(t, gatewayOptions{
		zone:  partnerZone + "2.0.0.127.bl.test. A 127.0.0.2\n",
		extra: "[policy]\nmode = \"observe\"\n[[filters.dnsbl.list]]\nzone = \"bl.test\"\nscore = 4.0\n",
	})
	timedSend(t, g, "192.0.2.9")
	g.zone.hang(true)
	for i := range 3 {
		timedSend(t, g, fmt.Sprintf("203.0.113.%d", i+1))
	}
	reason := field(lastHeader(t, g), "X-Sekimori-Reason")
	for _, check := range []string{"rdns", "dnsbl", "spf"} {
		if !strings.Contains(reason, check) {
			t.Errorf("DNS hung: the header does not name %s: %s", check, reason)
		}
	}
	g.zone.hang(false)
	i := 20
	eventually(t, "the DNS is asked again", func() bool {
		i++
		timedSend(t, g, fmt.Sprintf("203.0.113.%d", i))
		return !strings.Contains(field(lastHeader(t, g), "X-Sekimori-Reason"), "rdns: ")
	})

	g.zone.stop()
	for i := range 3 {
		timedSend(t, g, fmt.Sprintf("198.51.100.%d", i+1))
	}
	reason = field(lastHeader(t, g), "X-Sekimori-Reason")
	for _, check := range []string{"rdns", "dnsbl"} { // what SPF asks is still in the cache
		if !strings.Contains(reason, check+": ") {
			t.Errorf("DNS stopped: the header does not name %s: %s", check, reason)
		}
	}
}
