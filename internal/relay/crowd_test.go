package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/dns"
)

// TestCrowdedBackend: Exchange says 421 4.3.2 above a number of connections that we do not know. The pool becomes smaller, mail
// waits for a connection rather than going to the spool, and the pool grows back slowly.
func TestCrowdedBackend(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, most: 3, on: func(verb, _ string) string {
		if verb == "." {
			return "!wait 500ms 250 ok"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		done := make(chan string)
		for _, id := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x") {
			go func() { done <- w.deliver(id, "x@example.jp") }()
		}
		states := map[string]int{}
		for range 24 {
			states[<-done]++
		}
		if states["delivered"] != 24 {
			t.Error(states)
		}
		w.wantInt("at a time", s.peak, 3)
		st := w.relay.Backends()[0]
		if !st.Up || st.Limit > 3 {
			t.Errorf("%+v", st)
		}
		w.wantInt("counted", int(w.relay.Counters.Shrunk.Load()), 1)
		w.wantInt("said", strings.Count(w.log.String(), "takes fewer connections than max_connections"), 1)
		w.want("queue", w.queued(), "")
		cause := "backend smtp://192.0.2.1:25 connections"
		if w.warning(cause) == "" {
			t.Error("the administrator is not told")
		}
		s.set(func() { s.most = 0 })
		time.Sleep(3*time.Minute + 2*time.Second)
		w.wantInt("one a minute", w.relay.Backends()[0].Limit, st.Limit+3)
		time.Sleep(15 * time.Minute)
		w.wantInt("all again", w.relay.Backends()[0].Limit, 15)
		w.want("warning", w.warning(cause), "")
	})
}

// TestShrinkOnce: connections that were under way together count once, and one connection always remains.
func TestShrinkOnce(t *testing.T) {
	p := newPool(15)
	era := p.era.Load()
	for i, want := range []int{7, 7, 7} {
		if p.shrink(era); p.size() != want {
			t.Errorf("%d: %d", i, p.size())
		}
	}
	for _, want := range []int{3, 1, 1, 1} {
		if p.shrink(p.era.Load()); p.size() != want {
			t.Errorf("got %d, want %d", p.size(), want)
		}
	}
}

// TestCrowdedAtMail is a server that says it at MAIL.
func TestCrowdedAtMail(t *testing.T) {
	n := 0
	s := &fakeServer{ehlo: pipelining}
	s.on = func(verb, _ string) string {
		if verb == "MAIL" {
			if n++; n == 1 {
				return "421 4.3.2 too many"
			}
		}
		return ""
	}
	run(t, []*fakeServer{s}, func(w *world) {
		time.Sleep(time.Minute) // no idle connection stands
		w.want("alone", w.deliver("m", "x@example.jp"), "queued")
		w.wantInt("limit", w.relay.Backends()[0].Limit, 7)
		w.wantInt("QUIT", s.said("QUIT"), 1) // of the idle one
		time.Sleep(10 * time.Minute)
		w.want("queue", w.queued(), "")
		w.wantInt("mails", len(s.got()), 1)
	})
}

// TestOldConnection: a connection is not used for ever.
func TestOldConnection(t *testing.T) {
	s := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		for range 40 {
			w.want("state", w.deliver("m", "x@example.jp"), "delivered")
			time.Sleep(10 * time.Second)
		}
		w.wantInt("connections in 400 s", s.conns, 2)
		w.wantInt("QUIT", s.said("QUIT"), 1)
	})
}

// nameServer answers for mail1.test as it is told.
type nameServer struct {
	dns.Resolver
	mu    sync.Mutex
	addrs []netip.Addr
	err   error
	hang  bool
}

func (n *nameServer) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	hang := n.hang
	n.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if host != "mail1.test" {
		return nil, errors.New("asked for " + host)
	}
	return n.addrs, n.err
}

func (n *nameServer) answer(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs, n.err, n.hang = nil, nil, false
	for _, a := range addrs {
		n.addrs = append(n.addrs, netip.MustParseAddr(a))
	}
}

// TestNameThatDoesNotResolve: whatever the resolver says, the mail is queued, and delivered once there is an address.
func TestNameThatDoesNotResolve(t *testing.T) {
	for name, n := range map[string]*nameServer{
		"NXDOMAIN":   {err: &net.DNSError{Err: "no such host", Name: "mail1.test", IsNotFound: true}},
		"SERVFAIL":   {err: &net.DNSError{Err: "server misbehaving", Name: "mail1.test", IsTemporary: true}},
		"no address": {},
		"no answer":  {hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, moved := &fakeServer{ehlo: pipelining}, &fakeServer{ehlo: pipelining}
			run(t, []*fakeServer{s}, func(w *world) {
				w.names = n
				w.servers["192.0.2.9:25"] = moved
				w.restart(func(b *config.Backend) { b.URL = "smtp://mail1.test:25" })
				start := time.Now()
				w.want("state", w.deliver("m", "x@example.jp"), "queued")
				if d := time.Since(start); d > 15*time.Second {
					t.Errorf("took %v", d)
				}
				time.Sleep(time.Hour)
				w.want("queue", w.queued(), "m queued x=waiting")
				w.wantInt("failed", len(w.failed), 0)
				n.answer("192.0.2.1")
				time.Sleep(2 * time.Minute)
				w.want("queue", w.queued(), "")
				w.wantInt("mails", len(s.got()), 1)

				n.answer("192.0.2.9")
				time.Sleep(time.Minute)
				w.want("after the address has changed", w.deliver("n", "x@example.jp"), "delivered")
				w.wantInt("mails at the new one", len(moved.got()), 1)
				n.answer("192.0.2.77", "192.0.2.1")
				time.Sleep(time.Minute)
				w.want("the first address is dead", w.deliver("o", "x@example.jp"), "delivered")
				w.wantInt("mails", len(s.got()), 2)
			})
		})
	}
}

// TestDeferWhileDown: on_backend_down = "defer" takes no mail that cannot be handed over.
func TestDeferWhileDown(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, banner: "554 5.3.2 maintenance"}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(*config.Backend) { w.cfg.Domains[0].OnBackendDown = "defer" })
		to := envelope("m", "x@example.jp").Rcpts[0]
		for _, id := range []string{"a", "b", "c", "d"} {
			if _, err := w.relay.Deliver(context.Background(), envelope(id, "x@example.jp")); !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "maintenance") {
				t.Errorf("%s: %v", id, err)
			}
		}
		if !w.relay.Down(to) {
			t.Error("not down after a row of refusals")
		}
		w.want("queue", w.queued(), "")
		if err := w.relay.Queue(context.Background(), envelope("released", "x@example.jp")); err != nil {
			t.Error("what is ours already is kept:", err)
		}
		s.set(func() { s.banner = "" })
		time.Sleep(2 * time.Minute)
		if w.relay.Down(to) {
			t.Error("still down")
		}
		w.want("back", w.deliver("e", "x@example.jp"), "delivered")
		w.wantInt("mails", len(s.got()), 2)
		w.want("queue", w.queued(), "")
		s.set(func() { s.on = answerRcpt(map[string]string{"x": "450 4.2.0 later"}) })
		w.want("4xx about the mail is not down", w.deliver("f", "x@example.jp"), "queued")
	})
}
