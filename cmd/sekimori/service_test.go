package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUnits: what `service print` prints is what systemd accepts, and confines the server.
func TestUnits(t *testing.T) {
	analyze := needTool(t, "systemd-analyze")
	dir := t.TempDir()
	for name, args := range map[string][]string{"sekimori.service": nil, "sekimori.socket": {"--socket"}} {
		out, code := runCommand(t, dir, append([]string{"service", "print"}, args...)...)
		if code != 0 || !strings.Contains(out, "Description=Sekimori mail gateway") {
			t.Fatalf("%d %s", code, out)
		}
		out = strings.ReplaceAll(out, "/usr/local/bin/sekimori", "/bin/true")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(analyze, "verify", "./sekimori.service", "./sekimori.socket")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "sekimori.so") || strings.Contains(string(out), "sekimori.se") {
		t.Errorf("%v\n%s", err, out)
	}
	cmd = exec.Command(analyze, "security", "--offline=true", "--threshold=20", "./sekimori.service")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSocketActivation: a restart refuses nobody. The sockets are held by somebody else, as systemd does; who connects while the
// old process drains is served by the new one.
func TestSocketActivation(t *testing.T) {
	dir := t.TempDir()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	held, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	addr := ln.Addr().String()
	conf := filepath.Join(dir, "sekimori.toml")
	text := strings.Replace(reloadConfig(dir, "old.test", ""), `["127.0.0.1:0"]`, fmt.Sprintf("[%q]", addr), 1)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	begin := func() *program {
		p := &program{t: t, dir: dir, conf: conf, sockets: []*os.File{held}}
		p.run()
		return p
	}
	first := begin()
	if !strings.Contains(first.output(), "socket of the service manager") {
		t.Error(first.output())
	}
	open := dial(t, addr, "")
	open.toData("x@old.test")
	if err := first.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	first.until("draining", func() bool { return strings.Contains(first.output(), "no new connections") })
	// Nobody accepts now, and nobody is refused.
	waits, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	open.want("250 2.0.0 accepted", "second half\r\n.")
	<-first.done
	second := begin()
	_ = waits.SetReadDeadline(time.Now().Add(20 * time.Second))
	banner := make([]byte, 4)
	if _, err := waits.Read(banner); err != nil || string(banner) != "220 " {
		t.Errorf("%q %v", banner, err)
	}
	if r := send(t, addr, "", "client.test", "a@sender.test", "x@old.test", []byte("Subject: x\r\n\r\nx\r\n")); !strings.HasPrefix(r, "250") {
		t.Error(r)
	}
	second.stop()
	if n := len(maildir(t, filepath.Join(dir, "maildir"), 2)); n != 2 {
		t.Error(n)
	}
}

// TestDrainDelay: while a balancer is being told, connections are still taken; a second signal ends the waiting.
func TestDrainDelay(t *testing.T) {
	p := startReload(t, "")
	p.write("sekimori.toml", strings.Replace(reloadConfig(p.dir, "old.test", ""), "[smtp]", "[smtp]\ndrain_delay = \"5m\"", 1))
	p.hangup("configuration reloaded")
	stuck := dial(t, p.SMTP, "")
	stuck.toData("x@old.test")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.until("the delay", func() bool { return strings.Contains(p.output(), "connections are still taken") })
	res, err := http.Get("http://" + p.Ops + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Error(res.Status)
	}
	if r := send(t, p.SMTP, "", "client.test", "a@sender.test", "x@old.test", []byte("Subject: x\r\n\r\nx\r\n")); !strings.HasPrefix(r, "250") {
		t.Error(r)
	}
	began := time.Now()
	if code := p.stop(); code != 0 || time.Since(began) > 30*time.Second {
		t.Errorf("exit %d after %s", code, time.Since(began))
	}
}
