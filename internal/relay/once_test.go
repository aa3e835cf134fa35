package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/disk"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

func (w *world) queueOnce(id string) {
	w.t.Helper()
	env := envelope(id, "x@example.jp")
	env.Once = true
	if err := w.relay.Queue(context.Background(), env); err != nil {
		w.t.Fatal(err)
	}
}

// uncertain is an OnFailed that knows what is sent at most once.
func uncertain(f Failure) (Fate, error) {
	if f.Rcpts[0].Unknown {
		return Fate{State: ledger.Uncertain, Detail: "of the test"}, nil
	}
	return Fate{State: ledger.Discarded, Detail: f.Rcpts[0].Reply.String()}, nil
}

// verbOnce gives one answer to the first command of a kind, and the usual ones afterwards.
func verbOnce(which, answer string) func(verb, line string) string {
	var later atomic.Bool
	return func(verb, _ string) string {
		if verb == which && !later.Swap(true) {
			return answer
		}
		return ""
	}
}

// TestOnceAnswers: whatever is certain is tried again as usual; what is not ends.
func TestOnceAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		server *fakeServer
		mails  int
		end    string
	}{
		{"taken", &fakeServer{ehlo: pipelining}, 1, "delivered"},
		{"taken in chunks", &fakeServer{ehlo: append([]string{"CHUNKING"}, pipelining...)}, 1, "delivered"},
		{"taken by LMTP", &fakeServer{lmtp: true}, 1, "delivered"},
		{"late", &fakeServer{ehlo: pipelining, on: dotOnce("!wait 9m 250 ok")}, 1, "delivered"},
		{"4xx to the dot", &fakeServer{ehlo: pipelining, on: dotOnce("451 4.3.0 later")}, 1, "delivered"},
		{"5xx to the dot", &fakeServer{ehlo: pipelining, on: dotOnce("550 5.7.1 no")}, 0, "discarded"},
		{"4xx to RCPT", &fakeServer{ehlo: pipelining, on: verbOnce("RCPT", "450 4.2.0 later")}, 1, "delivered"},
		{"5xx at MAIL", &fakeServer{ehlo: pipelining, on: verbOnce("MAIL", "550 5.0.0 no")}, 1, "delivered"},
		{"dropped at DATA", &fakeServer{ehlo: pipelining, on: verbOnce("DATA", "!drop")}, 1, "delivered"},
		{"dropped behind the dot", &fakeServer{ehlo: pipelining, on: dotOnce("!drop")}, 1, "uncertain"},
		{"silent behind the dot", &fakeServer{ehlo: pipelining, on: dotOnce("!hang")}, 0, "uncertain"},
		{"dropped by LMTP", &fakeServer{lmtp: true, on: dotOnce("!drop")}, 1, "uncertain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, []*fakeServer{c.server}, func(w *world) {
				w.onFailed = uncertain
				w.queueOnce("o")
				time.Sleep(3 * time.Hour)
				w.wantInt("mails", len(c.server.got()), c.mails)
				w.want("its life", w.lines(), "accept o x queue; end o x "+c.end)
				w.want("queue", w.queued(), "")
				w.wantInt("possible duplicates", int(w.relay.Counters.Duplicates.Load()), 0)
			})
		})
	}
}

// TestOnceFailsOver: one backend that says no before the end does not keep the next from being asked.
func TestOnceFailsOver(t *testing.T) {
	first := &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
		return map[string]string{"MAIL": "451 4.3.2 not now"}[verb]
	}}
	second := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{first, second}, func(w *world) {
		w.queueOnce("o")
		time.Sleep(time.Minute)
		w.wantInt("mails", len(second.got()), 1)
		w.want("its life", w.lines(), "accept o x queue; end o x delivered")
	})
}

// TestOnceDies: the process ends between the final dot and the record. What the next start finds is in flight, and is not sent.
func TestOnceDies(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: dotOnce("!hang")}
	left := filepath.Join(t.TempDir(), "left")
	run(t, []*fakeServer{s}, func(w *world) {
		w.onFailed = uncertain
		w.queueOnce("o")
		time.Sleep(time.Second)
		w.want("in flight before the answer", w.queued(), "o inflight x=inflight")
		if err := os.CopyFS(left, os.DirFS(w.spool.Dir())); err != nil { // as a crash would leave it
			t.Fatal(err)
		}
		w.abandon()
		s.set(func() { s.on = nil })
		asked := s.said("MAIL")
		w.start(left)
		time.Sleep(2 * time.Hour)
		w.wantInt("tried again", s.said("MAIL")-asked, 0)
		w.want("its life", w.lines(), "accept o x queue; end o x uncertain")
		w.want("queue", w.queued(), "")
	})
}

// abandon ends the relay; what it leaves is not looked at.
func (w *world) abandon() {
	w.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.relay.Close(ctx)
	w.spool.Close()
	w.ledger.Close()
	w.ledger = nil
}

// TestOnceUnreported: what becomes of it is asked again until it is known, over a restart as well.
func TestOnceUnreported(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: dotOnce("!drop")}
	run(t, []*fakeServer{s}, func(w *world) {
		w.onFailed = func(Failure) (Fate, error) { return Fate{}, errors.New("the store does not answer") }
		w.queueOnce("o")
		time.Sleep(2 * time.Second)
		w.want("waits to be reported", w.queued(), "o queued x=failed")
		w.restart(func(*config.Backend) {})
		w.wantInt("sent", len(s.got()), 1)
		w.mu.Lock()
		w.onFailed = uncertain
		w.mu.Unlock()
		time.Sleep(2 * time.Hour)
		w.want("its life", w.lines(), "accept o x queue; end o x uncertain")
		if f := w.failed[len(w.failed)-1].Rcpts[0]; !f.Unknown || !f.Own || !strings.Contains(f.Reply.String(), "sent at most once") {
			t.Errorf("%+v", f)
		}
	})
}

// noEnvelopes is a disk that refuses new envelopes while it is told to.
type noEnvelopes struct {
	disk.OS
	full atomic.Bool
}

func (d *noEnvelopes) Rename(from, to string) error {
	if d.full.Load() && strings.HasSuffix(to, ".json") {
		return errors.New("no room")
	}
	return d.OS.Rename(from, to)
}

// TestOnceUnwritable: what cannot be noted as in flight is not sent; and a refusal that cannot be written down is not forgotten.
func TestOnceUnwritable(t *testing.T) {
	s, d := &fakeServer{ehlo: pipelining}, &noEnvelopes{}
	run(t, []*fakeServer{s}, func(w *world) {
		w.disk = d
		w.restart(func(*config.Backend) {})
		s.set(func() {
			s.on = func(verb, _ string) string { d.full.Store(d.full.Load() || verb == "DATA"); return "" }
		})
		w.queueOnce("o")
		time.Sleep(30 * time.Minute)
		w.wantInt("sent", len(s.got()), 0)
		if s.said("DATA") < 2 {
			t.Error("not tried again")
		}
		s.set(func() { s.on = nil })
		d.full.Store(false)
		time.Sleep(2 * time.Hour)
		w.wantInt("sent", len(s.got()), 1)
		w.want("its life", w.lines(), "accept o x queue; end o x delivered")

		var said atomic.Bool
		s.set(func() {
			s.on = func(verb, _ string) string {
				if verb == "." && !said.Swap(true) {
					d.full.Store(true)
					return "451 4.3.0 later"
				}
				return ""
			}
		})
		w.queueOnce("p")
		time.Sleep(30 * time.Second)
		d.full.Store(false)
		time.Sleep(2 * time.Hour)
		w.wantInt("sent", len(s.got()), 2)
		w.want("its life", w.lines(), "accept o x queue; end o x delivered; accept p x queue; end p x delivered")
	})
}

// TestOnceCarried: one in flight that goes to another node is not sent there; one that was never tried is.
func TestOnceCarried(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: dotOnce("!hang")}
	other := t.TempDir()
	run(t, []*fakeServer{s}, func(w *world) {
		w.onFailed = uncertain
		w.queueOnce("flown")
		time.Sleep(time.Second)
		s.set(func() { s.refuse = errors.New("down") })
		w.queueOnce("waiting")
		time.Sleep(time.Second)
		entries, err := w.spool.List(spool.KindQueue)
		if err != nil {
			t.Fatal(err)
		}
		var tar bytes.Buffer
		if _, err := Export(&tar, &w.spool.Reader, entries); err != nil {
			t.Fatal(err)
		}
		w.abandon()
		s.set(func() { s.on, s.refuse = nil, nil })
		w.start(other)
		k := Keeper{w.spool, w.ledger}
		err = Import(&tar, func(e spool.Entry, c mail.Content) error {
			if !e.Once {
				t.Errorf("%s has lost that it is sent at most once", e.ID)
			}
			return k.Bring(e, c, "imported")
		})
		if err != nil {
			t.Fatal(err)
		}
		w.restart(func(*config.Backend) {})
		time.Sleep(2 * time.Hour)
		w.wantInt("sent", len(s.got()), 1)
		w.want("their lives", w.lines(), "accept flown x queue; accept waiting x queue; end flown x uncertain; end waiting x delivered")
	})
}

// TestOnceMaildir: into a Maildir as well.
func TestOnceMaildir(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	files := func() int {
		names, _ := os.ReadDir(filepath.Join(box, "new"))
		return len(names)
	}
	run(t, []*fakeServer{{}}, func(w *world) {
		w.onFailed = uncertain
		w.restart(func(b *config.Backend) { b.URL = "maildir:" + box })
		w.queueOnce("o")
		time.Sleep(time.Minute)
		w.wantInt("files", files(), 1)
		w.want("its life", w.lines(), "accept o x queue; end o x delivered")
		m := newMaildir(target{url: "maildir:" + box, path: box}, "mx.test")
		res := m.send(context.Background(), &job{content: mail.Content{[]byte(octets)}, beforeEnd: func() error { return errors.New("a broken disk") }}, time.Time{}, time.Time{})
		if res.fault != aborted || res.blame {
			t.Errorf("%+v", res)
		}
		w.wantInt("files", files(), 1)
	})
}

// TestOnceForOne: it has one recipient, and goes by the queue.
func TestOnceForOne(t *testing.T) {
	run(t, []*fakeServer{{}}, func(w *world) {
		env := envelope("o", "x@example.jp", "y@example.jp")
		env.Once = true
		if _, err := w.relay.Deliver(context.Background(), env); err == nil {
			t.Error("taken for two")
		}
		env.Rcpts = env.Rcpts[:1]
		answers, err := w.relay.Deliver(context.Background(), env)
		w.want("answers", fmt.Sprint(answers, err), fmt.Sprint([]Answer{{Rcpt: env.Rcpts[0], State: Queued}}, nil))
		time.Sleep(time.Minute)
	})
}
