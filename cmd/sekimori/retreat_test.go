package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sekimori/reputation"
)

const retreatRule = `
[[rule]]
id = "TOO_STRICT"
describe = { ja = "厳しすぎるルール", en = "too strict" }
when = 'message.subject startsWith "news"'
action = "hold"
  [[rule.test]]
  expect = "hit"
  given = { "message.subject" = "news" }
`

// TestRetreat: what people release makes the rule that held it step back to a tag; the administrator is told everywhere, and can have the
// rule back. It outlives a restart.
func TestRetreat(t *testing.T) {
	p := startReload(t, "[policy]\nretreat = { share = 0.5, releases = 2, persons = 1 }\n[quarantine]\nundo = \"0s\"\n")
	p.write("rules/50-own.toml", retreatRule)
	p.hangup("configuration reloaded")
	mailed := 0
	action := func() string {
		t.Helper()
		mailed++
		m := fmt.Sprintf("Subject: news %d\r\nFrom: a@sender.test\r\n\r\nx\r\n", mailed)
		if r := send(t, p.SMTP, "", "client.test", "a@sender.test", "x@old.test", []byte(m)); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
		p.until("the mail in the log", func() bool { return len(p.log("mail")) >= mailed })
		all := p.log("mail")
		return fmt.Sprint(all[len(all)-1]["action"])
	}
	for range 3 {
		if a := action(); a != "hold" {
			t.Fatal(a)
		}
	}
	if out, code := p.command("quarantine", "release", "--rule", "TOO_STRICT", "--since", "1h"); code != 0 {
		t.Fatal(out)
	}
	var list []reputation.Back
	p.until("that it has stepped back", func() bool {
		out, _ := p.command("rules", "retreat", "--json")
		return json.Unmarshal([]byte(out), &list) == nil && len(list) == 1
	})
	if b := list[0]; b.Rule != "TOO_STRICT" || b.Mode != "tag" || b.Held != 3 || b.Released < 2 || b.People != 1 {
		t.Errorf("%+v", b)
	}
	p.until("the warning", func() bool { return strings.Contains(p.output(), `"cause":"retreat.TOO_STRICT"`) })
	if a := action(); a != "tag" {
		t.Error(a)
	}
	if m := fetch(t, "http://"+p.Ops+"/metrics"); !strings.Contains(m, `sekimori_rules_retreated{rule="TOO_STRICT"} 1`) || !strings.Contains(m, `sekimori_policy_mode{mode="enforce"} 1`) {
		t.Error("the metrics say nothing of it")
	}
	for _, args := range [][]string{{"check"}, {"rules", "history"}, {"rules", "retreat"}} {
		if out, _ := p.command(args...); !strings.Contains(out, "TOO_STRICT does no more than tag since") {
			t.Errorf("%v: %s", args, out)
		}
	}
	p.stop()
	p.run()
	mailed = len(p.log("mail"))
	if a := action(); a != "tag" {
		t.Errorf("after a restart: %s", a)
	}
	if out, code := p.command("rules", "retreat", "clear", "TO_STRICT"); code != 1 || !strings.Contains(out, "no such rule has stepped back") {
		t.Errorf("%d %s", code, out)
	}
	if out, code := p.command("rules", "retreat", "clear", "TOO_STRICT"); code != 0 {
		t.Fatalf("%d %s", code, out)
	}
	p.until("the rule again", func() bool {
		return !strings.Contains(fetch(t, "http://"+p.Ops+"/metrics"), `sekimori_rules_retreated{rule="TOO_STRICT"} 1`)
	})
	if a := action(); a != "hold" {
		t.Errorf("after the rule was set right: %s", a)
	}
}
