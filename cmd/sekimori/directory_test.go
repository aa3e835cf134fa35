package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// directoryServer runs slapd with the people of testdata/recipients until the returned function is called.
func directoryServer(t *testing.T, slapd, addr, dir string) (stop func()) {
	t.Helper()
	fixtures, err := filepath.Abs("../../testdata/recipients")
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "slapd.conf")
	if !fileExists(conf) {
		schemas := "/etc/ldap/schema"
		if !fileExists(schemas) {
			schemas = "/etc/openldap/schema"
		}
		text := ""
		for _, s := range []string{schemas + "/core.schema", schemas + "/cosine.schema", schemas + "/inetorgperson.schema", fixtures + "/ad.schema"} {
			text += "include " + s + "\n"
		}
		text += fmt.Sprintf("modulepath /usr/lib/ldap\nmoduleload back_mdb\ndatabase mdb\nsuffix \"dc=example,dc=jp\"\ndirectory %s\n", dir)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		execute(t, slapd, "-T", "add", "-q", "-f", conf, "-l", filepath.Join(fixtures, "ad.ldif"))
	}
	cmd := exec.Command(slapd, "-d", "0", "-f", conf, "-h", "ldap://"+addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return stop
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("slapd does not listen on %s", addr)
	return nil
}

// TestDirectory asks a real directory who is ours, by way of port 25: while it runs, when it is dead, and after a restart.
func TestDirectory(t *testing.T) {
	t.Parallel()
	slapd := needTool(t, "slapd")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	data := t.TempDir()
	stop := directoryServer(t, slapd, addr, data)
	dir := t.TempDir()
	p := startIn(t, dir, serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
proxy_protocol_from = ["127.0.0.1"]
[ldap.people]
kind = "ad"
urls = ["ldap://%s"]
starttls = false
bases = ["DC=example,DC=jp"]
connect_timeout = "1s"
[[domain]]
names = ["example.jp", "例え.jp"]
recipients = "ldap:people"
backends = ["maildir:%s"]
[filters.ratelimit]
enabled = false
`, addr, filepath.Join(dir, "maildir"))))
	ask := func(want map[string]string) {
		t.Helper()
		c := dial(t, p.SMTP, "192.0.2.9")
		c.want("250", "EHLO client.test")
		c.want("250", "MAIL FROM:<sender@client.test>")
		for rcpt, reply := range want {
			if got := c.say("RCPT TO:<%s>", rcpt); !strings.HasPrefix(got, reply) {
				t.Errorf("%s: %s", rcpt, got)
			}
		}
		c.want("221", "QUIT")
	}
	people := map[string]string{
		"Yamada@example.jp": "250", "yamada@xn--r8jz45g.jp": "250", "eigyo@example.jp": "250", "info@example.jp": "250",
		"postmaster@example.jp": "250",
	}
	ask(people)
	ask(map[string]string{
		"nobody@example.jp": "550 5.1.1", "retired@example.jp": "550 5.1.1", "board@example.jp": "550 5.7.1", "a@elsewhere.test": "550 5.7.1",
	})
	snapshot := filepath.Join(dir, "data", "recipients", "ldap-people.jsonl")
	for range 200 {
		if fileExists(snapshot) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	ask(people)
	p.kill()
	p.run()
	ask(people)
	ask(map[string]string{"nobody@example.jp": "550 5.1.1", "board@example.jp": "550 5.7.1"})

	// Without a copy nobody can say who is ours.
	p.kill()
	if err := os.RemoveAll(filepath.Join(dir, "data", "recipients")); err != nil {
		t.Fatal(err)
	}
	p.run()
	ask(map[string]string{"yamada@example.jp": "451 4", "nobody@example.jp": "451 4", "postmaster@example.jp": "250"})
	directoryServer(t, slapd, addr, data)
	c := dial(t, p.SMTP, "192.0.2.9")
	c.want("250", "EHLO client.test")
	c.want("250", "MAIL FROM:<sender@client.test>")
	for range 60 {
		if strings.HasPrefix(c.say("RCPT TO:<yamada@example.jp>"), "250") {
			return
		}
		time.Sleep(time.Second)
	}
	t.Error("the directory is back, and yamada@example.jp is still told to come again")
}
