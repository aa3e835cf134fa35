package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load sends mails over several connections until stopped and remembers which were acknowledged. Every second mail is
// one that the rules hold.
type load struct {
	mu    sync.Mutex
	acked map[string]bool
	stop  atomic.Bool
	wg    sync.WaitGroup
	n     atomic.Int64
}

func startLoad(t *testing.T, addr func() string, workers int) *load {
	l := &load{acked: map[string]bool{}}
	for range workers {
		l.wg.Go(func() {
			for !l.stop.Load() && l.n.Load() < 20000 {
				l.one(addr())
			}
		})
	}
	t.Cleanup(func() { l.stop.Store(true); l.wg.Wait() })
	return l
}

// one makes one connection with up to five mails; whatever goes wrong ends it, since the server is being killed.
func (l *load) one(addr string) {
	c, err := dialRaw(addr)
	if err != nil {
		time.Sleep(5 * time.Millisecond)
		return
	}
	defer c.conn.Close()
	if !c.ok("", "220") || !c.ok("EHLO load.test", "250") {
		return
	}
	for range 5 {
		n := l.n.Add(1)
		subject := fmt.Sprintf("load %d", n)
		if n%2 == 0 {
			subject = fmt.Sprintf("hold %d", n)
		}
		if !c.ok("MAIL FROM:<sender@partner.test>", "250") || !c.ok("RCPT TO:<taro@example.test>", "250") || !c.ok("DATA", "354") {
			return
		}
		msg := fmt.Sprintf("From: sender@partner.test\r\nSubject: %s\r\nMessage-ID: <%d@load.test>\r\n\r\n%s\r\n.", subject, n, strings.Repeat("text ", 100))
		if !c.ok(msg, "250") {
			return
		}
		l.mu.Lock()
		l.acked[subject] = true
		l.mu.Unlock()
	}
}

func (l *load) end() map[string]bool {
	l.stop.Store(true)
	l.wg.Wait()
	return l.acked
}

func TestKillNine(t *testing.T) {
	variants := []struct {
		name      string
		redis     []string // nil: the embedded store
		killRedis bool
	}{
		{name: "embedded store"},
		// Debian's redis.conf, unchanged, where it matters: no AOF, and saves that come seldom.
		{name: "Debian's redis.conf", redis: []string{"--save", "3600 1 300 100 60 10000", "--appendonly", "no"}, killRedis: true},
		{name: "AOF", redis: []string{"--save", "", "--appendonly", "yes", "--appendfsync", "always"}, killRedis: true},
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) { killNine(t, v.redis, v.killRedis) })
	}
}

func killNine(t *testing.T, settings []string, killRedis bool) {
	rules := strings.Replace(holdRule, `message.subject == "hold me"`, `message.subject startsWith "hold "`, 1)
	extra, redisDir, port := "[relay]\nbudget = \"5s\"\n", t.TempDir(), freePort(t)
	if settings != nil {
		extra += fmt.Sprintf("[redis]\nurl = \"redis://127.0.0.1:%d/0\"\n", port)
	}
	var kill func()
	restart := func() {}
	if settings != nil {
		redis := startRedis(t, redisDir, port, settings...)
		kill = func() { _ = redis.Process.Kill(); _, _ = redis.Process.Wait() }
		restart = func() {
			eventually(t, "the port is free", func() bool {
				c, err := dialRaw(fmt.Sprintf("127.0.0.1:%d", port))
				if err == nil {
					c.conn.Close()
				}
				return err != nil
			})
			redis = startRedis(t, redisDir, port, settings...)
		}
	}
	g := startGateway(t, gatewayOptions{rules: rules, extra: extra, on: []string{"ratelimit"}})
	var mu sync.Mutex
	addr := g.SMTP
	l := startLoad(t, func() string { mu.Lock(); defer mu.Unlock(); return addr }, 4)
	for round := range 3 {
		time.Sleep(700 * time.Millisecond)
		if killRedis && kill != nil {
			kill()
			if round == 1 { // both at once
				g.kill()
				g.run()
			}
			time.Sleep(300 * time.Millisecond)
			restart()
		} else {
			g.kill()
			g.run()
		}
		mu.Lock()
		addr = g.SMTP
		mu.Unlock()
	}
	time.Sleep(500 * time.Millisecond)
	acked := l.end()
	g.kill()
	g.run()
	if len(acked) < 20 {
		t.Fatalf("only %d mails were acknowledged\n%.3000s", len(acked), g.output())
	}
	allThere(t, g, acked)
}

// allThere waits until every acknowledged mail is in the Maildir, in the queue or held.
func allThere(t *testing.T, g *gateway, acked map[string]bool) {
	t.Helper()
	var missing []string
	deadline := time.Now().Add(40 * time.Second)
	for {
		there := map[string]bool{}
		for _, m := range maildir(t, g.maildir, 0) {
			head, _, _ := strings.Cut(string(m), "\r\n\r\n")
			there[field(head, "Subject")] = true
		}
		for _, h := range g.held() {
			s, _ := h["subject"].(string)
			there[s] = true
		}
		missing = nil
		for s := range acked {
			if !there[s] {
				missing = append(missing, s)
			}
		}
		if len(missing) == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(300 * time.Millisecond)
	}
	t.Logf("%d acknowledged, %d missing", len(acked), len(missing))
	if len(missing) > 0 {
		files, _ := filepath.Glob(filepath.Join(g.dir, "data", "spool", "*", "*"))
		t.Errorf("%d of %d acknowledged mails are missing, such as %q; %d files in the spool", len(missing), len(acked), missing[0], len(files))
	}
}

// TestDrain stops the server while mails come in: none that was acknowledged is lost, and none is taken afterwards.
func TestDrain(t *testing.T) {
	g := startGateway(t, gatewayOptions{rules: strings.Replace(holdRule, `message.subject == "hold me"`, `message.subject startsWith "hold "`, 1), on: []string{"ratelimit"}})
	l := startLoad(t, func() string { return g.SMTP }, 4)
	eventually(t, "mail flows", func() bool { return l.n.Load() > 40 })
	if code := g.stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, g.stack())
	}
	acked := l.end()
	g.run()
	allThere(t, g, acked)
}
