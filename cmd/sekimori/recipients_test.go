package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRecipients: a file and aliases, through serve and the commands; mail to an alias is found by whose it is.
func TestRecipients(t *testing.T) {
	dir := t.TempDir()
	list, aliases := filepath.Join(dir, "list"), filepath.Join(dir, "aliases")
	rule := filepath.Join(dir, "rules", "a.toml")
	if err := os.Mkdir(filepath.Dir(rule), 0o700); err != nil {
		t.Fatal(err)
	}
	const hold = "[[rule]]\nid = \"JIRO\"\ndescribe = { ja = \"a\", en = \"b\" }\nwhen = '\"jiro@example.test\" in rcpt.mailboxes'\naction = \"hold\"\n" +
		"[[rule]]\nid = \"OF_SALES\"\ndescribe = { ja = \"a\", en = \"b\" }\nwhen = 'rcpt.attr(\"department\") == \"Sales\"'\nadd_header = { X-Department = '{rcpt.attr(\"department\")}' }\n"
	for path, text := range map[string]string{rule: hold, list: "taro@example.test {department = Sales}\njiro@example.test\n", aliases: "sales: taro, jiro\nboard: taro\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := startIn(t, dir, "rules_dir = \"rules\"\n"+serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[recipients]
rule_attributes = ["department"]
[[domain]]
names = ["example.test"]
recipients = "file:%s"
aliases = [%q]
subaddress = "+"
internal_only = ["board@example.test"]
backends = ["maildir:%s"]
[policy]
thresholds = {}
`, list, aliases, filepath.Join(dir, "box"))))
	c := dial(t, p.SMTP, "")
	c.want("250", "EHLO client.test")
	c.want("250", "MAIL FROM:<sender@partner.test>")
	c.want("550 5.1.1", "RCPT TO:<hanako@example.test>")
	c.want("550 5.7.1", "RCPT TO:<board@example.test>")
	c.want("250", "RCPT TO:<Taro+news@example.test>")
	c.want("250", "RCPT TO:<sales@example.test>")
	if r := c.data([]byte("Subject: x\r\n\r\nhello\r\n")); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	if got := boxed(t, filepath.Join(dir, "box")); strings.Count(got, "X-Department: Sales\r\n") != 1 {
		t.Errorf("the attribute of taro decides, and is filled in: %s", got)
	}
	for _, want := range []struct {
		args, out string
		code      int
	}{
		{"recipients show sales+x@example.test", "quarantine of    taro@example.test, jiro@example.test", 0},
		{"recipients show taro@example.test", "department     Sales", 0},
		{"recipients show taro@example.test", "in groups      board@example.test, sales@example.test", 0},
		{"recipients show jiro@example.test", "department     (none)", 0},
		{"recipients show board@example.test", "takes mail from mynetworks only", 0},
		{"recipients show hanako@example.test", "is unknown: 550 5.1.1", 1},
		{"recipients show taro@other.test", "is not ours", 1},
		{"recipients show --json sales@example.test", `"result": "known"`, 0},
		{"recipients show nonsense", "not a mailbox", 2},
		{"recipients list", "file:" + list, 0},
		{"quarantine list --rcpt jiro@example.test", "sales@example.test", 0},
		{"quarantine list --rcpt hanako@example.test", "nothing is held", 0},
		{"recipients sync", "2 entries", 0},
		{"recipients sync example.test", "2 entries", 0},
		{"recipients sync other.test", "none of our domains", 1},
		{"check", "recipients of example.test: file:" + list + ": 2 entries", 0},
	} {
		out, code := p.command(strings.Fields(want.args)...)
		if code != want.code || !strings.Contains(out, want.out) {
			t.Errorf("%s: %d\n%s", want.args, code, out)
		}
	}
	if len(p.log("recipients: sync was asked for")) != 2 {
		t.Error("the running server was not asked")
	}
	if err := os.WriteFile(list, []byte("taro@example.test\nnot an address\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := p.command("check"); code != 1 || !strings.Contains(out, list+":2:1: ") {
		t.Errorf("%d %s", code, out)
	}
}

// boxed gives all mails of a Maildir one after the other.
func boxed(t *testing.T, box string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(box, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// TestCalloutPostfix asks a real Postfix who exists; then one that accepts every address.
func TestCalloutPostfix(t *testing.T) {
	needTool(t, "postfix")
	for name, settings := range map[string]string{
		"tells":   "virtual_mailbox_domains = example.test\nvirtual_mailbox_maps = inline:{taro@example.test=box/}\n",
		"all-yes": "",
	} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			postfix(t, port, settings)
			p := start(t, serveConfig(t.TempDir(), fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "callout"
backends = ["smtp://127.0.0.1:%d"]
[policy]
mode = "observe"
`, port)))
			if out, code := p.command("recipients", "sync"); code != 0 {
				t.Fatalf("%d %s", code, out)
			}
			c := dial(t, p.SMTP, "")
			c.want("250", "EHLO client.test")
			c.want("250", "MAIL FROM:<sender@partner.test>")
			c.want("250", "RCPT TO:<taro@example.test>")
			unknown := "550 5.1.1"
			if name == "all-yes" {
				unknown = "250"
			}
			c.want(unknown, "RCPT TO:<hanako@example.test>")
			if r := c.data([]byte("Subject: x\r\n\r\nhello\r\n")); !strings.HasPrefix(r, "250") {
				t.Error(r)
			}
			warnings := slices.DeleteFunc(p.log("warning"), func(l map[string]any) bool {
				cause := fmt.Sprint(l["cause"])
				return cause == "policy mode" || strings.HasPrefix(cause, "dns.")
			})
			if (len(warnings) > 0) != (name == "all-yes") {
				t.Errorf("%d warnings: %v", len(warnings), warnings)
			}
		})
	}
}
