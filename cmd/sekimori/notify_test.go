package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manager is a service manager's end of NOTIFY_SOCKET.
type manager struct {
	conn *net.UnixConn
	mu   sync.Mutex
	all  []string
}

func newManager(t *testing.T) (m *manager, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // the names of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path = filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m = &manager{conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.all = append(m.all, string(buf[:n]))
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return m, path
}

// told returns what was said, without the signs of life.
func (m *manager) told() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, s := range m.all {
		if s != "WATCHDOG=1" {
			list = append(list, s)
		}
	}
	return list
}

func (m *manager) alive() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, s := range m.all {
		if s == "WATCHDOG=1" {
			n++
		}
	}
	return n
}

// wait waits for so many words but signs of life, and returns the last.
func (m *manager) wait(p *program, n int) string {
	p.t.Helper()
	p.until(fmt.Sprintf("%d words to the service manager", n), func() bool { return len(m.told()) >= n })
	return m.told()[n-1]
}

// TestNotify: the service manager hears when mail is taken, of every reload from its beginning to its end, whether it brought
// something or not, that the server lives, and that it stops.
func TestNotify(t *testing.T) {
	m, path := newManager(t)
	dir := t.TempDir()
	p := &program{t: t, dir: dir, conf: filepath.Join(dir, "sekimori.toml"), env: []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=300000"}}
	p.write("rules/10-none.toml", "")
	p.write("sekimori.toml", reloadConfig(dir, "old.test", ""))
	p.run()
	first := m.wait(p, 1)
	if first != "READY=1\nSTATUS=takes mail on "+p.SMTP {
		t.Errorf("%q", first)
	}
	n := m.alive()
	p.until("signs of life", func() bool { return m.alive() > n+2 })

	reloads := func(said int, words, status string) {
		t.Helper()
		before := monotonic()
		p.hangup(words)
		begun := m.wait(p, said)
		usec, ok := strings.CutPrefix(begun, "RELOADING=1\nMONOTONIC_USEC=")
		at, err := strconv.ParseInt(usec, 10, 64)
		if !ok || err != nil || at < before || at > monotonic() {
			t.Errorf("%q, not after %d", begun, before)
		}
		if ready := m.wait(p, said+1); !strings.HasPrefix(ready, "READY=1\nSTATUS=takes mail on "+p.SMTP) || !strings.HasSuffix(ready, status) {
			t.Errorf("%q", ready)
		}
	}
	reloads(2, "configuration reloaded", p.SMTP)
	p.write("sekimori.toml", "nonsense")
	reloads(4, "configuration not reloaded", "the configuration on the disk does not load, see sekimori check")
	said := len(m.told())
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	list := m.told()
	if last := list[len(list)-1]; len(list) <= said || last != "STOPPING=1\nSTATUS=draining" {
		t.Errorf("%q", list)
	}
}

// monotonic is the time that the kernel's CLOCK_MONOTONIC shows, in microseconds.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return now.Nano() / 1000
}

// TestNotifyNobody: a service manager that has gone holds nothing up.
func TestNotifyNobody(t *testing.T) {
	dir := t.TempDir()
	p := &program{t: t, dir: dir, conf: filepath.Join(dir, "sekimori.toml"), env: []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "gone")}}
	p.write("rules/10-none.toml", "")
	p.write("sekimori.toml", reloadConfig(dir, "old.test", ""))
	p.run()
	if len(p.log("the service manager cannot be told")) == 0 {
		t.Error(p.output())
	}
	if r := send(t, p.SMTP, "", "client.test", "a@sender.test", "x@old.test", []byte("Subject: x\r\n\r\nx\r\n")); !strings.HasPrefix(r, "250") {
		t.Error(r)
	}
}

// TestSocketNames: a socket on another address than a listener's goes to the listener that its name says; one that nobody knows
// the name of is said.
func TestSocketNames(t *testing.T) {
	dir := t.TempDir()
	p := &program{t: t, dir: dir, conf: filepath.Join(dir, "sekimori.toml"), env: []string{"LISTEN_FDNAMES=metrics:smtp:pop3:http"}}
	p.write("rules/10-none.toml", "")
	p.write("sekimori.toml", reloadConfig(dir, "old.test", ""))
	var addrs []string
	for range 4 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err = errors.Join(err, ln.Close()); err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		addrs = append(addrs, ln.Addr().String())
		p.sockets = append(p.sockets, f)
	}
	p.run()
	if p.SMTP != addrs[1] || p.Ops != addrs[0] || p.HTTP != addrs[3] {
		t.Errorf("smtp %s metrics %s http %s, given %q", p.SMTP, p.Ops, p.HTTP, addrs)
	}
	if !strings.Contains(p.output(), addrs[2]+" (pop3)") {
		t.Errorf("nothing is said of pop3:\n%s", p.output())
	}
	if r := send(t, addrs[1], "", "client.test", "a@sender.test", "x@old.test", []byte("Subject: x\r\n\r\nx\r\n")); !strings.HasPrefix(r, "250") {
		t.Error(r)
	}
	client := &http.Client{Timeout: 20 * time.Second}
	res, err := client.Get("http://" + addrs[0] + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}
