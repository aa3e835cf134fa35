package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
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

const largeMail = 1 << 20 // more than the sockets of a scripted server hold

var (
	faultSteps = []string{"banner", "EHLO", "STARTTLS", "TLS", "AUTH", "XCLIENT", "MAIL", "RCPT", "DATA", "chunk", "body", "dot", "last chunk"}
	faultKinds = []string{"stall", "close", "garbage", "long", "half", "extra", "4xx", "5xx", "421"}
)

// mishap is one row of the table: what goes wrong, and at which step.
type mishap struct {
	step, what string
	pipelined  bool
}

func (f mishap) refusal() bool { return f.what == "4xx" || f.what == "5xx" }
func (f mishap) end() bool     { return f.step == "dot" || f.step == "last chunk" }

// goesOn: after these the connection is as it was, and is used again. After all others it is closed.
func (f mishap) goesOn() bool {
	return f.refusal() && (f.step == "RCPT" || f.step == "STARTTLS" || f.end())
}

// state is what the client is told.
func (f mishap) state() string {
	data := f.step == "RCPT" || f.step == "body" || f.step == "chunk" || f.end()
	switch {
	case f.what == "5xx" && data:
		return Refused
	case f.step == "STARTTLS" && f.refusal(): // in clear text, on the same connection
		return Delivered
	case f.step == "TLS" && f.what != "stall" && f.what != "extra": // in clear text, on another one
		return Delivered
	case f.end() && f.what == "extra":
		return Delivered
	}
	return Queued
}

// duplicates is how often the mail may have been sent twice: the backend got all of it and gave no answer that can be understood.
func (f mishap) duplicates() int {
	if f.end() && f.what != "extra" && f.what != "421" && !f.refusal() {
		return 1
	}
	return 0
}

// mails is how many the scripted server has in the end.
func (f mishap) mails() int {
	if f.state() == Refused {
		return 0
	}
	return 1 + f.duplicates()
}

// mayFollow reports whether after may have come behind the fault: nothing, what was said in the same breath as the command before
// it, and the part of a large mail that was on its way.
func (f mishap) mayFollow(after string, before int) bool {
	switch {
	case f.step == "TLS" && f.what == "extra":
		// Whether EHLO is said before it is seen is chance. No mail comes of it.
		return !strings.Contains(after, "QUIT") && !strings.Contains(after, "Subject")
	case f.step == "TLS": // an alert
		return after == "" || after[0] == 0x15 && len(after) < 64
	case f.step == "body":
		return !strings.Contains(after, "\r\n.\r\n") && !strings.Contains(after, "QUIT") && !strings.Contains(after, "RSET")
	case f.step == "chunk":
		return before+len(after) < largeMail && strings.Trim(after, "0123456789\r\n") == ""
	case f.pipelined && f.step == "MAIL":
		return after == "RCPT TO:<x@example.jp>\r\nDATA\r\n"
	case f.pipelined && f.step == "RCPT":
		return after == "DATA\r\n"
	}
	return after == ""
}

// faultWorld is a relay in front of a scripted server.
type faultWorld struct {
	world
	s   *mischief
	row mishap
	dir string
}

func newFaultWorld(t *testing.T, row mishap, conf *tls.Config) *faultWorld {
	w := &faultWorld{world: world{t: t}, row: row, s: &mischief{row: row, tls: conf, ended: make(chan struct{})}, dir: t.TempDir()}
	b := config.Backend{URL: "smtp://192.0.2.1:25", Weight: 1, TLS: config.BackendTLS{Mode: "none"}, Chunking: true}
	switch row.step {
	case "STARTTLS", "TLS":
		w.s.offers = append(w.s.offers, "STARTTLS")
		b.TLS.Mode = "opportunistic"
	case "AUTH":
		w.s.offers = append(w.s.offers, "AUTH PLAIN")
		loginOf(&b)
	case "XCLIENT":
		w.s.offers = append(w.s.offers, "XCLIENT NAME ADDR")
		b.Client = "xclient"
	case "chunk", "last chunk":
		w.s.offers = append(w.s.offers, "CHUNKING")
	}
	if row.pipelined {
		w.s.offers = append(w.s.offers, "PIPELINING")
	}
	w.cfg = &config.Config{Hostname: "mx.test", Domains: []config.Domain{{Names: []string{"example.jp"}, Backends: []config.Backend{b}}}}
	return w
}

// begin opens spool, ledger and relay; the queue is not worked on until Run.
func (w *faultWorld) begin() {
	var err error
	if w.spool, err = spool.Open(w.dir, spool.Options{}); err != nil {
		w.t.Fatal(err)
	}
	if w.ledger, err = ledger.Open(filepath.Join(w.dir, "ledger"), ledger.Options{}); err != nil {
		w.t.Fatal(err)
	}
	w.relay, err = New(Options{
		Config: w.cfg, Spool: w.spool, Ledger: w.ledger, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Warn: func(string, string) {}, Rand: func() float64 { return 0.5 }, Dial: w.s.dial,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *faultWorld) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.relay.Close(ctx)
	w.balance()
	_ = w.spool.Close()
	_ = w.ledger.Close()
}

func (w *faultWorld) deliver(id string) string {
	env := envelope(id, "x@example.jp")
	if w.row.step == "body" || w.row.step == "chunk" {
		env.Content = mail.Content{bytes.Repeat([]byte("01234567890123\r\n"), largeMail/16)}
	}
	env.Client = clientA
	answers, err := w.relay.Deliver(context.Background(), env)
	if err != nil {
		return "error: " + err.Error()
	}
	return answers[0].State
}

// check plays the row. wait waits for what it is given to become true.
func (w *faultWorld) check(wait func(what string, ok func() bool)) {
	f, s := w.row, w.s
	name := f.step + ", " + f.what
	if f.pipelined {
		name += ", pipelined"
	}
	w.begin()
	w.want(name+": the client is told", w.deliver("a"), f.state())
	resent := 0
	if f.goesOn() {
		s.set(func() { resent = s.mails })
		w.want(name+": the next mail", w.deliver("b"), Delivered)
		s.set(func() {
			w.wantInt(name+": connections", s.conns, 1)
			s.mails = resent
		})
	} else {
		wait(name+": the connection is closed", func() bool {
			select {
			case <-s.ended:
				return true
			default:
				return false
			}
		})
		s.set(func() {
			if !f.mayFollow(s.after, s.before) {
				w.t.Errorf("%s: %d octets were said behind the fault: %.100q", name, len(s.after), s.after)
			}
		})
	}
	wait(name+": the late answer has had its time", func() bool { _, flying := w.relay.QueueLen(); return flying == 0 })
	duplicates := w.relay.Counters.Duplicates.Load()
	waits := 0
	if f.state() == Queued {
		waits = 1
	}
	all, _ := w.relay.QueueLen()
	w.wantInt(name+": in the queue", all, waits)
	w.close()
	w.begin()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.relay.Run(ctx); close(done) }()
	wait(name+": the queue is empty", func() bool { all, _ := w.relay.QueueLen(); return all == 0 })
	stop()
	<-done
	w.wantInt(name+": possible duplicates", int(duplicates+w.relay.Counters.Duplicates.Load()), f.duplicates())
	w.close()
	s.set(func() { w.wantInt(name+": mails", s.mails, f.mails()) })
}

func (s *mischief) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func faultTable() []mishap {
	var rows []mishap
	for _, step := range faultSteps {
		for _, what := range faultKinds {
			rows = append(rows, mishap{step: step, what: what})
			if step == "MAIL" || step == "RCPT" || step == "DATA" {
				rows = append(rows, mishap{step: step, what: what, pipelined: true})
			}
		}
	}
	return rows
}

// TestEveryFaultAtEveryStep: whatever a backend does at whatever step, the mail is not lost; it may arrive twice only when the answer to
// its end is missing, which is counted; and a connection on which anything went wrong is closed without another word. Refusals of a
// recipient, of the mail and of STARTTLS leave it in use.
func TestEveryFaultAtEveryStep(t *testing.T) {
	cert, _ := certificate(t)
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	rows := faultTable()
	if len(rows) != len(faultKinds)*(len(faultSteps)+3) {
		t.Fatal(len(rows))
	}
	stalls := slices.Collect(func(yield func(mishap) bool) {
		for _, f := range rows {
			if f.what == "stall" && !yield(f) {
				return
			}
		}
	})
	for _, f := range stalls {
		synctest.Test(t, func(t *testing.T) {
			w := newFaultWorld(t, f, conf)
			w.check(func(what string, ok func() bool) {
				time.Sleep(25 * time.Minute)
				if synctest.Wait(); !ok() {
					t.Errorf("%s: not so", what)
				}
			})
			time.Sleep(time.Hour) // lets the scripted servers end
		})
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, f := range rows {
		if f.what == "stall" {
			continue
		}
		w := newFaultWorld(t, f, conf)
		w.cfg.Relay.Budget = config.Duration(time.Minute) // nothing waits for it
		stop, err := w.s.listen()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { stop(); <-slots }()
			w.check(func(what string, ok func() bool) {
				for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Errorf("%s: not so", what)
						return
					}
				}
			})
		})
	}
	wg.Wait()
}
