package relay

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/disk/powercut"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// history is what a recorded run promised and did, each with the step of the disk behind which it counts.
type history struct {
	disk *powercut.Disk

	mu      sync.Mutex
	acked   map[line]int // the client was told that we have it
	handed  map[line]int // the backend, or who takes undeliverable mail, has it
	settled map[line]int // long after that: it must not be sent again
	content map[string][]byte
}

func (h *history) note(m map[line]int, id, rcpt string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := m[line{id, rcpt}]; !ok {
		m[line{id, rcpt}] = h.disk.Len()
	}
}

// TestPowerCut runs mail through the spool in all its ways, cuts the power behind every step of the disk, and starts again on
// whatever may be left.
func TestPowerCut(t *testing.T) {
	h := recordRun(t)
	n := h.disk.Len()
	if len(h.acked) < 15 || len(h.settled) < 10 {
		t.Fatalf("%d acknowledged, %d settled", len(h.acked), len(h.settled))
	}
	cuts := 0
	dir := memory(t)
	check := func(d *powercut.Disk, quiet bool) (failures int) {
		for k := 0; k <= n; k++ {
			var seen []map[string][]byte
			for fate := powercut.Lost; fate <= powercut.Shuffled; fate++ {
				seeds := uint64(1)
				if fate == powercut.Shuffled {
					seeds = 4
				}
				for seed := range seeds {
					cuts++
					files := d.Cut(k, fate, seed)
					if slices.ContainsFunc(seen, func(m map[string][]byte) bool { return maps.EqualFunc(m, files, bytes.Equal) }) {
						continue
					}
					seen = append(seen, files)
					if err := h.restart(dir, k, files); err != nil {
						failures++
						if !quiet && failures < 10 {
							t.Errorf("cut behind step %d of %d, fate %d, seed %d: %v", k, n, fate, seed, err)
						}
						if quiet {
							return failures
						}
					}
				}
			}
		}
		return failures
	}
	check(h.disk, false)
	t.Logf("%d steps of the disk, %d cuts, %d acknowledged", n, cuts, len(h.acked))
	// The test must notice each sync that is left out.
	for what, pick := range map[string]func(name string, isDir bool) bool{
		"the directory of the queue": func(name string, isDir bool) bool { return isDir && name == "spool/queue" },
		"a mail's octets":            func(name string, _ bool) bool { return strings.HasSuffix(name, ".eml") },
		"an envelope":                func(name string, isDir bool) bool { return !isDir && strings.HasSuffix(name, ".json") },
		"the ledger's lines":         func(name string, isDir bool) bool { return !isDir && strings.Contains(name, "ledger/") },
	} {
		if check(h.disk.Without(pick), true) == 0 {
			t.Errorf("nothing is noticed without the sync of %s", what)
		}
	}
}

// memory is a directory in memory where there is one: what is opened there is never synced.
func memory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "sekimori-cut")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// recordRun is the run: a backend that is away, answers late, refuses some, drops the connection and comes back.
func recordRun(t *testing.T) *history {
	dir := t.TempDir()
	h := &history{acked: map[line]int{}, handed: map[line]int{}, settled: map[line]int{}, content: map[string][]byte{}}
	h.disk = powercut.New(dir)
	synctest.Test(t, func(t *testing.T) {
		b := &scripted{h: h}
		s := &fakeServer{on: b.answer}
		w := &world{t: t, cfg: &config.Config{Hostname: "mx.test"}}
		w.cfg.Domains = []config.Domain{{Names: []string{"example.jp"}, Backends: []config.Backend{
			{URL: "smtp://192.0.2.1:25", Weight: 1, MaxConnections: 1, TLS: config.BackendTLS{Mode: "none"}},
		}}}
		var err error
		if w.spool, err = spool.Open(filepath.Join(dir, "spool"), spool.Options{FS: h.disk}); err != nil {
			t.Fatal(err)
		}
		if w.ledger, err = ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{FS: h.disk, SegmentSize: 2500}); err != nil {
			t.Fatal(err)
		}
		w.relay, err = New(Options{
			Config: w.cfg, Spool: w.spool, Ledger: w.ledger, Log: slog.New(slog.DiscardHandler), Rand: func() float64 { return 0.5 },
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.relay.OnFailed = func(_ context.Context, f Failure) (Fate, error) {
			for _, r := range f.Rcpts {
				h.note(h.handed, f.Entry.From.Local, r.Addr.Key())
			}
			return Fate{State: ledger.Moved, Detail: "a hold of the test"}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.relay.Run(ctx); close(done) }()
		synctest.Wait()
		h.play(w, b)
		cancel()
		<-done
		ended, stop := context.WithCancel(context.Background())
		stop()
		w.relay.Close(ended)
		w.balance()
		w.spool.Close()
		w.ledger.Close()
		time.Sleep(2 * time.Hour)
	})
	return h
}

// scripted is a backend with one connection.
type scripted struct {
	h     *history
	mu    sync.Mutex
	mode  string
	from  string
	rcpts []string
}

func (b *scripted) set(mode string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mode = mode
}

func (b *scripted) answer(verb, line string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	address := func() string { return line[strings.IndexByte(line, '<')+1 : strings.IndexByte(line, '>')] }
	switch {
	case verb == "MAIL":
		b.from, b.rcpts = strings.TrimSuffix(address(), "@sender.test"), nil
	case verb == "RCPT" && b.mode == "some" && strings.HasPrefix(address(), "later"):
		return "450 4.2.1 later"
	case verb == "RCPT" && (b.mode == "some" || b.mode == "never") && strings.HasPrefix(address(), "never"):
		return "550 5.1.1 never"
	case verb == "RCPT":
		b.rcpts = append(b.rcpts, strings.ToLower(address()))
	case verb == "." && b.mode == "busy":
		return "451 4.3.0 busy"
	case verb == "." && b.mode == "late":
		for _, r := range b.rcpts {
			b.h.note(b.h.handed, b.from, r)
		}
		return "!wait 40s 250 2.0.0 ok"
	case verb == ".":
		for _, r := range b.rcpts {
			b.h.note(b.h.handed, b.from, r)
		}
	}
	return ""
}

func (h *history) play(w *world, b *scripted) {
	n := 0
	send := func(mode string, rcpts ...string) {
		b.set(mode)
		n++
		id := fmt.Sprint("m", n)
		env := envelope(id, rcpts...)
		env.From.Local = id
		body := []byte("Subject: " + id + "\r\n\r\n" + strings.Repeat(id+" body\r\n", 5))
		env.Content = mail.Content{body[:20], body[20:]}
		h.content[id] = body
		answers, err := w.relay.Deliver(context.Background(), env)
		if err != nil {
			w.t.Errorf("%s: %v", mode, err)
			return
		}
		for _, a := range answers {
			if a.State == Queued {
				h.note(h.acked, id, a.Rcpt.Key())
			}
		}
	}
	rest := func(d time.Duration) {
		time.Sleep(d)
		synctest.Wait()
		if d < time.Hour {
			return
		}
		for l := range h.handed {
			h.note(h.settled, l.id, l.rcpt)
		}
	}
	for range 2 {
		send("", "a@example.jp")
		send("busy", "a@example.jp", "b@example.jp")
		send("some", "a@example.jp", "later@example.jp", "never@example.jp")
		send("late", "a@example.jp", "b@example.jp")
		rest(20 * time.Second)
		send("busy", "never@example.jp", "later@example.jp")
		send("busy", "a@example.jp")
		rest(10 * time.Minute)
		b.set("never")
		rest(time.Hour)
	}
	send("busy", "a@example.jp", "b@example.jp")
	send("busy", "a@example.jp")
}

// restart starts on what a cut leaves and says what is wrong.
func (h *history) restart(dir string, k int, files map[string][]byte) error {
	dir, err := os.MkdirTemp(dir, "cut")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, b := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			return err
		}
	}
	sp, err := spool.Open(filepath.Join(dir, "spool"), spool.Options{FS: powercut.NoSync{}})
	if err != nil {
		return err
	}
	defer sp.Close()
	led, err := ledger.Open(filepath.Join(dir, "ledger"), ledger.Options{FS: powercut.NoSync{}})
	if err != nil {
		return err
	}
	defer led.Close()
	r := &Relay{Counters: &Counters{}, o: Options{Spool: sp, Ledger: led, Now: time.Now, Log: slog.New(slog.DiscardHandler)}}
	list, err := sp.List(spool.KindQueue)
	if err != nil {
		return err
	}
	if list, err = r.adopt(list); err != nil {
		return err
	}
	return h.compare(k, sp, led, list)
}

// compare is what must hold after a restart.
func (h *history) compare(k int, sp *spool.Spool, led *ledger.Ledger, list []spool.Entry) error {
	waits := map[line]bool{}
	for i := range list {
		e := &list[i]
		for _, c := range e.Rcpts {
			if !c.Done {
				waits[line{e.ID, c.Addr.Key()}] = true
			}
		}
		c, release, err := sp.Content(e.ID)
		if err != nil {
			return fmt.Errorf("%s waits without its octets: %w", e.ID, err)
		}
		whole := bytes.Equal(c.Bytes(), h.content[e.ID])
		release()
		if !whole {
			return fmt.Errorf("%s waits with other octets", e.ID)
		}
	}
	for l, at := range h.acked {
		if handed, ok := h.handed[l]; at <= k && (!ok || handed > k) && !waits[l] {
			return fmt.Errorf("%s for %s was acknowledged at step %d and is lost", l.id, l.rcpt, at)
		}
	}
	for l, at := range h.settled {
		if at <= k && waits[l] {
			return fmt.Errorf("%s for %s was handed over long before (step %d) and would be sent again", l.id, l.rcpt, at)
		}
	}
	s, err := led.Snapshot()
	if err != nil {
		return err
	}
	open := 0
	for _, i := range s.Open {
		for _, rcpt := range i.Rcpts {
			if open++; !waits[line{i.ID, rcpt}] {
				return fmt.Errorf("%s for %s is open in the ledger and does not wait", i.ID, rcpt)
			}
		}
	}
	if open != len(waits) {
		return fmt.Errorf("%d wait, %d are open in the ledger", len(waits), open)
	}
	return nil
}
