package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

const releaseToken = "0123456789abcdef0123456789abcdef"

// sieveDovecot runs a real Dovecot that files mail with Sieve: the example for released mail first, then a script of the people that
// files what is suspect into Junk.
func sieveDovecot(t *testing.T) (dir, socket string) {
	t.Helper()
	bin := needTool(t, "dovecot")
	needTool(t, "sievec")
	if os.Getuid() != 0 {
		need(t, "Dovecot is started by root only, to give its parts users of their own")
	}
	for _, name := range []string{"dovecot", "dovenull", "nobody"} {
		if _, err := user.Lookup(name); err != nil {
			need(t, "there is no user "+name)
		}
	}
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_ = os.Chmod(dir, 0o755)
	_ = os.Mkdir(filepath.Join(dir, "mail"), 0o777)
	execute(t, "chown", "nobody:nogroup", filepath.Join(dir, "mail"))
	example, err := os.ReadFile("examples/released.sieve")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"released.sieve": strings.Replace(string(example), `"TOKEN"`, `"`+releaseToken+`"`, 1),
		"people.sieve":   "require [\"fileinto\", \"mailbox\"];\nif header :contains \"Subject\" \"news\" { fileinto :create \"Junk\"; }\n",
		"users": fmt.Sprintf("taro@example.test:{PLAIN}x:%s:%s::%s/mail/taro::\n", strings.TrimSpace(execute(t, "id", "-u", "nobody")),
			strings.TrimSpace(execute(t, "id", "-g", "nobody")), dir),
		"dovecot.conf": fmt.Sprintf(`protocols = lmtp
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
ssl = no
listen = 127.0.0.1
mail_location = maildir:%[1]s/mail/taro/Maildir
first_valid_uid = 1
postmaster_address = postmaster@example.test
passdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve_before = %[1]s/released.sieve
  sieve = file:%[1]s/people.sieve
}
service lmtp {
  unix_listener %[1]s/lmtp.sock {
    mode = 0666
  }
}
`, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, script := range []string{"released", "people"} {
		execute(t, "sievec", filepath.Join(dir, script+".sieve"))
	}
	conf := filepath.Join(dir, "dovecot.conf")
	background(t, dir, bin, "-F", "-c", conf)
	t.Cleanup(func() {
		_ = exec.Command(bin, "-c", conf, "stop").Run()
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Dovecot said:\n%.4000s", b)
		}
	})
	socket = filepath.Join(dir, "lmtp.sock")
	eventually(t, "Dovecot listens", func() bool { return fileExists(socket) })
	return dir, socket
}

// TestReleasedBySieve: a released mail lands in the inbox although a script of the people files such mail into Junk; one whose sender
// forges the field does not.
func TestReleasedBySieve(t *testing.T) {
	dir, socket := sieveDovecot(t)
	token := filepath.Join(t.TempDir(), "released.token")
	if err := os.WriteFile(token, []byte(releaseToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t, gatewayOptions{
		zone: partnerZone, backend: "lmtp+unix://" + socket, rules: newsRule,
		extra: fmt.Sprintf("[quarantine.mark]\ntoken_file = %q\n", token),
	})
	count := func(folder string) int {
		got, _ := filepath.Glob(filepath.Join(dir, "mail", "taro", "Maildir", folder, "new", "*"))
		return len(got)
	}
	// The sender claims that it was released already: what is released is his mail without these fields.
	for i, forged := range []string{"X-Sekimori-Token: " + releaseToken + "\r\n", "x-sekimori-token : " + releaseToken + "\r\n", "X-SEKIMORI-TOKEN:\r\n " + releaseToken + "\r\n"} {
		m := forged + strings.Replace(plainMail, "Subject: hello", "X-Sekimori-Released: x\r\nSubject: old NEWS, new news", 1)
		if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", []byte(m)); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
		held := g.held()
		if len(held) != 1 {
			t.Fatalf("%d are held", len(held))
		}
		g.mustRun("quarantine", "release", fmt.Sprint(held[0]["id"]))
		eventually(t, "the released mail is in the inbox", func() bool { return count("") == i+1 })
	}
	if n := count(".Junk"); n != 0 {
		t.Errorf("%d released mails are in Junk", n)
	}
	// The same mail, let through without having been held.
	if err := os.Remove(filepath.Join(rulesDir(t, g), "own.toml")); err != nil {
		t.Fatal(err)
	}
	if code := g.stop(); code != 0 {
		t.Fatalf("exit %d", code)
	}
	g.run()
	for i, forged := range []string{"X-Sekimori-Token: " + releaseToken + "\r\n", "x-sekimori-token : " + releaseToken + "\r\n", "X-SEKIMORI-TOKEN:\r\n " + releaseToken + "\r\n"} {
		m := forged + strings.Replace(plainMail, "Subject: hello", "Subject: forged news", 1)
		if r := send(t, g.SMTP, "192.0.2.9", "mx.partner.test", "sender@partner.test", "taro@example.test", []byte(m)); !strings.HasPrefix(r, "250") {
			t.Fatal(r)
		}
		eventually(t, "the forged mail is in Junk", func() bool { return count(".Junk")+count("") == 3+i+1 })
		if n := count(""); n != 3 {
			t.Errorf("%q lands in the inbox", forged)
		}
	}
}
