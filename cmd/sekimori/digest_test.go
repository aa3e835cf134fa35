package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	sm "sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
	"sekimori/quarantine"
)

// digestConfig is that of a node that tells people: its own data and Maildir, a Redis that may be shared.
func digestConfig(dir, redis, more string) string {
	conf := serveConfig(dir, fmt.Sprintf(`[[smtp.listener]]
listen = ["127.0.0.1:0"]
[digest]
enabled = true
schedule = "hourly"
time_zone = "Asia/Tokyo"
contact = "情報システム部（内線1234）"
%s
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:%s"]
%s`, more, filepath.Join(dir, "box"), redis))
	return strings.Replace(conf, "[http]\n", "[http]\npublic_url = \"https://guard.example.test\"\n", 1)
}

// delivered returns the mails in a node's Maildir by recipient.
func delivered(t *testing.T, dir string) map[string][]*mail.Message {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "box", "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*mail.Message{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		to := m.Header.Get("Delivered-To")
		all[to] = append(all[to], m)
	}
	return all
}

// textOf returns the text part of a digest.
func textOf(t *testing.T, m *mail.Message) string {
	t.Helper()
	_, boundary, _ := strings.Cut(m.Header.Get("Content-Type"), `boundary="`)
	p, err := multipart.NewReader(m.Body, strings.TrimSuffix(boundary, `"`)).NextPart()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDigest: a mail is held, its recipient is told by a mail of ours, once, and can be seen and set by the commands.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	rule := "[[rule]]\nid = \"HOLD_TEST\"\ndescribe = { ja = \"試験のため隔離します。\", en = \"Held for a test.\" }\nwhen = 'message.subject != \"\"'\naction = \"hold\"\nclass = \"spam\"\nat = \"conclude\"\n"
	if err := os.WriteFile(filepath.Join(dir, "rules", "10-hold.toml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, fmt.Sprintf("rules_dir = %q\n", filepath.Join(dir, "rules"))+digestConfig(dir, "", ""))
	send(t, p.SMTP, "", "mail.partner.test", "keiri@partner.test", "taro@example.test",
		[]byte("From: =?Shift_JIS?B?jlKTYw==?= <keiri@partner.test>\r\nTo: taro@example.test\r\nSubject: =?ISO-2022-JP?B?GyRCOGY4K0BRJE43bxsoQg==?=\r\n\r\nhello\r\n"))
	if out, code := p.command("digest", "show", "taro@example.test", "--lang", "en"); code != 0 || !strings.Contains(out, "One mail to taro@example.test") || !strings.Contains(out, "Held for a test.") {
		t.Errorf("show: %d\n%s", code, out)
	}
	if out, code := p.command("digest", "run", "--now", "--dry-run", "--json"); code != 0 || !strings.Contains(out, `"mails": 1`) {
		t.Errorf("dry run: %d\n%s", code, out)
	}
	if len(delivered(t, dir)) != 0 {
		t.Fatal("looking has sent something")
	}
	for range 2 {
		if out, code := p.command("digest", "run", "--now"); code != 0 {
			t.Fatalf("run: %d\n%s", code, out)
		}
	}
	eventually(t, "the digest is in the Maildir", func() bool { return len(delivered(t, dir)["taro@example.test"]) > 0 })
	got := delivered(t, dir)["taro@example.test"]
	if len(got) != 1 {
		t.Fatalf("%d digests", len(got))
	}
	if h := got[0].Header; h.Get("Return-Path") != "<>" || h.Get("Auto-Submitted") != "auto-generated" || !strings.HasPrefix(h.Get("List-Unsubscribe"), "<https://guard.example.test/q/") {
		t.Errorf("%v", h)
	}
	plain := textOf(t, got[0])
	for _, s := range []string{"「山田」", "keiri@partner.test", "「御見積の件」", "試験のため隔離します。", "https://guard.example.test/q/", "合言葉", "情報システム部（内線1234）"} {
		if !strings.Contains(plain, s) {
			t.Errorf("no %q in\n%s", s, plain)
		}
	}
	if out, code := p.command("digest", "set", "taro@example.test", "--lang", "en", "--schedule", "weekly fri 17:00"); code != 0 {
		t.Errorf("set: %d\n%s", code, out)
	}
	if _, code := p.command("digest", "set", "taro@example.test", "--schedule", "sometimes"); code != 2 {
		t.Errorf("a schedule that is none: exit %d", code)
	}
	if _, code := p.command("digest", "show", "taro@elsewhere.test"); code != 1 {
		t.Errorf("a person of somebody else's: exit %d", code)
	}
	out, code := p.command("digest", "people", "--json")
	var rows []personRow
	if err := json.Unmarshal([]byte(out), &rows); code != 0 || err != nil || len(rows) != 1 || rows[0].Lang != "en" || rows[0].Schedule != "weekly fri 17:00" || rows[0].Count != 1 || rows[0].New {
		t.Errorf("people: %d %v\n%s", code, err, out)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d\n%s", code, p.output())
	}
}

// TestDigestKilled: two nodes share a Redis; one is killed with -9 while it tells people, and comes back. Everybody is told once.
func TestDigestKilled(t *testing.T) {
	needTool(t, "redis-server")
	root := t.TempDir()
	port := freePort(t)
	startRedis(t, root, port, "--appendonly", "yes", "--save", "")
	redis := fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d/0\"\ntimeout = \"10s\"\n", port)
	const persons = 800
	holdFor(t, root, port, persons)

	dirs := []string{filepath.Join(root, "a"), filepath.Join(root, "b")}
	for _, d := range dirs {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	a := startIn(t, dirs[0], digestConfig(dirs[0], redis, ""))
	eventually(t, "the first node has begun", func() bool { return len(delivered(t, dirs[0])) >= 20 })
	a.kill()
	if n := len(delivered(t, dirs[0])); n >= persons {
		t.Fatalf("killed too late: %d were told", n)
	}
	b := startIn(t, dirs[1], digestConfig(dirs[1], redis, ""))
	eventually(t, "the second node has told those whom the first did not come to", func() bool {
		return len(delivered(t, dirs[1])) >= persons-len(delivered(t, dirs[0]))-200
	})
	a.run()
	arrived := func() map[string][]*mail.Message {
		all := delivered(t, dirs[0])
		for who, list := range delivered(t, dirs[1]) {
			all[who] = append(all[who], list...)
		}
		return all
	}
	eventually(t, "everybody was told, or it is uncertain", func() bool {
		return everybody(arrived(), uncertainOf(t, dirs...)) >= persons
	})
	for _, p := range []*program{a, b} {
		if code := p.stop(); code != 0 {
			t.Errorf("exit %d\n%s", code, p.output())
		}
	}
	toldOnce(t, arrived(), uncertainOf(t, dirs...), persons)
	t.Logf("the node that was killed told %d, the other %d", len(delivered(t, dirs[0])), len(delivered(t, dirs[1])))
}

// holdFor holds a mail for each of many people, as two hours ago, so that a digest is due.
func holdFor(t *testing.T, root string, port, persons int) {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port), Timeout: config.Duration(10 * time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	sp, err := spool.Open(filepath.Join(root, "spool"), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	past := func() time.Time { return time.Now().Add(-2 * time.Hour) }
	q, err := quarantine.New(quarantine.Options{Store: st, Spool: sp, Node: "test", Now: past})
	if err != nil {
		t.Fatal(err)
	}
	for i := range persons {
		err := q.Hold(t.Context(), quarantine.Held{
			ID: fmt.Sprintf("held%05d", i), Class: "spam", Subject: "test", HeaderFrom: "a@partner.test", Rcpts: []sm.Address{{Local: fmt.Sprintf("p%05d", i), Domain: "example.test"}},
			Body: sm.Content{[]byte("Subject: test\r\n\r\nx\r\n")},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
