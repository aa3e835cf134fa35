package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hostsRules = `
[[rule]]
id = "WAIT"
describe = { ja = "待つ", en = "wait" }
when = 'greylist.wait and from.domain == "new.test"'
action = "defer"
[[rule]]
id = "LOOK"
describe = { ja = "確認", en = "look" }
when = 'message.subject contains "当選"'
action = "hold"
class = "spam"
`

// TestTwoHosts: two hosts over one Redis agree on the rules and tell one story: a mail that was put off by one and taken by the other, one
// that was held by the other, released here. One that is silent is named.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	needTool(t, "redis-server")
	root := t.TempDir()
	port := freePort(t)
	startRedis(t, root, port, "--appendonly", "yes", "--save", "")
	backend := busyOnce(t)
	host := func(name, rules string) *program {
		dir := filepath.Join(root, name)
		for file, content := range map[string]string{"rules/a.toml": rules, "history.key": strings.Repeat("k", 32)} {
			file = filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		conf := fmt.Sprintf("rules_dir = %q\n", filepath.Join(dir, "rules")) + serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
proxy_protocol_from = ["127.0.0.0/8"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["smtp://%s"]
[redis]
url = "redis://127.0.0.1:%d/0"
timeout = "5s"
[history]
key_file = %q
[dns]
servers = ["127.0.0.1:1"]
timeout = "100ms"
[filters.greylist]
delay = "1s"
`, backend, port, filepath.Join(dir, "history.key")))
		return startIn(t, dir, strings.Replace(conf, `"mx.test"`, fmt.Sprintf("%q", name+".test"), 1))
	}
	mx1, mx2 := host("mx1", hostsRules), host("mx2", hostsRules)
	message := func(subject string) []byte {
		return []byte("From: Partner <p@new.test>\r\nTo: taro@example.test\r\nSubject: " + subject + "\r\nMessage-ID: <m1@new.test>\r\nDate: Fri, 27 Nov 2026 10:00:00 +0900\r\n\r\nhello\r\n")
	}
	if r := send(t, mx1.SMTP, "192.0.2.1", "mx.new.test", "e@new.test", "taro@example.test", message("x")); !strings.HasPrefix(r, "4") {
		t.Fatalf("not put off: %s", r)
	}
	eventually(t, "the second try is taken by the other host", func() bool {
		return strings.HasPrefix(send(t, mx2.SMTP, "192.0.2.1", "mx.new.test", "e@new.test", "taro@example.test", message("x")), "250")
	})
	if r := send(t, mx2.SMTP, "192.0.2.9", "mx.shop.test", "s@shop.test", "hanako@example.test", message("=?UTF-8?B?5b2T6YG4?=")); !strings.HasPrefix(r, "250") {
		t.Fatalf("not held: %s", r)
	}

	var res traceResult
	ask := func(args ...string) (string, int) {
		t.Helper()
		out, code := mx1.command(append([]string{"trace", "--json"}, args...)...)
		res = traceResult{}
		if err := json.Unmarshal([]byte(out), &res); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return out, code
	}
	story := func() string {
		var words []string
		for i := range res.Stories {
			for _, e := range append(res.Stories[i].Before, res.Stories[i].Events...) {
				words = append(words, e.Node+" "+string(e.Kind))
			}
		}
		return strings.Join(words, ", ")
	}
	defer func() {
		if t.Failed() {
			b, _ := json.Marshal(res)
			t.Logf("last: %s", b)
		}
	}()
	eventually(t, "the story is joined", func() bool {
		_, code := ask("e@new.test")
		s := story()
		return code == 0 && len(res.Stories) == 1 && strings.HasPrefix(s, "mx1.test rcpt, ") && strings.Contains(s, "mx2.test mail") && strings.Contains(s, "mx2.test try")
	})
	if len(res.Hosts) != 2 || !res.Whole || res.Hosts[1].Host != "mx2.test" || !res.Hosts[1].Answered || res.Hosts[1].Period.From.IsZero() {
		t.Errorf("%+v", res.Hosts)
	}
	words, _ := mx1.command("trace", "e@new.test", "--lang", "ja")
	if !strings.Contains(words, "受信前の一時拒否") || !strings.Contains(words, "［mx1.test］") || !strings.Contains(words, "送信側のサーバーに再送を求めています") {
		t.Error(words)
	}

	ask("hanako@example.test")
	if len(res.Stories) != 1 || len(res.Held) != 1 {
		t.Fatalf("%+v", res)
	}
	held := res.Stories[0].ID
	explainedBy(t, mx1, held)
	if out, code := mx1.command("quarantine", "release", held); code != 0 {
		t.Fatal(out)
	}
	eventually(t, "the release is in the story", func() bool {
		ask(held)
		s := story()
		return strings.Contains(s, nodeOfStore+" act") && strings.Contains(s, " ended") && strings.Count(s, " try") > 0
	})
	if got := strings.Join(res.Reply, " "); !strings.Contains(got, "delivered to your mail server") {
		t.Errorf("%s: %s", story(), got)
	}

	eventually(t, "the hosts say that they have the same rules", func() bool {
		out, _ := mx1.command("rules", "history")
		return strings.Contains(out, "mx2.test") && strings.Contains(out, "the hosts have the same rules")
	})
	mx2.kill()
	out, code := mx1.command("trace", "nobody@new.test", "--wait", "1s")
	if code != 1 || !strings.Contains(out, "nothing found on mx1.test") || !strings.Contains(out, "mx2.test did not answer (no answer in time); what it knows is missing") ||
		!strings.Contains(out, "THIS IS NOT COMPLETE") || !strings.Contains(out, "networks of new.test: 192.0.2.0/24") || !strings.Contains(out, "connections refused from the networks of new.test:") {
		t.Errorf("%d: %s", code, out)
	}
	if _, code := ask("e@new.test", "--wait", "1s"); code != 1 || res.Whole || res.Hosts[1].Answered || len(res.Stories) != 1 {
		t.Errorf("%d: %+v", code, res)
	}
	if out, code := mx1.command("trace", "--forget-host", "mx2.test"); code != 1 || !strings.Contains(out, "stop it first") {
		t.Errorf("%d: %s", code, out)
	}
}

// explainedBy: the host that did not judge a mail explains it from the facts of the one that did, and, under other rules, from the quarantine.
func explainedBy(t *testing.T, p *program, id string) {
	t.Helper()
	explain := func(args ...string) (r explainResult) {
		t.Helper()
		out, code := p.command(append([]string{"explain", id, "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
			t.Fatalf("%d %v: %s", code, err, out)
		}
		return r
	}
	var r explainResult
	eventually(t, "the other host answers", func() bool {
		r = explain()
		return r.Source == "facts"
	})
	if r.Changed || len(r.Mails) != 1 || r.Mails[0].Rule == "" || r.Mails[0].Rcpt != "hanako@example.test" || len(r.Hosts) != 2 {
		t.Errorf("%+v", r)
	}
	rule := filepath.Join(p.dir, "rules", "a.toml")
	if err := os.WriteFile(rule, []byte(hostsRules+"\n[[rule]]\nid = \"MORE\"\ndescribe = { ja = \"別\", en = \"more\" }\nwhen = 'from.domain == \"other.test\"'\nscore = 1.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := explain(); r.Source != "quarantine" || !r.Changed || len(r.Mails) != 1 || r.Mails[0].Action != "hold" {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(rule, []byte(hostsRules), 0o600); err != nil {
		t.Fatal(err)
	}
}
