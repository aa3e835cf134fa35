package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// dovecot runs a real Dovecot from a private folder, with LMTP on a socket and on a port, and its authentication on another port.
// Mail is written by the user nobody.
func dovecot(t *testing.T, lmtpPort, authPort int) (dir, socket string) {
	t.Helper()
	bin := needTool(t, "dovecot")
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
	socket = filepath.Join(dir, "lmtp.sock")
	_ = os.Mkdir(filepath.Join(dir, "mail"), 0o777)
	execute(t, "chown", "nobody:nogroup", filepath.Join(dir, "mail"))
	conf := fmt.Sprintf(`protocols = lmtp
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
ssl = no
listen = 127.0.0.1
auth_mechanisms = plain login scram-sha-1 scram-sha-256
disable_plaintext_auth = no
mail_location = maildir:%[1]s/mail/%%u
mail_plugins = quota
first_valid_uid = 1
postmaster_address = postmaster@example.test
lmtp_rcpt_check_quota = no
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
plugin {
  quota = maildir:box
  quota_rule = *:storage=100M
}
service lmtp {
  unix_listener %[1]s/lmtp.sock {
    mode = 0666
  }
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[2]d
  }
}
service auth {
  inet_listener {
    address = 127.0.0.1
    port = %[3]d
  }
}
`, dir, lmtpPort, authPort)
	users := fmt.Sprintf(`taro@example.test:{PLAIN}x:%[1]s:%[2]s::/nonexistent::
full@example.test:{PLAIN}x:%[1]s:%[2]s::/nonexistent::userdb_quota_rule=*:bytes=100
gate:{PLAIN}open sesame:%[1]s:%[2]s::/nonexistent::
`, strings.TrimSpace(execute(t, "id", "-u", "nobody")), strings.TrimSpace(execute(t, "id", "-g", "nobody")))
	file := filepath.Join(dir, "dovecot.conf")
	for name, content := range map[string]string{file: conf, filepath.Join(dir, "users"): users} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	background(t, dir, bin, "-F", "-c", file)
	t.Cleanup(func() {
		_ = exec.Command(bin, "-c", file, "stop").Run()
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Dovecot said:\n%.4000s", b)
		}
	})
	waitPort(t, fmt.Sprintf("127.0.0.1:%d", lmtpPort))
	return dir, socket
}

// TestDovecotLMTP: one mail to several recipients, whom Dovecot answers one by one, over its socket and over TCP.
func TestDovecotLMTP(t *testing.T) {
	port := freePort(t)
	dir, socket := dovecot(t, port, freePort(t))
	for _, url := range []string{"lmtp+unix://" + socket, fmt.Sprintf("lmtp://127.0.0.1:%d", port)} {
		p := start(t, serveConfig(t.TempDir(), fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = [%q]
[policy]
mode = "observe"
`, url)))
		if r := send(t, p.SMTP, "", "client.test", "sender@partner.test", "nobody-of-that-name@example.test", []byte(plainMail)); !strings.HasPrefix(r, "550 5.1.1") {
			t.Errorf("%s: an unknown user: %s", url, r)
		}
		if r := send(t, p.SMTP, "", "client.test", "sender@partner.test", "full@example.test", []byte(plainMail)); !strings.HasPrefix(r, "552 5.2.2") {
			t.Errorf("%s: a full mailbox: %s", url, r)
		}
		c := dial(t, p.SMTP, "")
		c.want("250", "EHLO client.test")
		c.want("250", "MAIL FROM:<sender@partner.test>")
		for _, to := range []string{"taro", "full", "nobody-of-that-name"} {
			c.want("250", "RCPT TO:<%s@example.test>", to)
		}
		if r := c.data([]byte(plainMail)); !strings.HasPrefix(r, "250") {
			t.Errorf("%s: a mail to three: %s", url, r)
		}
		eventually(t, "the two refused copies are held", func() bool {
			out, _ := p.command("quarantine", "list", "--all", "--json")
			return strings.Contains(out, "full@example.test") && strings.Contains(out, "nobody-of-that-name@example.test")
		})
		if out, code := p.command("queue", "list"); code != 0 || !strings.Contains(out, "empty") {
			t.Errorf("%s: %s", url, out)
		}
		p.stop()
	}
	got := maildir(t, filepath.Join(dir, "mail", "taro@example.test"), 2)
	if len(got) != 2 || !strings.Contains(string(got[0]), strings.ReplaceAll(plainMail, "\r\n", "\n")) {
		t.Errorf("%d mails in the mailbox: %.500s", len(got), got)
	}
}

// backendConfig is a configuration with one [[domain.backend]].
func backendConfig(t *testing.T, backend string) string {
	return serveConfig(t.TempDir(), fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
proxy_protocol_from = ["127.0.0.1"]
[[domain]]
names = ["example.test"]
recipients = "any"
[[domain.backend]]
%s
[policy]
mode = "observe"
`, backend))
}

// TestPostfixIsToldTheClient: with XCLIENT, XFORWARD and both versions of the PROXY header, Postfix knows the real client.
func TestPostfixIsToldTheClient(t *testing.T) {
	for _, c := range []struct{ mode, settings, log string }{
		{"xclient", "smtpd_authorized_xclient_hosts = 127.0.0.1", `smtpd\[\d+\]: \S+: client=unknown\[198\.51\.100\.7\]`},
		{"xforward", "smtpd_authorized_xforward_hosts = 127.0.0.1", `smtpd\[\d+\]: \S+: client=\S+\[127\.0\.0\.1\], orig_client=unknown\[198\.51\.100\.7\]`},
		{"proxy", "smtpd_upstream_proxy_protocol = haproxy", `smtpd\[\d+\]: \S+: client=unknown\[198\.51\.100\.7\]`},
		{"proxy-v1", "smtpd_upstream_proxy_protocol = haproxy", `smtpd\[\d+\]: \S+: client=unknown\[198\.51\.100\.7\]`},
	} {
		t.Run(c.mode, func(t *testing.T) {
			port := freePort(t)
			dir := postfix(t, port, c.settings+"\nsmtpd_peername_lookup = no\nsmtpd_relay_restrictions = permit_auth_destination, reject")
			p := start(t, backendConfig(t, fmt.Sprintf("url = \"smtp://127.0.0.1:%d\"\nclient = %q", port, c.mode)))
			for _, from := range []string{"198.51.100.7", "203.0.113.9"} {
				if r := send(t, p.SMTP, from, "helo.partner.test", "sender@partner.test", "taro@example.test", []byte(plainMail)); !strings.HasPrefix(r, "250") {
					t.Fatal(r)
				}
			}
			got := maildir(t, filepath.Join(dir, "box"), 2)
			text := readLog(t, dir)
			for _, from := range []string{"198.51.100.7", "203.0.113.9"} {
				want := regexp.MustCompile(strings.ReplaceAll(c.log, `198\.51\.100\.7`, regexp.QuoteMeta(from)))
				if !want.MatchString(text) {
					t.Errorf("Postfix's log does not match %s:\n%.3000s", want, text)
				}
				has := func(m []byte) bool {
					return regexp.MustCompile(`(?s)^.*?Received: from helo\.partner\.test \(unknown \[` + regexp.QuoteMeta(from) + `\]\)`).Match(m)
				}
				if c.mode == "xclient" && !slices.ContainsFunc(got, has) {
					t.Errorf("no Received of Postfix names %s", from)
				}
			}
			// One is the test's own look whether somebody listens.
			if strings.Count(text, "warning: haproxy") > 1 || strings.Contains(text, "bad command") {
				t.Errorf("Postfix complains:\n%.3000s", text)
			}
		})
	}
}

func readLog(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "mail.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPostfixLogin logs in at a real Postfix with Dovecot's authentication, over TLS whose key is pinned, with each mechanism; a
// wrong password queues, and nothing shows it.
func TestPostfixLogin(t *testing.T) {
	auth := freePort(t)
	dovecot(t, freePort(t), auth)
	port := freePort(t)
	cert, key := certificate(t)
	dir := postfix(t, port, fmt.Sprintf(`smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:%d
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = %s
smtpd_tls_key_file = %s
smtpd_sender_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = permit_sasl_authenticated, reject`, auth, cert, key))
	pin := strings.TrimSpace(execute(t, "sh", "-c", "openssl x509 -in "+cert+" -pubkey -noout | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1"))
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", ""} {
		list := "[]"
		if m != "" {
			list = fmt.Sprintf("[%q]", m)
		}
		p := start(t, backendConfig(t, fmt.Sprintf(`url = "smtp://127.0.0.1:%d"
tls = { mode = "required", fingerprint = [%q] }
auth = { user = "gate", password_file = %q, mechanisms = %s }`, port, pin, password, list)))
		if r := send(t, p.SMTP, "198.51.100.7", "client.test", "sender@partner.test", "taro@example.test", []byte(plainMail)); !strings.HasPrefix(r, "250") {
			t.Fatal(m, r)
		}
		n++
		if got := maildir(t, filepath.Join(dir, "box"), n); len(got) != n {
			t.Errorf("%s: %d mails", m, len(got))
		}
		want := m
		if m == "" {
			want = "SCRAM-SHA-256" // the strongest that is offered
		}
		if !strings.Contains(readLog(t, dir), "sasl_method="+want+", sasl_username=gate") {
			t.Errorf("Postfix's log names no login with %s", want)
		}
		p.stop()
	}
	if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, backendConfig(t, fmt.Sprintf(`url = "smtp://127.0.0.1:%d"
tls = { mode = "required", fingerprint = [%q] }
auth = { user = "gate", password_file = %q }`, port, pin, password)))
	if r := send(t, p.SMTP, "198.51.100.7", "client.test", "sender@partner.test", "taro@example.test", []byte(plainMail)); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	out, _ := p.command("queue", "list", "--json")
	if !strings.Contains(out, "authentication failed") {
		t.Errorf("the queue does not say why:\n%s", out)
	}
	if text := p.output(); strings.Contains(text, "wrong") || strings.Contains(text, "sesame") {
		t.Error("the log shows the password")
	}
	// Mended while it runs: the file is read again.
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	maildir(t, filepath.Join(dir, "box"), n+1)
}

// TestTwoBackendsOneKilled: of two mail servers under load one is killed. No client sees an error, nothing is lost, and the time
// that a client waits is printed.
func TestTwoBackendsOneKilled(t *testing.T) {
	sink := needTool(t, "smtp-sink")
	dir := t.TempDir()
	ports := []int{freePort(t), freePort(t)}
	var cmds []*exec.Cmd
	var backends strings.Builder
	for i, port := range ports {
		box := filepath.Join(dir, fmt.Sprint("box", i))
		if err := os.Mkdir(box, 0o777); err != nil {
			t.Fatal(err)
		}
		args := []string{"-d", box + "/%Y%m%d%H%M%S.", fmt.Sprintf("127.0.0.1:%d", port), "1000"}
		if os.Getuid() == 0 {
			args = append([]string{"-u", "nobody"}, args...)
			execute(t, "chmod", "-R", "a+rwx", box)
			for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
				_ = os.Chmod(d, 0o755)
			}
		}
		cmds = append(cmds, background(t, box, sink, args...))
		waitPort(t, fmt.Sprintf("127.0.0.1:%d", port))
		fmt.Fprintf(&backends, "[[domain.backend]]\nurl = \"smtp://127.0.0.1:%d\"\n", port)
	}
	p := start(t, serveConfig(t.TempDir(), `
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "any"
`+backends.String()+`
[filters]
ratelimit = { enabled = false }
rdns = { enabled = false }
spf = { enabled = false }
dmarc = { enabled = false }
[policy]
mode = "observe"
`))
	const clients, each = 8, 60
	var mu sync.Mutex
	times := map[bool][]time.Duration{}
	killed := make(chan struct{})
	after := func() bool {
		select {
		case <-killed:
			return true
		default:
			return false
		}
	}
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range each {
				if n == 0 && i == each/3 {
					_ = cmds[0].Process.Kill()
					close(killed)
				}
				late := after()
				begun := time.Now()
				r := send(t, p.SMTP, "", "client.test", "sender@partner.test", "taro@example.test", fmt.Appendf(nil, "Subject: n%d-%d.\r\n\r\nbody\r\n", n, i))
				mu.Lock()
				times[late] = append(times[late], time.Since(begun))
				mu.Unlock()
				if !strings.HasPrefix(r, "250") {
					t.Errorf("%d-%d: %s", n, i, r)
				}
			}
		})
	}
	wg.Wait()
	p.emptied()
	metrics := fetch(t, "http://"+p.Ops+"/metrics")
	for i, name := range []string{"up", "connections_limit"} {
		for n, port := range ports {
			want := fmt.Sprintf("sekimori_backend_%s{backend=\"smtp://127.0.0.1:%d\"} %d\n", name, port, []int{n, 15}[i])
			if !strings.Contains(metrics, want) {
				t.Errorf("not in the metrics: %s", want)
			}
		}
	}
	copies := subjects(t, dir)
	lost, twice := 0, 0
	for n := range clients {
		for i := range each {
			switch c := copies[fmt.Sprintf("n%d-%d.", n, i)]; {
			case c == 0:
				lost++
			case c > 1:
				twice++
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d mails of %d are lost", lost, clients*each)
	}
	for late, when := range map[bool]string{false: "before the kill", true: "after it"} {
		list := times[late]
		slices.Sort(list)
		t.Logf("%s: %d mails, p50 %v, p99 %v, longest %v", when, len(list), list[len(list)/2], list[len(list)*99/100], list[len(list)-1])
	}
	t.Logf("%d mails twice, by connections that were lost behind the final dot", twice)
	if worst := times[true][len(times[true])*99/100]; worst > 5*time.Second {
		t.Errorf("p99 after the kill is %v", worst)
	}
}

// subjects counts the mails in the dumps of smtp-sink by subject.
func subjects(t *testing.T, dir string) map[string]int {
	t.Helper()
	found := map[string]int{}
	files, err := filepath.Glob(filepath.Join(dir, "box*", "2*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no dumps", err)
	}
	subject := regexp.MustCompile(`(?m)^Subject: (n\d+-\d+\.)`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range subject.FindAllSubmatch(b, -1) {
			found[string(m[1])]++
		}
	}
	return found
}
