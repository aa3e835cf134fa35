package relay

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// again restarts the world after prepare has changed its configuration or its spool.
func (w *world) again(prepare func()) {
	w.t.Helper()
	dir := w.spool.Dir()
	w.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.relay.Close(ctx)
	if prepare != nil {
		prepare()
	}
	w.spool.Close()
	w.start(dir)
}

// out adds the server that sends to the world.
func (w *world) out(s *fakeServer) {
	w.servers["192.0.2.99:25"] = s
	w.cfg.Bounce.Backend = config.Backend{URL: "smtp://192.0.2.99:25", Weight: 1, TLS: config.BackendTLS{Mode: "none"}}
}

func notice(id, to string) *Envelope {
	e := envelope(id, to)
	e.From, e.Lane = mail.Address{}, LaneOutbound
	return &e
}

func TestRetrySchedule(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "450 4.2.0 later"})}
	run(t, []*fakeServer{s}, func(w *world) {
		w.again(func() {
			w.cfg.Relay.Retry = []config.Duration{config.Duration(10 * time.Second), config.Duration(time.Hour)}
		})
		w.deliver("q", "x@example.jp")
		w.wantInt("at once", s.said("MAIL"), 1)
		time.Sleep(11 * time.Second)
		w.wantInt("after ten seconds", s.said("MAIL"), 2)
		time.Sleep(50 * time.Minute)
		w.wantInt("before the hour", s.said("MAIL"), 2)
		time.Sleep(11 * time.Minute)
		w.wantInt("after the hour", s.said("MAIL"), 3)
		time.Sleep(time.Hour)
		w.wantInt("the last repeats", s.said("MAIL"), 4)
	})
}

// TestDomainConcurrency counts the mails that are under way at once for a domain with a limit and for one without.
func TestDomainConcurrency(t *testing.T) {
	var mu sync.Mutex
	now, most := map[string]int{}, map[string]int{}
	s := &fakeServer{ehlo: pipelining, on: func(verb, line string) string {
		domain := line[strings.LastIndexByte(line, '@')+1:]
		domain = strings.TrimSuffix(domain, ">")
		switch verb {
		case "RCPT":
			mu.Lock()
			now[domain]++
			most[domain] = max(most[domain], now[domain])
			mu.Unlock()
		case ".":
			time.Sleep(time.Minute)
			mu.Lock()
			now[domain]--
			mu.Unlock()
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.again(func() {
			w.cfg.Domains[0].Names = append(w.cfg.Domains[0].Names, "many.test")
			w.cfg.Domains = append(w.cfg.Domains, config.Domain{Names: []string{"slow.test"}, Backends: w.cfg.Domains[0].Backends, Concurrency: 2})
			w.cfg.Relay.DomainConcurrency = 4
		})
		for i := range 20 {
			for _, d := range []string{"many.test", "slow.test"} {
				env := envelope(fmt.Sprintf("%s-%d", d, i), "x@"+d)
				if err := w.relay.Queue(context.Background(), env); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(30 * time.Minute)
		w.want("queue", w.queued(), "")
		w.wantInt("mails", len(s.got()), 40)
		w.wantInt("of the domain with its own limit", most["slow.test"], 2)
		w.wantInt("of the other", most["many.test"], 4)
	})
}

func TestOutboundLane(t *testing.T) {
	s, out := &fakeServer{ehlo: pipelining}, &fakeServer{}
	run(t, []*fakeServer{s}, func(w *world) {
		if w.relay.EightBit() != true {
			t.Error("the backend offers 8BITMIME")
		}
		w.again(func() { w.out(out) })
		if w.relay.EightBit() != true {
			t.Error("what [bounce] offers does not matter for mail that comes in")
		}
		env := envelope("o", "x@example.jp", "y@world.test", "z@world.test")
		env.Lane, env.EightBit, env.Content = LaneOutbound, false, mail.Content{[]byte("A: b\r\n\r\nc\r\n")}
		if err := w.relay.Queue(context.Background(), env); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.want("queue", w.queued(), "")
		w.want("ours", strings.Join(s.got()[0].rcpts, " "), "x@example.jp")
		w.want("elsewhere", strings.Join(out.got()[0].rcpts, " "), "y@world.test z@world.test")
		w.want("without the lane nothing leaves", w.deliver("p", "y@world.test"), "queued")
		time.Sleep(time.Hour)
		w.want("without the lane nothing leaves", w.queued(), "p queued y=waiting")
	})
}

// TestNoticeOnce replays a crash between the storing of a notice and the settling of what it is about: on the disk stand the
// failed recipient and the notice. The notice goes out once, and the backend is not asked about the failed one again.
func TestNoticeOnce(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprint("crash=", crash), func(t *testing.T) {
			s := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "550 5.1.1 unknown"})}
			runNotice(t, s, &fakeServer{ehlo: pipelining}, crash)
		})
	}
}

func runNotice(t *testing.T, s, out *fakeServer, crash bool) {
	run(t, []*fakeServer{s}, func(w *world) {
		calls := 0
		w.onFailed = func(f Failure) (Fate, error) {
			calls++
			n := notice(f.Entry.ID+".d1", f.Entry.From.String())
			return Fate{State: ledger.Bounced, Detail: n.ID, Notice: n}, nil
		}
		w.again(func() {
			w.out(out)
			if crash {
				w.leaveHalf()
			}
		})
		if !crash {
			w.want("states", w.deliver("m", "x@example.jp", "y@example.jp"), "queued, delivered")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		w.want("queue", w.queued(), "")
		w.wantInt("calls", calls, 1)
		w.wantInt("notices", len(out.got()), 1)
		if crash {
			w.wantInt("asked again", s.said("RCPT TO:<x@"), 0)
		}
	})
}

// leaveHalf puts into the spool what a crash leaves there behind the storing of a notice.
func (w *world) leaveHalf() {
	w.t.Helper()
	n := notice("m.d1", "a@sender.test")
	for _, e := range []spool.Entry{
		{ID: "m", Kind: spool.KindQueue, State: spool.StateQueued, From: n.Rcpts[0], EightBit: true, Rcpts: []spool.Rcpt{
			{Addr: mail.Address{Local: "x", Domain: "example.jp"}, Status: spool.Failed, Attempts: 1, Last: "550 5.1.1 unknown"},
		}},
		{ID: n.ID, Kind: spool.KindQueue, State: spool.StateQueued, Lane: n.Lane, EightBit: true, Rcpts: []spool.Rcpt{{Addr: n.Rcpts[0], Status: spool.Waiting}}},
	} {
		if err := w.spool.Put(e, mail.Content{[]byte(octets)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestDelayWarning: the sender is told once, also after a restart.
func TestDelayWarning(t *testing.T) {
	s, out := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "450 4.2.0 later"})}, &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		var told []FailedRcpt
		w.onDelayed = func(f Failure) *Envelope {
			told = append(told, f.Rcpts...)
			return notice(f.Entry.ID+".w", f.Entry.From.String())
		}
		w.again(func() {
			w.out(out)
			w.cfg.Relay.DelayWarning = config.Duration(4 * time.Hour)
		})
		w.want("states", w.deliver("m", "x@example.jp", "y@example.jp"), "queued, delivered")
		time.Sleep(3*time.Hour + 50*time.Minute)
		w.wantInt("before its time", len(out.got()), 0)
		time.Sleep(40 * time.Minute)
		w.wantInt("once", len(out.got()), 1)
		w.again(nil)
		time.Sleep(3 * time.Hour)
		w.wantInt("never again", len(out.got()), 1)
		w.wantInt("recipients", len(told), 1)
		w.want("why", told[0].Reply.String(), "450 4.2.0 later")
		w.want("still waits", w.queued(), "m queued x=waiting y=delivered")
	})
}

// TestJournalLane: an archive that refuses or is away never ends the waiting before journal.lifetime.
func TestJournalLane(t *testing.T) {
	s, vault := &fakeServer{ehlo: pipelining}, &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"archive": "550 5.7.1 go away"})}
	run(t, []*fakeServer{s}, func(w *world) {
		w.again(func() {
			w.servers["192.0.2.77:25"] = vault
			w.cfg.Journal = config.Journal{To: "archive@vault.test", Backend: "smtp://192.0.2.77:25", TLS: config.BackendTLS{Mode: "none"}, Lifetime: config.Duration(6 * time.Hour)}
			w.cfg.Relay.QueueLifetime = config.Duration(time.Hour)
		})
		env := envelope("j", "archive@vault.test")
		env.Lane, env.From = LaneJournal, mail.Address{}
		st, err := w.relay.Stage(context.Background(), env)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		w.wantInt("staged mail is not tried", vault.said("MAIL"), 0)
		st.Commit()
		time.Sleep(4 * time.Hour)
		w.want("waits", w.queued(), "j queued archive=waiting")
		w.wantInt("failed", len(w.failed), 0)
		vault.set(func() { vault.on = nil })
		w.warn(WarnJournal, "given up")
		time.Sleep(time.Hour)
		w.want("queue", w.queued(), "")
		w.wantInt("archived", len(vault.got()), 1)
		w.want("the warning ends", w.warning(WarnJournal), "")

		st, err = w.relay.Stage(context.Background(), env)
		if err != nil {
			t.Fatal(err)
		}
		st.Discard()
		w.want("discarded", w.queued(), "")
		vault.set(func() { vault.on = answerRcpt(map[string]string{"archive": "550 5.7.1 go away"}) })
		if err := w.relay.Queue(context.Background(), env); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Hour)
		w.want("given up", w.queued(), "")
		w.wantInt("failed", len(w.failed), 1)
	})
}
