package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekimori/reputation"
)

// redisSay sends one command to a Redis and returns the first line of its answer.
func redisSay(t *testing.T, port int, command string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// learningRig is a gateway that learns: by hand, from a learning address, by itself and from what people do with held mail.
type learningRig struct {
	*gateway
	n int
}

func startLearningRig(t *testing.T, port int) *learningRig {
	t.Helper()
	g := startGateway(t, gatewayOptions{
		on: []string{"dnsbl", "spf", "dkim", "dmarc", "bayes", "history"}, rules: holdRule,
		zone: "_dmarc.forged.test. TXT \"v=DMARC1; p=reject\"\n2.0.0.127.bl.test. A 127.0.0.2\n10.2.0.192.bl.test. A 127.0.0.2\n",
		extra: fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d/0\"\n", port) + `
[[filters.dnsbl.list]]
zone = "bl.test"
score = 4.0
[filters.bayes]
min_ham = 20
min_spam = 20
[bayes.auto]
seeds = 50
sender = 100
[bayes.drop]
spam = ["spam@example.test"]
from = ["192.0.2.77"]
`,
	})
	g.t = t
	trainBayes(t, g)
	return &learningRig{gateway: g}
}

func (r *learningRig) stats() (s struct {
	reputation.Counts
	Ways map[reputation.Way]reputation.WayStats
},
) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.mustRun("bayes", "stats", "--json")), &s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// hand hands two mails in, and returns the answer.
func (r *learningRig) hand(round string) string {
	r.t.Helper()
	text := "From: taro@example.test\nContent-Type: multipart/mixed; boundary=outer\n"
	for i := range 2 {
		text += fmt.Sprintf("\n--outer\nContent-Type: message/rfc822\n\nFrom: a@partner.test\nMessage-ID: <%s%d@partner.test>\nSubject: offer\n\n%s\n", round, i, numbered(fmt.Sprint(round, i)))
	}
	return send(r.t, r.SMTP, "192.0.2.77", "client.test", "taro@example.test", "spam@example.test", withCRLF([]byte(text+"--outer--\n")))
}

// handed sums what came of the mails handed in.
func (r *learningRig) handed(result string) float64 {
	return r.metric(r.t, fmt.Sprintf("sekimori_bayes_handed_in_total{class=\"spam\",result=%q}", result))
}

func (r *learningRig) auto(result string) float64 {
	return r.metric(r.t, fmt.Sprintf("sekimori_bayes_auto_total{class=\"spam\",result=%q}", result))
}

// sure sends a mail of which the other checks are sure.
func (r *learningRig) sure() {
	r.t.Helper()
	r.n++
	if reply := send(r.t, r.SMTP, "192.0.2.10", "h.forged.test", "a@forged.test", "taro@example.test", forged(r.n, numbered(fmt.Sprint("sure", r.n)))); !strings.HasPrefix(reply, "250") {
		r.t.Fatal(reply)
	}
}

// hold sends a mail that is held.
func (r *learningRig) hold(id string) {
	r.t.Helper()
	msg := strings.Replace(strings.Replace(plainMail, "Subject: hello", "Subject: hold me", 1), "<1@", "<"+id+"@", 1)
	if reply := send(r.t, r.SMTP, "192.0.2.20", "h.test", "a@partner.test", "taro@example.test", []byte(msg)); !strings.HasPrefix(reply, "250") {
		r.t.Fatal(reply)
	}
}

func (r *learningRig) heldIDs() map[string]bool {
	ids := map[string]bool{}
	for _, m := range r.held() {
		if subject, _ := m["subject"].(string); subject == "hold me" {
			id, _ := m["id"].(string)
			ids[id] = true
		}
	}
	return ids
}

func (r *learningRig) warns(cause string) bool {
	return strings.Contains(get(r.t, "http://"+r.Ops+"/metrics"), fmt.Sprintf("sekimori_warning{cause=%q} 1", cause))
}

// TestLearningOutage: while Redis hangs, and while it is full, mail flows, what is handed in is put off with words that help, and what was
// acknowledged is there, once each, when it comes back. What nobody was promised is left out and counted.
func TestLearningOutage(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	redis := startRedis(t, dir, port, "--save", "", "--appendonly", "yes")
	r := startLearningRig(t, port)
	begun := r.stats()
	r.hold("before")
	eventually(t, "a mail is held", func() bool { return len(r.heldIDs()) == 1 })
	for _, c := range []struct {
		how, reply, cause string
		begin, end        func()
		lessons           float64 // of other checks, that fail
	}{
		{
			"full", "452 4.3.1 there is no room to learn the mail now; it is tried again by itself", "redis.full",
			func() { redisSay(t, port, "CONFIG SET maxmemory 1") },
			func() { redisSay(t, port, "CONFIG SET maxmemory 0") },
			1,
		},
		{
			"hung", "451 4.3.0 the mail cannot be learned now; it is tried again by itself", "redis",
			func() { _ = redis.Process.Signal(syscall.SIGSTOP) },
			func() { _ = redis.Process.Signal(syscall.SIGCONT) },
			0, // the history is not known, so that nothing is sure
		},
	} {
		was, id := r.stats(), ""
		for id = range r.heldIDs() {
		}
		deferred, failed, learned := r.handed("deferred"), r.auto("failed"), r.handed("learned")
		warned := len(r.log("what other checks are sure of cannot be learned; until it can, such mails are left out"))
		c.begin()
		if reply := r.hand(c.how); !strings.HasPrefix(reply, c.reply) {
			t.Errorf("%s: %s", c.how, reply)
		}
		if r.handed("deferred") != deferred+1 || len(r.log("a mail to a learning address cannot be learned now")) == 0 {
			t.Errorf("%s: nothing tells of it", c.how)
		}
		r.sent++
		if reply := send(t, r.SMTP, "192.0.2.21", "h.test", "a@partner.test", "taro@example.test", []byte(plainMail)); !strings.HasPrefix(reply, "250") {
			t.Errorf("%s: a mail to people: %s", c.how, reply)
		}
		maildir(t, r.maildir, r.sent)
		r.sure()
		eventually(t, c.how+": the lesson of other checks is counted as failed", func() bool { return r.auto("failed") == failed+c.lessons })
		if n := len(r.log("what other checks are sure of cannot be learned; until it can, such mails are left out")); n != warned+int(c.lessons) {
			t.Errorf("%s: it was said %d times", c.how, n-warned)
		}
		eventually(t, c.how+": a warning stands", func() bool { return r.warns(c.cause) })
		r.hold(c.how)
		out, code := r.command("quarantine", "release", id)
		t.Logf("%s: quarantine release: exit %d: %s", c.how, code, out)
		c.end()
		eventually(t, c.how+": the warning is over", func() bool { return !r.warns(c.cause) })
		want := "250 2.0.0 accepted: "
		eventually(t, c.how+": it is learned", func() bool { return strings.HasPrefix(r.hand(c.how), want) })
		if r.handed("learned") != learned+1 {
			t.Errorf("%s: learned is counted %v times", c.how, r.handed("learned")-learned)
		}
		if reply := r.hand(c.how); !strings.HasPrefix(reply, want+"0 learned as spam, 2 known before") {
			t.Errorf("%s: it is not known: %s", c.how, reply)
		}
		r.released(c.how, id, code)
		eventually(t, c.how+": what was held meanwhile is there", func() bool { return len(r.heldIDs()) == 1 })
		r.sure()
		eventually(t, c.how+": what other checks are sure of is learned again", func() bool { return r.stats().SpamAuto == was.SpamAuto+1 })
		eventually(t, c.how+": the release is learned", func() bool { return r.stats().HamShown == was.HamShown+1 })
		n := r.stats()
		if n.SpamShown != was.SpamShown+3 || n.HamShown != was.HamShown+1 || n.HamAuto != 0 {
			t.Errorf("%s: before %+v, now %+v", c.how, was, n)
		}
		eventually(t, c.how+": the server's model has what the store has", func() bool {
			return r.metric(t, "sekimori_bayes_spam_shown") == float64(n.SpamShown) && r.metric(t, "sekimori_bayes_ham_shown") == float64(n.HamShown) &&
				r.metric(t, "sekimori_bayes_spam_learned") == float64(n.SpamLearned)
		})
	}
	ways := map[reputation.Way]reputation.WayStats{
		reputation.ByCommand: {Ham: begun.HamShown, Spam: begun.SpamShown}, reputation.ByDrop: {Spam: 4}, reputation.ByChecks: {Spam: 2}, reputation.ByQuarantine: {Ham: 2},
	}
	if n := r.stats(); n.SpamShown != begun.SpamShown+6 || n.HamShown != begun.HamShown+2 || !maps.Equal(n.Ways, ways) {
		t.Errorf("%+v, at the end %+v", begun, n)
	}
}

// released releases a mail, unless it was released during the outage, and sees that its lesson is there.
func (r *learningRig) released(how, id string, code int) {
	r.t.Helper()
	r.sent++
	if code != 0 {
		if !r.heldIDs()[id] {
			r.t.Errorf("%s: a release that failed has taken the mail out", how)
		}
		r.mustRun("quarantine", "release", id)
	}
	maildir(r.t, r.maildir, r.sent)
}
