package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// postfix runs a real Postfix from a private folder; settings are lines of main.cf.
func postfix(t *testing.T, port int, settings string) (dir string) {
	t.Helper()
	bin := needTool(t, "postfix")
	if os.Getuid() != 0 {
		need(t, "Postfix is started by root only")
	}
	if _, err := user.Lookup("postfix"); err != nil {
		need(t, "there is no user postfix")
	}
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_ = os.Chmod(dir, 0o755)
	for _, d := range []string{"etc", "spool", "data", "box"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, "chown", "postfix", filepath.Join(dir, "data"), filepath.Join(dir, "box"))
	master := fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
`, port)
	id := strings.TrimSpace(execute(t, "id", "-u", "postfix"))
	gid := strings.TrimSpace(execute(t, "id", "-g", "postfix"))
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
myhostname = backend.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_base = %[1]s/box
virtual_mailbox_maps = static:all/Maildir/
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
virtual_minimum_uid = 1
message_size_limit = 60000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtp_tls_security_level = none
alias_maps =
alias_database =
`, dir, id, gid)
	for name, content := range map[string]string{"master.cf": master, "main.cf": settled(main, settings)} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, bin, "-c", filepath.Join(dir, "etc"), "start")
	t.Cleanup(func() {
		stopPostfix(t, bin, dir)
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "mail.log"))
			t.Logf("Postfix said:\n%.6000s", b)
		}
	})
	// Before postlogd reads, ten lines of log block who writes them (net.unix.max_dgram_qlen): no connection before.
	eventually(t, "Postfix writes its log", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "mail.log"))
		return bytes.Contains(b, []byte("daemon started"))
	})
	waitPort(t, fmt.Sprintf("127.0.0.1:%d", port))
	return dir
}

// settled is a main.cf in which settings take the place of lines of the same name: Postfix warns of a name that is there twice, and
// postlogd waits for ever when that warning of its own finds the queue of the log full.
func settled(main, settings string) string {
	name := func(line string) string { n, _, _ := strings.Cut(line, "="); return strings.TrimSpace(n) }
	given := map[string]bool{}
	for line := range strings.Lines(settings) {
		given[name(line)] = true
	}
	var b strings.Builder
	for line := range strings.Lines(main) {
		if !given[name(line)] {
			b.WriteString(line)
		}
	}
	return b.String() + settings + "\n"
}

// stopPostfix stops it, and kills it when it does not stop: `postfix stop` has no end of its own when nobody reads the log.
func stopPostfix(t *testing.T, bin, dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "-c", filepath.Join(dir, "etc"), "stop")
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() == nil {
		return
	}
	t.Errorf("Postfix does not stop: %v", err)
	b, _ := os.ReadFile(filepath.Join(dir, "spool", "pid", "master.pid"))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 1 {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // master leads the group of its daemons
	}
}

func execute(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestPostfixBackend relays the varied mails to a real Postfix, which writes them to a Maildir with LF line ends.
func TestPostfixBackend(t *testing.T) {
	needTool(t, "postfix")
	port := freePort(t)
	dir := postfix(t, port, "")
	p := start(t, serveConfig(t.TempDir(), fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["smtp://127.0.0.1:%d"]
[policy]
mode = "observe"
`, port)))
	mails := variedMails(t)
	n, sent := 0, map[string][]byte{}
	for name, m := range mails {
		if strings.Contains(name, "header") || strings.Contains(name, "long lines") || strings.Contains(name, "no empty line") || name == "not a header" {
			continue // Postfix itself changes such mail: it folds long lines and mends headers
		}
		n++
		sent[name] = m
		if r := send(t, p.SMTP, "", "client.test", "sender@partner.test", "taro@example.test", m); !strings.HasPrefix(r, "250") {
			t.Fatalf("%s: %s", name, r)
		}
	}
	got := maildir(t, filepath.Join(dir, "box"), n)
	if len(got) != n {
		t.Errorf("%d mails arrived, %d were sent", len(got), n)
	}
	for name, m := range sent {
		lf := bytes.ReplaceAll(m, []byte("\r\n"), []byte("\n"))
		if _, body, ok := bytes.Cut(lf, []byte("\n\n")); ok && !bytes.HasPrefix(lf, []byte("\n")) && (!bytes.Contains(lf, []byte("\nMessage-ID: ")) || !bytes.Contains(lf, []byte("\nDate: "))) {
			lf = append([]byte("\n\n"), body...) // Postfix adds what is missing to the end of the header
		}
		if !slices.ContainsFunc(got, func(g []byte) bool { return bytes.HasSuffix(g, lf) }) {
			t.Errorf("%s is not there with the same octets", name)
		}
	}
}

// TestPostfixClient lets Postfix's own load generator send over many connections.
func TestPostfixClient(t *testing.T) {
	source := needTool(t, "smtp-source")
	dir := t.TempDir()
	p := start(t, serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:%s"]
[filters.ratelimit]
enabled = false
`, filepath.Join(dir, "maildir"))))
	execute(t, source, "-s", "10", "-m", "200", "-l", "3000", "-f", "a@partner.test", "-t", "b@example.test", "-M", "source.test", p.SMTP)
	if got := maildir(t, filepath.Join(dir, "maildir"), 200); len(got) != 200 {
		t.Errorf("%d mails of 200", len(got))
	}
}

// certificate makes a self-signed pair.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	execute(t, needTool(t, "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.test", "-keyout", key, "-out", cert)
	return cert, key
}

// TestSwaks sends with swaks over STARTTLS.
func TestSwaks(t *testing.T) {
	swaks := needTool(t, "swaks")
	cert, key := certificate(t)
	dir := t.TempDir()
	p := start(t, strings.Replace(serveConfig(dir, fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["maildir:%s"]
`, filepath.Join(dir, "maildir"))), "[log]", fmt.Sprintf("[smtp]\ntls_cert_file = %q\ntls_key_file = %q\n[log]", cert, key), 1))
	out := execute(t, swaks, "--server", p.SMTP, "--tls", "--from", "sender@partner.test", "--to", "taro@example.test",
		"--helo", "mx.partner.test", "--header", "Subject: =?ISO-2022-JP?B?GyRCOCtAUT1xGyhC?=")
	if !strings.Contains(out, "TLS started with cipher") {
		t.Errorf("no TLS:\n%s", out)
	}
	got := string(maildir(t, filepath.Join(dir, "maildir"), 1)[0])
	head, _, _ := strings.Cut(got, "\r\n\r\n")
	if r := field(head, "Received"); !strings.Contains(r, "TLS") && !strings.Contains(r, "ESMTPS") {
		t.Errorf("Received does not name TLS: %s", r)
	}
}

// TestHAProxy puts a real HAProxy with send-proxy-v2 in front.
func TestHAProxy(t *testing.T) {
	haproxy := needTool(t, "haproxy")
	g := startGateway(t, gatewayOptions{rules: `
[[rule]]
id = "FROM_LOOPBACK_TWO"
describe = { ja = "試験", en = "a test" }
when = 'client.ip == "127.0.0.2"'
action = "reject"
`})
	port := freePort(t)
	dir := t.TempDir()
	conf := fmt.Sprintf(`defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend smtp
  bind 127.0.0.1:%d
  default_backend mx
backend mx
  server mx %s send-proxy-v2 check inter 500ms check-send-proxy
`, port, g.SMTP)
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, dir, haproxy, "-db", "-f", file)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	waitPort(t, addr)
	var reply string
	eventually(t, "a mail through HAProxy", func() bool {
		reply = send(t, addr, "", "mx.partner.test", "sender@partner.test", "taro@example.test", []byte(plainMail))
		return strings.HasPrefix(reply, "250")
	})
	head, _, _ := strings.Cut(string(maildir(t, g.maildir, 1)[0]), "\r\n\r\n")
	if r := field(head, "Received"); !strings.Contains(r, "[127.0.0.1]") {
		t.Errorf("Received does not name the real client: %s", r)
	}
	time.Sleep(1200 * time.Millisecond) // let some health checks come
	if n := len(g.log("panic")); n > 0 {
		t.Errorf("%d panics", n)
	}
}
