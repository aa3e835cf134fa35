package front

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// stutter is a connection that fails once and would then go on.
type stutter struct {
	pipeEnd
	reads int
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.reads++; s.reads == 1 {
		return 0, os.ErrInvalid
	}
	return copy(p, "NOOP\r\n"), nil
}
func (s *stutter) Write(p []byte) (int, error)      { return len(p), nil }
func (s *stutter) Close() error                     { return nil }
func (s *stutter) SetReadDeadline(time.Time) error  { return nil }
func (s *stutter) SetWriteDeadline(time.Time) error { return nil }

func TestFloods(t *testing.T) {
	for _, cmd := range []string{"NOOP", "RSET", "VRFY x", "EHLO client.example", "HELO client.example"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t).start()
			c := w.dial("192.0.2.1").hello()
			c.send(strings.Repeat(cmd+"\r\n", 1000))
			n := 0
			for r := c.reply(); r != "EOF"; r = c.reply() {
				if n++; strings.HasPrefix(r, "421") {
					break
				}
			}
			if n > maxJunk+1 || c.line() != "EOF" {
				t.Errorf("%s: %d answers", cmd, n)
			}
		})
	}
}

// TestMailEndsFlood: a client that sends mail may say RSET before each.
func TestMailEndsFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newWorld(t).start().dial("192.0.2.1").hello()
		for range 3 * maxJunk {
			c.want("RSET", "250")
			c.envelope("x@example.jp").want("DATA", "354")
			c.want(plainMail+".", "250 2.0.0")
		}
	})
}

func TestLongLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		c := w.dial("192.0.2.1").hello()
		c.want("NOOP "+strings.Repeat("x", 600), "500 5.5.2 the line is too long")
		c.want("MAIL FROM:<a@sender.example> AUTH=<> "+strings.Repeat(" ", 600)+"SIZE=1", "250 2.1.0")
		c.want("RCPT TO:<"+strings.Repeat("x", 1200)+"@example.jp>", "500 5.5.2")
		c.want("NOOP", "250")
		c.send(strings.Repeat("x", 1<<20))
		c.want("", "421 4.7.0 the line does not end")
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t).start()
		c := w.dial("192.0.2.1").hello()
		time.Sleep(50 * time.Second)
		c.want("NOOP", "250")
		time.Sleep(70 * time.Second)
		c.want("", "421 4.4.2")
		if c.line() != "EOF" {
			t.Error("still open")
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.SMTP.MaxConnections, w.cfg.SMTP.MaxConnectionsPerClient = 5, 2
		w.cfg.SMTP.MyNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		w.start()
		a := w.dial("2001:db8::1").hello()
		w.dial("2001:db8::2").hello()
		w.dial("2001:db8::3").want("", "421 4.7.0 too many connections from your address")
		w.dial("2001:db8:0:1::1").hello()
		w.dial("10.0.0.1").hello()
		w.dial("10.0.0.1").hello()
		c := w.dial("192.0.2.2")
		c.want("", "421 4.7.0 too many connections, try again later id=")
		a.want("QUIT", "221")
		synctest.Wait()
		w.dial("2001:db8::3").hello()
		if !w.sawRefusal("connection limit_total") || !w.sawRefusal("connection limit_client") {
			t.Error(w.refusals)
		}
		if !strings.Contains(w.logged(), "why=limit_client") {
			t.Error("a refused connection is not in the log")
		}
	})
}

// TestLimiterCount: ten thousand places are counted exactly, and given back exactly.
func TestLimiterCount(t *testing.T) {
	l := newLimiter(10000, 50)
	addr := netip.MustParseAddr("192.0.2.0")
	in := 0
	for range 201 {
		for range 51 {
			if l.enter() {
				if l.enterClient(addr) {
					in++
				} else {
					l.leave()
				}
			}
		}
		addr = addr.Next()
	}
	if in != 10000 || l.total != 10000 {
		t.Fatal(in, l.total)
	}
	for a := netip.MustParseAddr("192.0.2.0"); in > 0; a = a.Next() {
		for range 50 {
			l.leaveClient(a)
			l.leave()
			in--
		}
	}
	if l.total != 0 || len(l.client) != 0 {
		t.Error(l.total, l.client)
	}
}

func TestEarlyTalker(t *testing.T) {
	for _, tt := range []struct {
		name             string
		suspect          bool
		pause, say, took time.Duration
		early            bool
	}{
		{name: "there already", say: 0, early: true},
		{name: "later, not suspect", say: 2 * time.Second, pause: 4 * time.Second},
		{name: "suspect, talks in the pause", suspect: true, say: 2 * time.Second, pause: 4 * time.Second, took: 2 * time.Second, early: true},
		{name: "suspect, waits", suspect: true, say: -1, pause: 4 * time.Second, took: 4 * time.Second},
		{name: "suspect, no pause", suspect: true, say: -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.suspects = tt.suspect
				w.cfg.SMTP.EarlyTalkerPause = config.Duration(tt.pause)
				w.start()
				begun := time.Now()
				first := ""
				if tt.say == 0 {
					first = "EHLO client.example\r\n"
				}
				c := w.dialTo("192.0.2.1", config.Listener{}, first)
				if tt.say > 0 {
					time.AfterFunc(tt.say, func() { c.send("EHLO client.example\r\n") })
				}
				c.want("", "220")
				if took := time.Since(begun).Truncate(100 * time.Millisecond); took != tt.took {
					t.Errorf("banner after %v", took)
				}
				if tt.say < 0 {
					c.send("EHLO client.example\r\n")
				}
				c.want("", "250")
				if w.sessions[0].Early != tt.early {
					t.Errorf("early: %v", w.sessions[0].Early)
				}
			})
		})
	}
}

func TestRefusedInsteadOfBanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.refusal = mail.Permanent(554, 7, 1, "no")
		c := w.start().dial("192.0.2.1")
		c.want("", "554 5.7.1 no id=id1")
		if c.line() != "EOF" {
			t.Error("still open")
		}
		synctest.Wait()
		if w.visits != 0 || w.srv.limits.total != 0 {
			t.Error("something was not given back")
		}
	})
}

func TestInternalListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cfg.SMTP.MyNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		w.start()
		l := config.Listener{Purpose: "internal"}
		w.dialTo("192.0.2.1", l, "").want("", "554 5.7.1")
		w.dialTo("10.1.1.1", l, "").hello()
	})
}

// TestPanic: one that a check or the parser causes ends its connection and nothing else.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bad := true
		w.onData = func() {
			if bad {
				panic("test")
			}
		}
		w.start()
		other := w.dial("192.0.2.2").hello()
		c := w.dial("192.0.2.1").hello().envelope("x@example.jp")
		c.want("DATA", "354")
		c.want(plainMail+".", "421 4.3.0")
		if c.line() != "EOF" {
			t.Error("still open")
		}
		bad = false
		other.envelope("x@example.jp").want("DATA", "354")
		other.want(plainMail+".", "250 2.0.0")
		if len(w.delivered) != 1 || !strings.Contains(w.logged(), "panic=test") {
			t.Error(len(w.delivered), w.logged())
		}
	})
}

// TestLogLine: one line names everything, and what a client sent cannot make another.
func TestLogLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.findings = []mail.Finding{{Symbol: "TEST_FOUND", Evidence: []mail.Evidence{{Key: "seen", Value: "a\r\nlevel=ERROR \u202e"}}}}
		w.atData["x@example.jp"] = mail.Verdict{Action: mail.Tag, Score: 4.5, RuleID: "R", Rule: "a.toml:3", Degraded: []string{"dnsbl: down"}}
		c := w.start().dial("192.0.2.1").hello().envelope("x@example.jp")
		c.want("DATA", "354")
		c.want(plainMail+".", "250 2.0.0")
		var line string
		for l := range strings.Lines(w.logged()) {
			if strings.Contains(l, "msg=mail ") {
				line = l
			}
		}
		for _, want := range []string{
			"id=id2", "conn=id1", "client=192.0.2.1", "helo=client.example", "from=a@sender.example", "rcpts=[x@example.jp]", "action=tag",
			"score=4.5", "rule=R", "rule_at=a.toml:3", `not_looked_at="[dnsbl: down]"`, `findings="[TEST_FOUND seen=a??level=ERROR ?]"`,
			"ms.total=", `reply="250 2.0.0 accepted"`, "ends=[delivered]",
		} {
			if !strings.Contains(line, want) {
				t.Errorf("no %s in %s", want, line)
			}
		}
	})
}
