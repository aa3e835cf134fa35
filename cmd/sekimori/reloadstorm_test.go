package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestReloadStorm: 200 reloads under load, with rules and domains that come and go, drop no connection, lose no mail and leave
// nothing behind.
func TestReloadStorm(t *testing.T) {
	reloads := 200
	if testing.Short() {
		reloads = 20
	}
	p := startReload(t, "")
	conf := func(n int) string {
		more := fmt.Sprintf("[filters.spf]\nenabled = false\n[filters.dmarc]\nenabled = false\n[filters.ratelimit]\nenabled = false\n[policy]\ndeadline = \"%dms\"\n", 5000+n)
		if n%2 == 1 {
			more += fmt.Sprintf("[[domain]]\nnames = [\"other.test\"]\nrecipients = \"any\"\nbackends = [\"maildir:%s/data/other\"]\n", p.dir)
		}
		return reloadConfig(p.dir, "old.test", more)
	}
	cycle := func(n int) {
		p.write("sekimori.toml", conf(n))
		p.write("rules/50-observed.toml", strings.NewReplacer(`"reject"`, `"tag"`, "NEW_RULE", fmt.Sprintf("RULE_%d", n), "reply = \"the new rule\"\n", "").Replace(reloadRule))
		before := p.reloaded()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.until("a reload", func() bool { return p.reloaded() > before })
	}
	var sent atomic.Int64
	var stop atomic.Bool
	var run sync.WaitGroup
	for range 4 {
		run.Go(func() {
			for !stop.Load() {
				if err := stormConnection(p.SMTP, &sent, &stop); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 5 {
		cycle(n)
	}
	fds, goroutines := p.fds(), p.gauge("go_goroutines")
	for n := 5; n < reloads && !t.Failed(); n++ {
		cycle(n)
	}
	stop.Store(true)
	run.Wait()
	eventually(t, "all is given back", func() bool { return p.fds() <= fds+6 && p.gauge("go_goroutines") <= goroutines+12 })
	if strings.Contains(p.output(), "configuration not reloaded") || sent.Load() < int64(reloads)/2 {
		t.Errorf("%d mails\n%s", sent.Load(), p.output())
	}
	if got := len(maildir(t, filepath.Join(p.dir, "maildir"), int(sent.Load()))); got != int(sent.Load()) {
		t.Errorf("%d mails were acknowledged, %d are there", sent.Load(), got)
	}
	t.Logf("%d reloads, %d mails; descriptors %d then %d, goroutines %.0f then %.0f", reloads, sent.Load(), fds, p.fds(), goroutines, p.gauge("go_goroutines"))
}

// stormConnection sends ten mails over one connection; every step of it must succeed.
func stormConnection(addr string, sent *atomic.Int64, stop *atomic.Bool) error {
	c, err := dialRaw(addr)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if banner, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(banner, "220") {
		return fmt.Errorf("banner %q: %w", banner, err)
	}
	if !c.ok("EHLO load.test", "250") {
		return fmt.Errorf("EHLO failed")
	}
	for range 10 {
		for _, step := range [][2]string{
			{"MAIL FROM:<a@sender.test>", "250"},
			{"RCPT TO:<x@old.test>", "250"},
			{"DATA", "354"},
			{"From: a@sender.test\r\nSubject: storm\r\n\r\ntext\r\n.", "250"},
		} {
			if !c.ok(step[0], step[1]) {
				return fmt.Errorf("%q was not answered with %s", step[0], step[1])
			}
		}
		sent.Add(1)
		if stop.Load() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if !c.ok("QUIT", "221") {
		return fmt.Errorf("QUIT failed")
	}
	return nil
}

func (p *program) reloaded() int { return strings.Count(p.output(), `"configuration reloaded"`) }

func (p *program) fds() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(list)
}

func (p *program) gauge(name string) float64 {
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(fetch(p.t, "http://"+p.Ops+"/metrics"))
	if m == nil {
		p.t.Fatalf("no metric %s", name)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}
