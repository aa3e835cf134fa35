package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/reputation"
)

// forged is a mail of a domain that asks for the refusal of mail that is not its own.
func forged(n int, words string) []byte {
	return fmt.Appendf(nil, "From: Bank <service@forged.test>\r\nTo: taro@example.test\r\nSubject: note %d\r\nMessage-ID: <%d@forged.test>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", n, n, words)
}

// numbered are words that no other mail has.
func numbered(prefix string) string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "%sword%d ", prefix, i)
	}
	return b.String()
}

// What a block list and the author's domain agree on is learned by itself, and unlearned by a release; not so what the trained model
// contradicts, nor what was not looked at in full.
func TestAutoLearned(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	startRedis(t, dir, port, "--save", "")
	g := startGateway(t, gatewayOptions{
		on: []string{"dnsbl", "spf", "dkim", "dmarc", "bayes", "history"},
		zone: "_dmarc.forged.test. TXT \"v=DMARC1; p=reject\"\n2.0.0.127.bl.test. A 127.0.0.2\n" +
			"10.2.0.192.bl.test. A 127.0.0.2\n11.2.0.192.bl.test. A 127.0.0.2\n",
		extra: fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d/0\"\n[[filters.dnsbl.list]]\nzone = \"bl.test\"\nscore = 4.0\n", port),
	})
	g.t = t
	r := rand.New(rand.NewPCG(5, 6))
	for _, class := range []string{"ham", "spam"} {
		var mbox strings.Builder
		for range 500 {
			mbox.WriteString("From a@b Fri Nov 27 10:00:00 2026\n" + strings.ReplaceAll(string(bayesMail(r, class == "spam")), "\r\n", "\n") + "\n")
		}
		path := filepath.Join(g.dir, class+".mbox")
		if err := os.WriteFile(path, []byte(mbox.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		g.mustRun("learn", class, path)
	}
	eventually(t, "the server to know what was taught", func() bool { return g.metric(t, "sekimori_bayes_spam_shown") == 500 })
	stats := func() (s reputation.Counts) {
		t.Helper()
		if err := json.Unmarshal([]byte(g.mustRun("bayes", "stats", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	taught := stats()
	deliver := func(client string, msg []byte) {
		t.Helper()
		if reply := send(t, g.SMTP, client, "h.forged.test", "a@forged.test", "taro@example.test", msg); !strings.HasPrefix(reply, "250") {
			t.Fatal(reply)
		}
	}
	result := func(class, result string) float64 {
		return g.metric(t, fmt.Sprintf("sekimori_bayes_auto_total{class=%q,result=%q}", class, result))
	}

	deliver("192.0.2.10", forged(1, numbered("first")))
	eventually(t, "the mail to be learned", func() bool { return result("spam", "learned") == 1 })
	if n := stats(); n.SpamAuto != 1 || n.SpamShown != taught.SpamShown+1 || n.SpamLearned != taught.SpamLearned+1 || n.HamShown != taught.HamShown {
		t.Errorf("taught %+v, now %+v", taught, n)
	}
	id, _ := g.held()[0]["id"].(string)
	eventually(t, "its story", func() bool {
		out, _ := g.command("trace", id)
		return strings.Contains(out, "learned by itself as spam") || strings.Contains(out, "自動で学習しました")
	})
	g.mustRun("quarantine", "release", id)
	eventually(t, "the release to unlearn it", func() bool { return stats().SpamAuto == 0 })
	if n := stats(); n.SpamShown != taught.SpamShown || n.SpamLearned != taught.SpamLearned || n.HamShown != taught.HamShown+1 {
		t.Errorf("before %+v, after the release %+v", taught, n)
	}

	deliver("192.0.2.10", forged(2, strings.Repeat(strings.Join(hamWords, " ")+" ", 2)))
	eventually(t, "the model to contradict", func() bool { return result("spam", "contradicted") == 1 })

	g.zone.mu.Lock()
	g.zone.mute["11.2.0.192.bl.test."] = true
	g.zone.mu.Unlock()
	deliver("192.0.2.11", forged(3, numbered("second")))
	deliver("192.0.2.10", forged(4, numbered("third")))
	eventually(t, "the next mail to be learned", func() bool { return result("spam", "learned") == 2 })
	if n := stats(); n.SpamAuto != 1 || n.SpamShown != taught.SpamShown+1 {
		t.Errorf("a mail was learned although the block list was away: %+v", n)
	}
}
