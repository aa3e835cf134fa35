package relay

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/disk"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// told returns the ledger's lines as "event id rcpt word" joined.
func (w *world) lines() string {
	w.t.Helper()
	var list []string
	events, err := w.ledger.History(func(string) bool { return true })
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		l := e.Kind + " " + e.ID + " " + strings.TrimSuffix(e.Rcpt, "@example.jp") + " " + e.Word
		list = append(list, l)
	}
	return strings.Join(list, "; ")
}

func TestLedgerOfTheQueue(t *testing.T) {
	var later atomic.Bool
	s := &fakeServer{on: func(verb, _ string) string {
		if later.Load() && verb == "DATA" {
			return "451 4.3.0 later"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.want("at once", w.deliver("now", "a@example.jp"), Delivered)
		w.want("no line for what the backend took", w.lines(), "")
		later.Store(true)
		w.want("queued", w.deliver("q", "a@example.jp", "b@example.jp"), "queued, queued")
		w.want("accepted", w.lines(), "accept q a queue; accept q b queue")
		later.Store(false)
		time.Sleep(2 * time.Hour)
		w.want("its life", w.lines(), "accept q a queue; accept q b queue; end q a delivered; end q b delivered")
	})
}

// unwritable is a disk that takes no more lines.
type unwritable struct{ disk.OS }

func (d unwritable) Append(name string) (disk.File, error) {
	f, err := d.OS.Append(name)
	return unwritableFile{f}, err
}

func (unwritable) Create(string) (disk.File, error) { return nil, errors.New("no space") }

type unwritableFile struct{ disk.File }

func (unwritableFile) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestNoLineNoAcknowledgement(t *testing.T) {
	dead := &fakeServer{refuse: errors.New("refused")}
	run(t, []*fakeServer{dead}, func(w *world) {
		dir := t.TempDir()
		l, err := ledger.Open(dir, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if w.relay.o.Ledger, err = ledger.Open(dir, ledger.Options{FS: unwritable{}}); err != nil {
			t.Fatal(err)
		}
		if got := w.deliver("a", "a@example.jp"); !strings.HasPrefix(got, "error") {
			t.Error("acknowledged: ", got)
		}
		if err := w.relay.Queue(t.Context(), envelope("b", "a@example.jp")); err == nil {
			t.Error("queued without a line")
		}
		w.want("taken back", w.queued(), "")
		w.relay.o.Ledger.Close()
		w.relay.o.Ledger = w.ledger
	})
}

// TestEndedIsNotSentAgain starts on what a crash left between the end's line and the removal of the entry.
func TestEndedIsNotSentAgain(t *testing.T) {
	dir := t.TempDir()
	sp, err := spool.Open(dir+"/spool", spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	led, err := ledger.Open(dir+"/ledger", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer led.Close()
	a, b := mail.Address{Local: "a", Domain: "example.jp"}, mail.Address{Local: "b", Domain: "example.jp"}
	for _, id := range []string{"whole", "part", "fresh", "torn"} {
		e := spool.Entry{ID: id, Kind: spool.KindQueue, State: spool.StateQueued, Rcpts: []spool.Rcpt{{Addr: a, Status: spool.Waiting}, {Addr: b, Status: spool.Waiting}}}
		if err := sp.Put(e, mail.Content{[]byte(octets)}); err != nil {
			t.Fatal(err)
		}
	}
	both := []mail.Address{a, b}
	if err := led.Accept(ledger.Queue, ledger.Mail{ID: "whole", Rcpts: both}, ledger.Mail{ID: "part", Rcpts: both}); err != nil {
		t.Fatal(err)
	}
	led.End("whole", ledger.Ending{Rcpt: a, State: ledger.Delivered}, ledger.Ending{Rcpt: b, State: ledger.Moved, Detail: "held as x"})
	led.End("part", ledger.Ending{Rcpt: a, State: ledger.Delivered})
	truncate(t, dir+"/spool/queue/torn.eml")
	world := &world{t: t, spool: sp, ledger: led}
	r := &Relay{Counters: &Counters{}, o: Options{Spool: sp, Ledger: led, Now: time.Now}}
	quiet(r)
	list, err := sp.List(spool.KindQueue)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.adopt(list); err != nil {
		t.Fatal(err)
	}
	world.want("left", world.queued(), "fresh queued a=waiting b=waiting; part queued a=delivered b=waiting")
	world.balance()
	if n := len(sp.Problems()); n != 2 {
		t.Errorf("set aside: %v", sp.Problems())
	}
	if r.remembered(list[0]); !strings.Contains(world.lines(), "accept fresh a queue") {
		t.Error(world.lines())
	}
}

func truncate(t *testing.T, name string) {
	t.Helper()
	if err := os.Truncate(name, 5); err != nil {
		t.Fatal(err)
	}
}

func quiet(r *Relay) { r.o.Log = slog.New(slog.DiscardHandler) }
