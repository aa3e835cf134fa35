package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/disk"
	"sekimori/internal/dns"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// world is a relay with its backends inside a synctest bubble.
type world struct {
	t       *testing.T
	relay   *Relay
	spool   *spool.Spool
	ledger  *ledger.Ledger
	cfg     *config.Config
	servers map[string]*fakeServer // by host:port
	free    int64
	names   dns.Resolver
	log     logged
	stop    func()
	disk    disk.FS // of the spool and the ledger; nil: the real one

	onFailed  func(Failure) (Fate, error) // nil: a hold
	onDelayed func(Failure) *Envelope

	mu     sync.Mutex
	failed []Failure
	warned map[string]string // standing warnings by cause
}

// run makes the world of the given backends (s1.test:25 and so on, of the domain example.jp) and runs test in it.
func run(t *testing.T, servers []*fakeServer, test func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, servers: map[string]*fakeServer{}, free: 1 << 40}
		w.cfg = &config.Config{Hostname: "mx.test"}
		d := config.Domain{Names: []string{"example.jp"}}
		for i, s := range servers {
			ip := fmt.Sprintf("192.0.2.%d", i+1)
			scheme := "smtp"
			if s.lmtp {
				scheme = "lmtp"
			}
			d.Backends = append(d.Backends, config.Backend{URL: scheme + "://" + ip + ":25", Priority: i, Weight: 1, TLS: config.BackendTLS{Mode: "none"}})
			w.servers[ip+":25"] = s
		}
		w.cfg.Domains = []config.Domain{d}
		w.start(dir)
		test(w)
		w.end()
	})
}

func (w *world) start(dir string) {
	w.t.Helper()
	var err error
	w.spool, err = spool.Open(dir, spool.Options{DiskReserve: 1000, FS: w.disk, FreeDisk: func(string) (int64, error) { return w.free, nil }})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.ledger != nil { // of a run that was ended, or died
		w.ledger.Close()
	}
	w.ledger, err = ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{FS: w.disk})
	if err != nil {
		w.t.Fatal(err)
	}
	w.relay, err = New(Options{
		Config: w.cfg, Spool: w.spool, Ledger: w.ledger, Log: slog.New(slog.NewTextHandler(io.MultiWriter(w.t.Output(), &w.log), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Resolver: w.names, Warn: w.warn,
		Rand: func() float64 { return 0.5 },
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			if s := w.servers[addr]; s != nil {
				return s.dial(ctx)
			}
			return nil, errors.New("no route to " + addr)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.relay.OnFailed = func(_ context.Context, f Failure) (Fate, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failed = append(w.failed, f)
		if w.onFailed != nil {
			return w.onFailed(f)
		}
		return Fate{State: ledger.Moved, Detail: "a hold of the test"}, nil
	}
	if w.onDelayed != nil {
		w.relay.OnDelayed = func(_ context.Context, f Failure) *Envelope { return w.onDelayed(f) }
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.relay.Run(ctx); close(done) }()
	w.stop = func() { cancel(); <-done }
	synctest.Wait()
}

func (w *world) warn(cause, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.warned == nil {
		w.warned = map[string]string{}
	}
	w.warned[cause] = message
}

func (w *world) warning(cause string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.warned[cause]
}

// logged is what the relay has logged.
type logged struct {
	mu  sync.Mutex
	buf strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// restart makes the relay anew with another description of the first backend.
func (w *world) restart(change func(b *config.Backend)) {
	w.t.Helper()
	dir := w.spool.Dir()
	w.finish()
	synctest.Wait()
	for _, s := range w.servers {
		s.set(func() { s.log, s.headers, s.conns = nil, nil, 0 })
	}
	change(&w.cfg.Domains[0].Backends[0])
	w.start(dir)
}

// end closes everything, at once.
func (w *world) end() {
	w.finish()
	time.Sleep(2 * time.Hour) // lets the scripted servers end
}

func (w *world) finish() {
	w.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.relay.Close(ctx)
	w.balance()
	w.spool.Close()
	w.ledger.Close()
	w.ledger = nil
}

// balance compares the ledger with the spool: what is open in one waits in the other.
func (w *world) balance() {
	w.t.Helper()
	list, err := w.spool.List(spool.KindQueue)
	if err != nil {
		w.t.Error(err)
	}
	var waits, open []string
	for _, e := range list {
		for _, c := range e.Rcpts {
			if !c.Done {
				waits = append(waits, e.ID+" "+ledger.Key(c.Addr))
			}
		}
	}
	s, err := w.ledger.Reader.Snapshot()
	if err != nil || len(s.Problems) > 0 {
		w.t.Error(s.Problems, err)
	}
	for _, i := range s.Open {
		for _, r := range i.Rcpts {
			open = append(open, i.ID+" "+r)
		}
	}
	slices.Sort(waits)
	slices.Sort(open)
	if !slices.Equal(waits, open) {
		w.t.Errorf("in the spool: %v; open in the ledger: %v", waits, open)
	}
}

const octets = "From: a@b\r\nSubject: \x93\xfa\x96{\r\n\r\n.dot\r\n..\r\nline\r\n.\r\nend\r\n"

func envelope(id string, rcpts ...string) Envelope {
	env := Envelope{ID: id, From: mail.Address{Local: "a", Domain: "sender.test"}, Content: mail.Content{[]byte(octets[:11]), []byte(octets[11:])}, EightBit: true}
	for _, r := range rcpts {
		var a mail.Address
		a.UnmarshalText([]byte(r))
		env.Rcpts = append(env.Rcpts, a)
	}
	return env
}

// deliver delivers and returns the states as one string.
func (w *world) deliver(id string, rcpts ...string) string {
	w.t.Helper()
	answers, err := w.relay.Deliver(context.Background(), envelope(id, rcpts...))
	if err != nil {
		return "error: " + err.Error()
	}
	var states []string
	for i, a := range answers {
		if a.Rcpt.String() != rcpts[i] {
			w.t.Errorf("answer %d is for %s", i, a.Rcpt)
		}
		s := a.State
		if a.State == Refused {
			s += " " + a.Reply.String()
		}
		states = append(states, s)
	}
	return strings.Join(states, ", ")
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (w *world) wantInt(what string, got, want int) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

// queued returns the spool's entries as "id state rcpt=status …".
func (w *world) queued() string {
	list, err := w.spool.List(spool.KindQueue)
	if err != nil {
		w.t.Error(err)
	}
	var lines []string
	for _, e := range list {
		l := e.ID + " " + e.State
		for _, c := range e.Rcpts {
			l += " " + c.Addr.Local + "=" + c.Status
		}
		lines = append(lines, l)
	}
	return strings.Join(lines, "; ")
}
