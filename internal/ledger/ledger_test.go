package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/disk"
	"sekimori/internal/mail"
)

func addr(s string) mail.Address {
	local, domain, _ := strings.Cut(s, "@")
	return mail.Address{Local: local, Domain: domain}
}

func mustOpen(t testing.TB, dir string, o Options) *Ledger {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// told sums a snapshot up in one line.
func told(t *testing.T, of interface{ Snapshot() (Snapshot, error) }) string {
	t.Helper()
	s, err := of.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	words := []string{fmt.Sprintf("accepted %d queued %d held %d", s.Accepted, s.Queued, s.Held)}
	for _, state := range States() {
		if n := s.Ended[state]; n > 0 {
			words = append(words, fmt.Sprintf("%s %d", state, n))
		}
	}
	for _, i := range s.Open {
		words = append(words, fmt.Sprintf("%s:%s:%s", i.Place, i.ID, strings.Join(i.Rcpts, ",")))
	}
	return strings.Join(words, " ")
}

func TestLifeOfMails(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 27, 4, 0, 0, 0, time.UTC)
	o := Options{Now: func() time.Time { now = now.Add(time.Second); return now }}
	l := mustOpen(t, dir, o)
	a, b := addr("Taro@example.jp"), addr("jiro@example.jp")
	steps := []error{
		l.Accept(Queue, Mail{"m1", []mail.Address{a, b}, ""}, Mail{"m1.2", []mail.Address{a}, "released\tby\n\\x41"}),
		l.Accept(Queue, Mail{"m1", []mail.Address{a}, "again"}),
		l.Accept(Hold, Mail{"m2", []mail.Address{b}, ""}),
		l.End("m1", Ending{a, Delivered, "smtp://x"}),
		l.End("m1", Ending{a, Bounced, "never"}, Ending{addr("nobody@example.jp"), Deleted, ""}),
		l.End("m9", Ending{a, Delivered, ""}),
		l.End("m2", Ending{b, Expired, ""}),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	want := "accepted 4 queued 2 held 0 delivered 1 expired 1 queue:m1:jiro@example.jp queue:m1.2:taro@example.jp"
	if got := told(t, l); got != want {
		t.Errorf("live:\n%s\n%s", got, want)
	}
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := told(t, r); got != want {
		t.Errorf("beside it: %s", got)
	}
	if _, err := Open(dir, o); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	// Days later, over several segments.
	for range 3 {
		now = now.Add(24 * time.Hour)
		if err := l.Accept(Queue, Mail{ID: now.Format("m20060102"), Rcpts: []mail.Address{a}}); err != nil {
			t.Fatal(err)
		}
		if err := l.End(now.Format("m20060102"), Ending{a, Delivered, ""}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	l = mustOpen(t, dir, o)
	want = strings.Replace(strings.Replace(want, "accepted 4", "accepted 7", 1), "delivered 1", "delivered 4", 1)
	if got := told(t, l); got != want {
		t.Errorf("after a restart:\n%s\n%s", got, want)
	}
	h, err := l.History(func(id string) bool { return id == "m1" || id == "m1.2" })
	if err != nil || len(h) != 4 || h[3].Word != "delivered" || h[3].Detail != "smtp://x" || h[2].Detail != "released\tby\n\\x41" {
		t.Errorf("history: %+v %v", h, err)
	}
}

// TestDirect: acceptance and end in one line keep the sums even, also over a new segment, and can be taken back.
func TestDirect(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{SegmentSize: 400})
	a, b := addr("a@example.jp"), addr("b@example.jp")
	gone := []Ending{{a, Discarded, "by rule NOISE"}, {b, Redirected, "to c@example.jp by rule LEFT"}, {addr("A@example.jp"), Discarded, "twice"}}
	for i := range 20 {
		if err := l.Direct(fmt.Sprint("m", i), gone...); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Undo("m19", gone...), l.Accept(Queue, Mail{"m0", []mail.Address{a}, ""})); err != nil {
		t.Fatal(err)
	}
	const want = "accepted 39 queued 1 held 0 discarded 19 redirected 19 queue:m0:a@example.jp"
	if got := told(t, l); got != want {
		t.Error(got)
	}
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := told(t, r); got != want {
		t.Error("from the disk: ", got)
	}
	past, err := r.History(func(id string) bool { return id == "m19" })
	if err != nil || len(past) != 4 || !past[0].Ends() || past[0].Detail != "by rule NOISE" || !past[2].Undone() {
		t.Error(past, err)
	}
	waits := map[string]map[string]Where{"m0": {"a@example.jp": {Waits: true}}}
	none := func() (map[string]map[string]Where, map[string]string, error) { return nil, nil, nil }
	rep, err := Compare(t.Context(), Sources{Ledger: r.Snapshot, Pending: none, Queue: func() (map[string]map[string]Where, map[string]string, error) {
		return waits, nil, nil
	}})
	if err != nil || !rep.Fine() {
		t.Error(rep, err)
	}
}

func TestRetention(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	l := mustOpen(t, dir, Options{Now: func() time.Time { return now }, Retention: 72 * time.Hour})
	old := Mail{ID: "old", Rcpts: []mail.Address{addr("a@b")}}
	if err := l.Accept(Queue, old); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		now = now.Add(24 * time.Hour)
		if err := l.Accept(Queue, Mail{ID: fmt.Sprint("m", i), Rcpts: []mail.Address{addr("a@b")}}); err != nil {
			t.Fatal(err)
		}
	}
	list, _ := segments(dir)
	if len(list) < 4 || len(list) > 5 {
		t.Errorf("segments: %v", list)
	}
	if !l.IsOpen("old", addr("a@b")) {
		t.Error("what is open must be carried over")
	}
	s, _ := l.Snapshot()
	if !s.Open[0].Accepted.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("with its own time: %v", s.Open[0])
	}
}

func TestSegmentsBySize(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{SegmentSize: 2000})
	for i := range 100 {
		if err := l.Accept(Queue, Mail{ID: fmt.Sprint("m", i), Rcpts: []mail.Address{addr("a@b")}}); err != nil {
			t.Fatal(err)
		}
	}
	list, _ := segments(dir)
	if len(list) < 3 || len(list) > 8 {
		t.Errorf("%d segments", len(list))
	}
	h, err := l.History(func(string) bool { return true })
	if err != nil || len(h) != 100 {
		t.Errorf("%d events, %v", len(h), err)
	}
}

func TestTornAndCorrupt(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	for _, id := range []string{"m1", "m2", "m3"} {
		if err := l.Accept(Queue, Mail{ID: id, Rcpts: []mail.Address{addr("a@b")}}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	list, _ := segments(dir)
	name := filepath.Join(dir, list[0].name)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	damage := map[string]struct{ content, want, problem string }{
		"torn":    {string(whole) + "2026-11-27T04:03:21.1", "queue:m1:a@b queue:m2:a@b queue:m3:a@b", ""},
		"changed": {strings.Replace(string(whole), "\tm2\t", "\tm4\t", 1), "queue:m1:a@b queue:m3:a@b", fmt.Sprintf("%s:%d: the line does not match its checksum", name, len(lines)-2)},
		"zeros":   {string(whole) + strings.Repeat("\x00", 300000) + "\n", "queue:m1:a@b queue:m2:a@b queue:m3:a@b", "does not match"},
	}
	for what, d := range damage {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, list[0].name), []byte(d.content), 0o600); err != nil {
				t.Fatal(err)
			}
			r, _ := OpenReader(dir)
			s, err := r.Snapshot()
			if err != nil || strings.Contains(fmt.Sprint(s.Problems), "checksum") != (d.problem != "") {
				t.Errorf("%v %v", s.Problems, err)
			}
			if what == "changed" && !strings.HasSuffix(s.Problems[0].String(), d.problem[strings.LastIndex(d.problem, "/"):]) {
				t.Errorf("problem %s, want %s", s.Problems[0], d.problem)
			}
			l := mustOpen(t, dir, Options{})
			if got := told(t, l); !strings.HasSuffix(got, d.want) {
				t.Errorf("got %s, want %s", got, d.want)
			}
			if list, _ := segments(dir); len(list) != 2 {
				t.Error("a new segment must begin behind what is not sound")
			}
			if s, _ := l.Reader.Snapshot(); len(s.Problems) != 0 {
				t.Errorf("the new one is sound: %v", s.Problems)
			}
		})
	}
}

func TestLaterFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	line := appendLine(nil, &Event{Time: time.Now(), Kind: kindLedger, Word: "2"})
	os.WriteFile(filepath.Join(dir, "ledger-000001-2026-11-27.log"), line, 0o600)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

// faulty is a disk on which syncs or writes fail while it is told to.
type faulty struct {
	disk.OS
	full bool
}

type faultyFile struct {
	disk.File
	d *faulty
}

func (d *faulty) Create(name string) (disk.File, error) {
	if d.full {
		return nil, errors.New("no space")
	}
	f, err := d.OS.Create(name)
	return faultyFile{f, d}, err
}

func (f faultyFile) Write(p []byte) (int, error) {
	if f.d.full {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, errors.New("no space")
	}
	return f.File.Write(p)
}

func TestFullDisk(t *testing.T) {
	dir, d := t.TempDir(), &faulty{}
	l := mustOpen(t, dir, Options{FS: d})
	m := func(id string) Mail { return Mail{ID: id, Rcpts: []mail.Address{addr("a@b")}} }
	if err := l.Accept(Queue, m("m1")); err != nil {
		t.Fatal(err)
	}
	d.full = true
	for range 2 {
		if err := l.Accept(Queue, m("m2")); err == nil {
			t.Error("a line that is not on the disk is no acceptance")
		}
	}
	if l.IsOpen("m2", addr("a@b")) {
		t.Error("it must not count")
	}
	if err := l.End("m1", Ending{Rcpt: addr("a@b"), State: Delivered}); err == nil || !l.IsOpen("m1", addr("a@b")) {
		t.Errorf("an end that is not written: %v", err)
	}
	d.full = false
	if err := l.Accept(Queue, m("m3")); err != nil {
		t.Fatal(err)
	}
	want := "accepted 2 queued 2 held 0 queue:m1:a@b queue:m3:a@b"
	if got := told(t, l); got != want {
		t.Error(got)
	}
	if got := told(t, &l.Reader); got != want {
		t.Error("on the disk:", got)
	}
}

func TestConcurrent(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{SegmentSize: 3000})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for k := range 20 {
				id := fmt.Sprintf("m%d-%d", i, k)
				if err := l.Accept(Queue, Mail{ID: id, Rcpts: []mail.Address{addr("a@b"), addr("c@b")}}); err != nil {
					t.Error(err)
				}
				if err := l.End(id, Ending{Rcpt: addr("a@b"), State: Delivered}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		if s, err := l.Reader.Snapshot(); err != nil || len(s.Problems) > 0 {
			t.Error(s.Problems, err)
		}
	}
	wg.Wait()
	live, read := told(t, l), told(t, &l.Reader)
	if live != read || !strings.HasPrefix(live, "accepted 1280 queued 640 held 0 delivered 640 ") {
		t.Errorf("%.100s\n%.100s", live, read)
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("x\ty"))
	f.Add(appendLine(nil, &Event{Time: time.Now(), Kind: kindEnd, ID: "a", Rcpt: "b", Word: "c", Detail: "d\te"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := parseLine(b); err == nil {
			again, err := parseLine([]byte(strings.TrimSuffix(string(appendLine(nil, &e)), "\n")))
			if err != nil {
				t.Errorf("%+v %+v %v", e, again, err)
			}
		}
	})
}

// TestMemory says what an open mail costs.
func TestMemory(t *testing.T) {
	b := newBook()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const n = 100000
	for i := range n {
		b.apply(&Event{Time: time.Now(), Kind: kindAccept, ID: fmt.Sprintf("d4fabcdefghijk%06d", i), Rcpt: "taro.yamada@example.co.jp", Word: string(Queue)})
	}
	each := (heap() - before) / n
	t.Logf("%d octets for an open mail", each)
	if each > 250 {
		t.Errorf("%d octets for an open mail", each)
	}
	runtime.KeepAlive(b)
}

func BenchmarkAccept(b *testing.B) {
	l := mustOpen(b, b.TempDir(), Options{})
	rcpts := []mail.Address{addr("taro@example.jp")}
	var mu sync.Mutex
	n := 0
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			id := fmt.Sprint("b", n)
			mu.Unlock()
			if err := l.Accept(Queue, Mail{ID: id, Rcpts: rcpts}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
