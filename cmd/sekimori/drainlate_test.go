package main

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// lateRig is a serve whose backend answers the final dot after wait; the client has its 250 after a second.
type lateRig struct {
	*program
	wait            atomic.Int64
	mails, answered atomic.Int32
}

func startLate(t *testing.T, wait time.Duration, drain string) *lateRig {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	g := &lateRig{}
	g.wait.Store(int64(wait))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go lateBackend(c, time.Duration(g.wait.Load()), &g.mails, &g.answered)
		}
	}()
	g.program = start(t, serveConfig(t.TempDir(), fmt.Sprintf(`
[[smtp.listener]]
listen = ["127.0.0.1:0"]
[smtp]
drain_timeout = %q
[[domain]]
names = ["example.test"]
recipients = "any"
backends = ["smtp://%s"]
[relay]
budget = "1s"
[policy]
mode = "observe"
`, drain, l.Addr())))
	if r := send(t, g.SMTP, "", "client.test", "sender@partner.test", "taro@example.test", []byte(plainMail)); !strings.HasPrefix(r, "250") {
		t.Fatal(r)
	}
	if out, _ := g.command("queue", "list"); !strings.Contains(out, "inflight") {
		t.Fatalf("queue list: %s", out)
	}
	return g
}

// TestDrainAwaitsLateAnswer: SIGTERM while the answer to the final dot is outstanding. The answer is awaited, and decides.
func TestDrainAwaitsLateAnswer(t *testing.T) {
	g := startLate(t, 4*time.Second, "30s")
	if code := g.stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	if g.answered.Load() != 1 {
		t.Error("the drain did not wait for the answer")
	}
	g.run()
	g.emptied()
	if n := g.mails.Load(); n != 1 {
		t.Errorf("the backend got %d mails", n)
	}
	if out, code := g.command("queue", "check"); code != 0 {
		t.Errorf("queue check: %s", out)
	}
}

// TestDrainCutsLateAnswer: the answer does not come within smtp.drain_timeout. The mail stays, goes out again, and is counted as one
// that may arrive twice.
func TestDrainCutsLateAnswer(t *testing.T) {
	g := startLate(t, time.Minute, "1s")
	g.wait.Store(0)
	if code := g.stop(); code != 0 {
		t.Errorf("serve ended with %d", code)
	}
	g.run()
	g.emptied()
	if n := g.mails.Load(); n != 2 {
		t.Errorf("the backend got %d mails", n)
	}
	if text := fetch(t, "http://"+g.Ops+"/metrics"); !strings.Contains(text, "sekimori_duplicates_total 1\n") {
		t.Error("the possible duplicate is not counted")
	}
	if out, code := g.command("queue", "check"); code != 0 {
		t.Errorf("queue check: %s", out)
	}
}

// TestKilledRunIsSaid: who comes to a server that was killed is told so, by check and by the log of the next run.
func TestKilledRunIsSaid(t *testing.T) {
	g := startLate(t, time.Minute, "1s")
	g.wait.Store(0)
	g.kill()
	if out, _ := g.command("check"); !strings.Contains(out, "did not end in order") {
		t.Errorf("check: %s", out)
	}
	g.run()
	lines := g.log("the last run did not end in order: it was killed, or the machine stopped; the mail that it had taken is on the disk and goes on")
	if len(lines) != 1 || lines[0]["queued"] != 1.0 {
		t.Errorf("%v", lines)
	}
	g.emptied()
	g.stop()
	if out, _ := g.command("check"); strings.Contains(out, "did not end in order") {
		t.Errorf("check after an orderly end: %s", out)
	}
}
