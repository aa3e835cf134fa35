package relay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
)

// domain is a configuration with one domain on the given backends.
func (w *world) domain(hosts ...string) *config.Config {
	c := *w.cfg
	d := config.Domain{Names: []string{"example.jp"}}
	for i, h := range hosts {
		d.Backends = append(d.Backends, config.Backend{URL: "smtp://" + h + ":25", Priority: i, Weight: 1, TLS: config.BackendTLS{Mode: "none"}})
	}
	c.Domains = []config.Domain{d}
	return &c
}

func (w *world) reconfigure(c *config.Config) {
	w.t.Helper()
	if err := w.relay.Reconfigure(c); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// TestReconfigureKeepsBackends: a backend that is described as before keeps its connection and its breaker, whatever else
// changes.
func TestReconfigureKeepsBackends(t *testing.T) {
	s := &fakeServer{ehlo: pipelining}
	dead := &fakeServer{refuse: os.ErrDeadlineExceeded}
	run(t, []*fakeServer{s, dead}, func(w *world) {
		w.want("first", w.deliver("a", "x@example.jp"), "delivered")
		before := w.relay.routes.Load()
		same := *w.cfg
		same.Policy.Mode = "observe"
		w.reconfigure(&same)
		if now := w.relay.routes.Load(); now.router != before.router || now.cfg != &same {
			t.Error("the ways are the same and the router is not")
		}
		next := w.domain("192.0.2.1", "192.0.2.2")
		next.Domains[0].Names = append(next.Domains[0].Names, "example.net")
		next.Domains[0].Backends[0].Weight = 7
		w.reconfigure(next)
		w.want("new domain", w.deliver("b", "x@example.net"), "delivered")
		w.wantInt("connections", s.conns, 1)
		for i, b := range w.relay.Backends() {
			if b.Up != (i == 0) {
				t.Errorf("%+v", b)
			}
		}
	})
}

// TestReconfigureDrains: what a backend has been given is brought to its end although it is configured no more, and
// what comes next goes the new way.
func TestReconfigureDrains(t *testing.T) {
	slow := &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
		if verb == "." {
			return "!wait 5s 250 ok"
		}
		return ""
	}}
	fast := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{slow, fast}, func(w *world) {
		w.reconfigure(w.domain("192.0.2.1"))
		done := make(chan string)
		go func() { done <- w.deliver("old", "x@example.jp") }()
		synctest.Wait()
		w.reconfigure(w.domain("192.0.2.2"))
		w.want("new", w.deliver("new", "x@example.jp"), "delivered")
		w.want("old", <-done, "delivered")
		w.wantInt("slow", len(slow.got()), 1)
		w.wantInt("fast", len(fast.got()), 1)
		time.Sleep(2 * time.Second)
		w.wantInt("leaving", len(w.relay.everyBackend()), 1)
		w.want("queue", w.queued(), "")
	})
}

// TestReconfigureMovesQueue: what waits for a backend that is configured no more goes to the new one at once, and its
// probing ends.
func TestReconfigureMovesQueue(t *testing.T) {
	dead := &fakeServer{refuse: os.ErrDeadlineExceeded}
	s := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{dead, s}, func(w *world) {
		w.reconfigure(w.domain("192.0.2.1"))
		w.want("waits", w.deliver("a", "x@example.jp", "y@example.jp"), "queued, queued")
		time.Sleep(10 * time.Minute)
		w.wantInt("mails", len(s.got()), 0)
		w.reconfigure(w.domain("192.0.2.2"))
		time.Sleep(2 * time.Second)
		w.wantInt("mails", len(s.got()), 1)
		w.want("queue", w.queued(), "")
		time.Sleep(2 * time.Minute)
		asked := dead.asked
		time.Sleep(time.Hour)
		w.wantInt("probes of what is gone", dead.asked, asked)
	})
}

// TestReconfigureFails: a file that does not load is named, and everything stays.
func TestReconfigureFails(t *testing.T) {
	s := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		missing := filepath.Join(t.TempDir(), "missing.pem")
		next := w.domain("192.0.2.9")
		next.Domains[0].Backends[0].TLS = config.BackendTLS{Mode: "required", CAFile: missing}
		if err := w.relay.Reconfigure(next); err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "192.0.2.9") {
			t.Errorf("%v", err)
		}
		w.want("goes on", w.deliver("a", "x@example.jp"), "delivered")
		w.wantInt("backends", len(w.relay.Backends()), 1)
	})
}

// TestMaking: the content of the files counts, not only their names.
func TestMaking(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	c := &config.Config{Hostname: "mx.test"}
	b := config.Backend{URL: "smtp://192.0.2.1:25", TLS: config.BackendTLS{CAFile: file}}
	made := func(text string, b config.Backend) making {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := makingOf(c, b)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	old := &smtpBackend{}
	routes := &routes{backends: []backend{old}, made: []making{made("one", b)}}
	other := b
	other.Priority, other.Weight = 3, 4
	if routes.find(made("one", other)) != old {
		t.Error("priority and weight belong to the domain")
	}
	if routes.find(made("two", b)) != nil {
		t.Error("another CA is another backend")
	}
	other.MaxConnections = 2
	if routes.find(made("one", other)) != nil {
		t.Error("another limit is another pool")
	}
}
