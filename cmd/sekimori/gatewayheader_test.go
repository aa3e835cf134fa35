package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const gatewayHeaderRule = `[[rule]]
id = "AS_BEFORE"
describe = { ja = "前段のゲートウェイが迷惑メールと判定しました。", en = "The gateway in front calls it spam." }
when = 'gateway.verdict == "tag"'
action = "hold"
  [[rule.test]]
  expect = "hit"
  given = { "gateway.verdict" = "tag" }
`

// TestGatewayHeader: what the gateway in front has written is read over SMTP, whatever the sender writes. The policy is taken from
// observe to enforce by a reload in which nothing else changes.
func TestGatewayHeader(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	conf := func(mode string) string {
		c := reloadConfig(dir, "old.test", "[filters.gateway]\nreads = [\"spamassassin\"]\n[policy]\nmode = \""+mode+"\"\n")
		return strings.Replace(c, "[smtp]\n", "[smtp]\ntrusted_relays = [\"127.0.0.1\"]\n", 1)
	}
	p := startIn(t, dir, conf("observe"))
	p.write("rules/50-own.toml", gatewayHeaderRule)
	p.hangup("configuration reloaded")
	const received = "Received: from mail.partner.test (mail.partner.test [198.51.100.7]) by gw.test (Postfix) with ESMTP id 4X; Fri, 20 Nov 2026 14:32:00 +0900\r\n"
	judged := 0
	action := func(header string) string {
		t.Helper()
		if r := send(t, p.SMTP, "", "gw.test", "a@partner.test", "x@old.test", []byte(header+"From: a@partner.test\r\nSubject: x\r\n\r\nx\r\n")); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
		judged++
		p.until("the mail in the log", func() bool { return len(p.log("mail")) >= judged })
		m := p.log("mail")[judged-1]
		return fmt.Sprint(m["action"], " by ", m["rule"])
	}
	const held = "hold by AS_BEFORE"
	const spam = "X-Spam-Status: Yes, score=8.1 required=5.0\r\n"
	if a := action(spam + received); !strings.HasPrefix(a, "deliver") {
		t.Errorf("observed: %s", a)
	}
	p.until("what would have been done", func() bool {
		out, _ := p.command("trace", "x@old.test")
		return strings.Contains(out, "AS_BEFORE")
	})
	p.write("sekimori.toml", conf("enforce"))
	p.hangup("configuration reloaded")
	if a := action(spam + received); a != held {
		t.Errorf("enforced: %s", a)
	}
	if a := action(spam + received + "X-Spam-Status: No, score=-5 required=5.0\r\n"); a != held {
		t.Errorf("with a verdict of the sender's own: %s", a)
	}
	if a := action(received); a == held {
		t.Errorf("without a verdict: %s", a)
	}
}
