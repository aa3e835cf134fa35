package relay

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/disk"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
)

// choosy is a disk that does not take one thing while it fails: the end of m in the ledger, or the envelope of m.
type choosy struct {
	disk.OS
	noEnd, noEnvelope atomic.Bool
}

var errDisk = errors.New("no space")

func (d *choosy) Append(name string) (disk.File, error) {
	f, err := d.OS.Append(name)
	return choosyFile{f, d}, err
}

func (d *choosy) Create(name string) (disk.File, error) {
	if d.noEnvelope.Load() && strings.HasSuffix(name, "-m.json") {
		return nil, errDisk
	}
	f, err := d.OS.Create(name)
	return choosyFile{f, d}, err
}

type choosyFile struct {
	disk.File
	d *choosy
}

func (f choosyFile) Write(b []byte) (int, error) {
	if f.d.noEnd.Load() && bytes.Contains(b, []byte("\tend\tm\t")) {
		return 0, errDisk
	}
	return f.File.Write(b)
}

// reporting makes the world tell the sender of every failure, and counts.
func (w *world) reporting(calls *int, out *fakeServer, d *choosy) {
	w.onFailed = func(f Failure) (Fate, error) {
		*calls++
		n := notice(f.Entry.ID+".d1", f.Entry.From.String())
		return Fate{State: ledger.Bounced, Detail: n.ID, Notice: n}, nil
	}
	w.again(func() { w.out(out); w.disk = d })
}

// TestNoticeWithoutItsEnd: while the end cannot be written the notice waits; when runs die meanwhile it goes out once, and not again
// although it has left the queue long since.
func TestNoticeWithoutItsEnd(t *testing.T) {
	s, out := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "550 5.1.1 unknown"})}, &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		calls, d := 0, &choosy{}
		d.noEnd.Store(true)
		w.reporting(&calls, out, d)
		w.want("states", w.deliver("m", "x@example.jp", "y@example.jp"), "queued, delivered")
		time.Sleep(30 * time.Minute)
		w.wantInt("reported", calls, 1)
		w.wantInt("no notice before its end is written", len(out.got()), 0)
		for kill := range 3 {
			w.again(nil)
			time.Sleep(30 * time.Minute)
			w.wantInt("reported", calls, 2+kill)
			w.wantInt("notices", len(out.got()), 1)
			w.want("queue", w.queued(), "m queued x=failed y=delivered")
		}
		if !w.relay.known("m.d1") || w.relay.known("m.d2") {
			t.Error("what an earlier run made")
		}
		d.noEnd.Store(false)
		time.Sleep(6 * time.Hour)
		w.want("queue", w.queued(), "")
		w.again(nil)
		time.Sleep(time.Hour)
		w.wantInt("notices", len(out.got()), 1)
		w.wantInt("asked again", s.said("RCPT TO:<x@"), 1)
		if !strings.Contains(w.lines(), "end m x bounced") {
			t.Error(w.lines())
		}
	})
}

// TestNoticeHealed: without a crash the notice goes out when the end can be written.
func TestNoticeHealed(t *testing.T) {
	s, out := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "550 5.1.1 unknown"})}, &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		calls, d := 0, &choosy{}
		d.noEnd.Store(true)
		w.reporting(&calls, out, d)
		w.deliver("m", "x@example.jp", "y@example.jp")
		time.Sleep(30 * time.Minute)
		d.noEnd.Store(false)
		time.Sleep(6 * time.Hour)
		w.want("queue", w.queued(), "")
		w.wantInt("reported", calls, 1)
		w.wantInt("notices", len(out.got()), 1)
	})
}

// TestNoticeBehindItsEnd starts on what a crash leaves between the end's line and the sending, and the removal of the entry.
func TestNoticeBehindItsEnd(t *testing.T) {
	s, out := &fakeServer{ehlo: pipelining}, &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		calls := 0
		w.reporting(&calls, out, &choosy{})
		w.again(func() {
			w.leaveHalf()
			x := mail.Address{Local: "x", Domain: "example.jp"}
			if err := errors.Join(w.ledger.Accept(ledger.Queue, ledger.Mail{ID: "m", Rcpts: []mail.Address{x}}, ledger.Mail{ID: "m.d1", Rcpts: notice("", "a@sender.test").Rcpts}),
				w.ledger.End("m", ledger.Ending{Rcpt: x, State: ledger.Bounced})); err != nil {
				t.Fatal(err)
			}
		})
		time.Sleep(time.Minute)
		w.want("queue", w.queued(), "")
		w.wantInt("reported", calls, 0)
		w.wantInt("notices", len(out.got()), 1)
	})
}

// TestNothingReportedUnsaved: a failure that the spool cannot take down is not reported, since a crash would report it again.
func TestNothingReportedUnsaved(t *testing.T) {
	s, out := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "450 4.2.0 later"})}, &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		calls, d := 0, &choosy{}
		w.reporting(&calls, out, d)
		w.deliver("m", "x@example.jp", "y@example.jp")
		d.noEnvelope.Store(true)
		s.set(func() { s.on = answerRcpt(map[string]string{"x": "550 5.1.1 unknown"}) })
		time.Sleep(6 * time.Hour)
		w.wantInt("reported", calls, 0)
		w.want("queue", w.queued(), "m queued x=waiting y=delivered")
		d.noEnvelope.Store(false)
		time.Sleep(6 * time.Hour)
		w.want("queue", w.queued(), "")
		w.wantInt("reported", calls, 1)
		w.wantInt("notices", len(out.got()), 1)
	})
}
