package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestQueueCheck looks beside a loaded and repeatedly killed server, then at what is damaged by hand.
func TestQueueCheck(t *testing.T) {
	rules := strings.Replace(holdRule, `message.subject == "hold me"`, `message.subject startsWith "hold "`, 1)
	g := startGateway(t, gatewayOptions{rules: rules, extra: "[relay]\nbudget = \"5s\"\nledger_check = \"200ms\"\n", on: []string{"ratelimit"}})
	l := startLoad(t, func() string { g.mu.Lock(); defer g.mu.Unlock(); return g.SMTP }, 4)
	for round := range 4 {
		time.Sleep(300 * time.Millisecond)
		out, code := g.command("queue", "check")
		if code != 0 || !strings.Contains(out, "nothing is missing") {
			t.Errorf("under load: exit code %d\n%s", code, out)
		}
		if round == 1 {
			g.kill()
			g.run()
		}
	}
	acked := l.end()
	out, code := g.command("queue", "check", "--json")
	if code != 0 || !strings.Contains(out, `"fine": true`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if m := g.metric(t, "sekimori_ledger_held"); m < float64(len(acked))/4 {
		t.Errorf("%v held of %d acknowledged\n%s", m, len(acked), out)
	}
	g.stop()
	files, _ := filepath.Glob(filepath.Join(g.dir, "data", "ledger", "ledger-*.log"))
	last := files[len(files)-1]
	b, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(last, []byte(strings.Replace(string(b), "\taccept\t", "\taccepT\t", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code = g.command("queue", "check")
	if code != 1 || !strings.Contains(out, "MISMATCH unreadable") || !strings.Contains(out, last+":") {
		t.Errorf("a changed line: exit code %d\n%s", code, out)
	}
}

func (p *program) metric(t *testing.T, name string) float64 {
	t.Helper()
	for line := range strings.Lines(get(t, "http://"+p.Ops+"/metrics")) {
		var v float64
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			fmt.Sscan(rest, &v)
			return v
		}
	}
	t.Errorf("there is no metric %s", name)
	return -1
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
