package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFenceForward: a whole server that has restricted itself reads the ~/.forward of homes beneath recipients.forward_homes and no
// other, and what it may read does not grow by a reload.
func TestFenceForward(t *testing.T) {
	needLandlock(t)
	dir := t.TempDir()
	elsewhere := t.TempDir()
	p := &program{t: t, dir: dir, conf: filepath.Join(dir, "sekimori.toml"), env: []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH")}}
	// The machine's accounts are not the test's: a getent of its own has them.
	p.write("bin/getent", fmt.Sprintf(`#!/bin/sh
case "$3" in
taro) echo "taro:x:%[1]d:100::%[2]s/homes/taro:/bin/sh" ;;
jiro) echo "jiro:x:%[1]d:100::%[3]s/jiro:/bin/sh" ;;
hanako|saburo) echo "$3:x:%[1]d:100::%[2]s/homes/$3:/bin/sh" ;;
*) exit 2 ;;
esac
`, os.Getuid(), dir, elsewhere))
	if err := os.Chmod(filepath.Join(dir, "bin/getent"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir + "/homes/taro", dir + "/homes/hanako", elsewhere + "/jiro"} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir + "/homes/taro", elsewhere + "/jiro"} {
		if err := os.WriteFile(filepath.Join(d, ".forward"), []byte("hanako@old.test\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.write("rules/50-mailboxes.toml", `[[rule]]
id = "HANAKO"
describe = { ja = "試験", en = "a test" }
when = '"hanako@old.test" in rcpt.mailboxes'
action = "hold"
`)
	conf := `landlock = "required"` + "\n" + strings.Replace(reloadConfig(dir, "old.test", fmt.Sprintf("[recipients]\nforward_homes = [%q]\n", dir+"/homes")), `"any"`, `"unix"`, 1)
	p.write("sekimori.toml", conf)
	p.run()
	for rcpt, subject := range map[string]string{"taro@old.test": "for taro", "jiro@old.test": "for jiro"} {
		if r := send(t, p.SMTP, "", "client.test", "a@sender.test", rcpt, []byte("Subject: "+subject+"\r\n\r\nx\r\n")); !strings.HasPrefix(r, "250") {
			t.Errorf("%s: %s", rcpt, r)
		}
	}
	if got := string(maildir(t, dir+"/maildir", 1)[0]); !strings.Contains(got, "for jiro") {
		t.Errorf("delivered, although its ~/.forward leads to hanako:\n%s", got)
	}
	eventually(t, "taro's mail is held", func() bool { out, _ := p.command("quarantine", "list"); return strings.Contains(out, "for taro") })

	p.write("sekimori.toml", strings.Replace(conf, `homes"]`, fmt.Sprintf(`homes", %q]`, elsewhere), 1))
	p.hangup("configuration not reloaded: ")
	if want := elsewhere + " is outside of what the server restricted itself to"; !strings.Contains(p.output(), want) {
		t.Errorf("no %q in\n%s", want, p.output())
	}
}
