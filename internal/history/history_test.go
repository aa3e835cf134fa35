package history

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// clock is a clock that a test sets.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t *testing.T, dir string, o Options) *Writer {
	t.Helper()
	w, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func reader(t *testing.T, dir string) *Reader {
	t.Helper()
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func flush(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// event is the n-th mail of a made-up day.
func event(n int) *Event {
	return &Event{
		Kind: KindMail, ID: fmt.Sprintf("d0mail%08d", n), Conn: fmt.Sprintf("d0conn%08d", n/3),
		Client: netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), Host: fmt.Sprintf("mx%d.sender%d.example", n%7, n%1000), Helo: "mx.example",
		From: fmt.Sprintf("user%d@sender%d.example", n, n%1000), Rcpts: []Rcpt{{Addr: fmt.Sprintf("taro%d@example.jp", n%500), Action: "deliver", End: "delivered", Score: 1.5}},
		Subject: fmt.Sprintf("ご注文%dの確認 Invoice no%d", n, n), MessageID: fmt.Sprintf("<%d.abc@sender.example>", n), Size: int64(4000 + n%100), Action: "deliver",
		Reply: "250 2.0.0 accepted", Findings: []Finding{{Name: "SPF_PASS", Points: -0.5, Evidence: [][2]string{{"domain", "sender.example"}}}}, Rules: "2026.11-abcdef",
	}
}

func ids(t *testing.T, r *Reader, q Query) []string {
	t.Helper()
	var list []string
	for e, err := range r.Search(q) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e.ID)
	}
	return list
}

func TestFoundByEveryKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	w := open(t, dir, Options{Block: 16 << 10, Now: c.now})
	const n = 3000
	for i := range n {
		c.add(time.Second)
		w.Story(event(i))
		if i%1000 == 999 {
			flush(t, w)
		}
	}
	r := reader(t, dir)
	e := event(1234)
	want := e.ID
	for name, q := range map[string]Query{
		"id": {ID: e.ID}, "part of it": {ID: e.ID + "-2"}, "sender": {Sender: "USER1234@sender234.example"}, "address": {Address: e.From},
		"client":     {Client: netip.PrefixFrom(e.Client, 32)},
		"message id": {MessageID: "1234.ABC@sender.example"}, "message id in brackets": {MessageID: e.MessageID},
		"a word": {Subject: "no1234"}, "Japanese": {Subject: "注文1234の確認"}, "two": {Sender: "sender234.example", Rcpt: "taro234@example.jp", Subject: "no1234 invoice"},
	} {
		if got := ids(t, r, q); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, q := range map[string]struct {
		q Query
		n int
	}{
		"domain of senders": {Query{Sender: "sender7.example"}, 3}, "all below": {Query{Domain: "sender7.example"}, 3}, "recipient": {Query{Rcpt: "taro7@example.jp"}, 6},
		"connection": {Query{ID: "d0conn00000100"}, 3}, "network": {Query{Client: netip.MustParsePrefix("192.0.4.0/24")}, 256},
		"a wider network": {Query{Client: netip.MustParsePrefix("192.0.4.0/23")}, 512}, "one letter": {Query{Subject: "認", Sender: "sender7.example"}, 3},
		"in time": {Query{Since: c.now().Add(-9 * time.Second)}, 10}, "of one kind": {Query{Kinds: []Kind{KindTry}}, 0}, "a part of a word": {Query{Subject: "no123"}, 1},
		"nobody": {Query{Sender: "x@sender7.example"}, 0}, "another's": {Query{Rcpt: "user7@sender7.example"}, 0},
	} {
		if got := ids(t, r, q.q); len(got) != q.n {
			t.Errorf("%s: %d, want %d", name, len(got), q.n)
		}
	}
	if got := ids(t, r, Query{}); len(got) != n || got[0] != event(n-1).ID || got[n-1] != event(0).ID {
		t.Errorf("all: %d", len(got))
	}
	p, err := r.Period(Stories)
	if err != nil || p.Records != n || p.To.Sub(p.From) != (n-1)*time.Second {
		t.Errorf("period: %+v, %v", p, err)
	}
}

func TestTheWholeStoryOfAMail(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	w := open(t, dir, Options{Block: 4 << 10, Now: c.now})
	for i := range 200 {
		w.Story(event(i))
	}
	id := event(77).ID
	c.add(30 * time.Hour)
	w.Story(&Event{Kind: KindTry, ID: id, Backend: "smtp://mail1", Rcpts: []Rcpt{{Addr: "taro77@example.jp", Words: "450 4.2.0 busy"}}})
	c.add(30 * time.Hour)
	w.Story(&Event{Kind: KindEnded, ID: id + "-2", By: "hanako"})
	flush(t, w)
	a, err := reader(t, dir).Stories(Query{Sender: event(77).From}, 10)
	if err != nil || len(a.Stories) != 1 || a.More {
		t.Fatalf("%+v, %v", a, err)
	}
	s := a.Stories[0]
	if s.ID != id || len(s.Events) != 3 || s.Events[0].Kind != KindMail || s.Events[1].Rcpts[0].Words != "450 4.2.0 busy" || s.Events[2].By != "hanako" {
		t.Errorf("%+v", s)
	}
	if a, _ := reader(t, dir).Stories(Query{}, 5); len(a.Stories) != 5 || !a.More {
		t.Errorf("%d, more %v", len(a.Stories), a.More)
	}
}

// What was flushed is there after a process that ended without a word; half a record is not, and nothing before it is lost.
func TestTornTail(t *testing.T) {
	for cut := range 60 {
		dir := filepath.Join(t.TempDir(), "history")
		c := newClock()
		w := open(t, dir, Options{Block: 8 << 10, Now: c.now})
		for i := range 40 { // a block and a half
			w.Story(event(i))
			flush(t, w)
		}
		_ = w.Close()
		l, _ := filesOf(dir, "2026-11-20", Stories)
		if len(l.tails) != 1 || len(l.segments) != 1 {
			t.Fatalf("%+v", l)
		}
		st, _ := os.Stat(l.tails[0])
		if err := os.Truncate(l.tails[0], max(st.Size()-int64(cut*37), 0)); err != nil {
			t.Fatal(err)
		}
		before := len(ids(t, reader(t, dir), Query{}))
		w = open(t, dir, Options{Block: 8 << 10, Now: c.now})
		w.Story(event(99))
		flush(t, w)
		got := ids(t, reader(t, dir), Query{})
		if len(got) != before+1 || got[0] != event(99).ID || before < 10 {
			t.Fatalf("cut %d: %d before, %d after", cut, before, len(got))
		}
		for i, id := range got[1:] {
			if id != event(before-1-i).ID {
				t.Fatalf("cut %d: %v", cut, got)
			}
		}
		_ = w.Close()
	}
}

func TestTornAndDamagedSegment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	w := open(t, dir, Options{Block: 4 << 10, Now: c.now})
	for i := range 100 {
		w.Story(event(i))
	}
	_ = w.Close()
	name := segmentName(dir, "2026-11-20", Stories, 1)
	g, err := openSegment(name)
	if err != nil || len(g.blocks) < 5 {
		t.Fatalf("%v, %d blocks", err, len(g.blocks))
	}
	g.close()
	whole, _ := os.ReadFile(name)
	count := func(b []byte) (n, damaged int) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, err := range reader(t, dir).Search(Query{}) {
			if err != nil {
				damaged++
			} else {
				n++
			}
		}
		return n, damaged
	}
	all, _ := count(whole)
	lost := int(g.blocks[2].count)
	flip := func(off int64) []byte {
		b := append([]byte{}, whole...)
		b[off] ^= 0x40
		return b
	}
	if n, damaged := count(flip(g.blocks[2].off + g.blocks[2].size() - 5)); n != all-lost || damaged != 1 {
		t.Errorf("damaged block: %d of %d, %d told", n, all, damaged)
	}
	if n, _ := count(flip(g.blocks[2].off + 20)); n != all-lost {
		t.Errorf("damaged header: %d of %d", n, all)
	}
	if got := ids(t, reader(t, dir), Query{ID: event(0).ID}); len(got) != 1 {
		t.Errorf("a block before the damage: %v", got)
	}
	last := g.blocks[len(g.blocks)-1]
	torn := whole[:last.off+last.size()-9]
	if n, _ := count(torn); n != all-int(last.count) {
		t.Errorf("torn: %d of %d", n, all)
	}
	w = open(t, dir, Options{Block: 4 << 10, Now: c.now})
	w.Story(event(500))
	flush(t, w)
	if got := ids(t, reader(t, dir), Query{}); len(got) != all-int(last.count)+1 {
		t.Errorf("after the next start: %d", len(got))
	}
	_ = w.Close()
}

func TestDaysTurnAndGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	o := Options{Limits: Limits{Keep: 10 * 24 * time.Hour, KeepFacts: 3 * 24 * time.Hour}, Block: 2 << 10, Now: c.now}
	w := open(t, dir, o)
	for i := range 20 {
		for k := range 10 {
			w.Story(event(i*10 + k))
			w.Facts(c.now(), event(i*10+k).ID, func(b []byte) []byte { return append(b, strings.Repeat("facts ", 50)...) })
		}
		flush(t, w)
		if i == 7 { // a restart within a day, and one over night
			_ = w.Close()
			w = open(t, dir, o)
		}
		if i == 12 {
			_ = w.Close()
		}
		c.add(24 * time.Hour)
		if i == 12 {
			w = open(t, dir, o)
		}
	}
	w.Story(event(777))
	flush(t, w)
	list, _ := days(dir)
	for _, day := range list[:len(list)-1] {
		l, _ := filesOf(dir, day, Stories)
		if len(l.tails) > 0 {
			t.Errorf("%s: %v", day, l.tails)
		}
		for _, name := range l.segments {
			if g, err := openSegment(name); err != nil || !g.sealed {
				t.Errorf("%s is not sealed (%v)", name, err)
			}
		}
	}
	_ = w.Close()
	w = open(t, dir, o) // looks at once
	if got := len(ids(t, reader(t, dir), Query{})); got != 101 {
		t.Errorf("%d stories are left", got)
	}
	n := 0
	for f, err := range reader(t, dir).Facts(time.Time{}, c.now()) {
		if err != nil || !strings.HasPrefix(string(f.Data), "facts facts") {
			t.Fatalf("%v %q", err, f.Data)
		}
		n++
	}
	if n != 30 {
		t.Errorf("%d facts are left", n)
	}
	for f := range reader(t, dir).FactsOf(event(195).ID) {
		if f.ID != event(195).ID {
			t.Errorf("%s", f.ID)
		}
		n++
	}
	if n != 31 {
		t.Errorf("facts of one mail: %d", n-30)
	}
	if s := w.Stats(); s.Octets == 0 || s.Oldest.Format(time.DateOnly) != "2026-11-30" {
		t.Errorf("%+v", s)
	}
}

// Within the budget facts go first, the oldest day of them, then stories.
func TestBudget(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	w := open(t, dir, Options{Block: 2 << 10, Now: c.now})
	for i := range 5 {
		for k := range 50 {
			w.Story(event(i*50 + k))
			w.Facts(c.now(), event(k).ID, func(b []byte) []byte { return append(b, fmt.Sprint(i, k, time.Duration(i*k*7919))...) })
		}
		flush(t, w)
		c.add(24 * time.Hour)
	}
	w.Story(event(999))
	_ = w.Close()
	w = open(t, dir, Options{Now: c.now})
	total := w.Stats().Octets
	count := func(s Stream) (n int) {
		list, _ := days(dir)
		for _, day := range list {
			if l, _ := filesOf(dir, day, s); len(l.segments)+len(l.tails) > 0 {
				n++
			}
		}
		return n
	}
	_ = w.Close()
	w = open(t, dir, Options{Limits: Limits{Disk: total - 1}, Now: c.now})
	if s, f := count(Stories), count(Facts); s != 6 || f != 4 {
		t.Errorf("%d days of stories, %d of facts", s, f)
	}
	_ = w.Close()
	open(t, dir, Options{Limits: Limits{Disk: total / 3}, Now: c.now})
	if s, f := count(Stories), count(Facts); s > 4 || s < 2 || f != 0 {
		t.Errorf("%d days of stories, %d of facts", s, f)
	}
	if got := ids(t, reader(t, dir), Query{ID: event(999).ID}); len(got) != 1 {
		t.Error("what was written last is gone")
	}
}

func TestWhatDoesNotFitIsToldAndNobodyWaits(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	w := open(t, dir, Options{Queue: 10, Now: c.now, FlushEvery: time.Hour})
	answer := make(chan error)
	w.asks <- answer // the writer now waits for somebody to read it
	for i := range 100 {
		w.Story(event(i))
		w.Facts(c.now(), "x", func(b []byte) []byte { return b })
	}
	s := w.Stats()
	<-answer
	if s.LostStories < 80 || s.LostFacts < 80 {
		t.Errorf("%+v", s)
	}
}

func TestLostIsWrittenDown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	var said []string
	w := open(t, dir, Options{Now: c.now, FlushEvery: time.Hour, Warn: func(m string) { said = append(said, m) }})
	w.Story(event(1))
	flush(t, w)
	w.lost[Stories].Add(17)
	flush(t, w)
	a, err := reader(t, dir).Stories(Query{Sender: event(1).From}, 5)
	if err != nil || a.Lost != 17 || len(said) != 1 || !strings.Contains(said[0], "17 events") {
		t.Errorf("%+v %v %q", a, err, said)
	}
}

func TestOneWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	open(t, dir, Options{})
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("%v", err)
	}
	if _, err := OpenReader(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// A reader sees each event once, however tails become blocks meanwhile.
func TestReadWhileWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	w := open(t, dir, Options{Block: 2 << 10, FlushEvery: time.Millisecond, Queue: 100_000})
	const n = 4000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			w.Story(event(i))
			if i%50 == 0 {
				_ = w.Flush()
			}
		}
	}()
	r := reader(t, dir)
	for last, running := 0, true; running; {
		select {
		case <-done:
			running = false
			_ = w.Flush()
		default:
		}
		seen := map[string]bool{}
		for e, err := range r.Search(Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen[e.ID] {
				t.Fatalf("%s is there twice", e.ID)
			}
			seen[e.ID] = true
		}
		if len(seen) < last {
			t.Fatalf("%d events, there were %d", len(seen), last)
		}
		last = len(seen)
	}
	if got := len(ids(t, r, Query{})); got != n {
		t.Errorf("%d of %d", got, n)
	}
}

func TestFloodOfRefusals(t *testing.T) {
	c := newClock()
	var told []*Event
	r := NewRefusals(func(e *Event) { told = append(told, e) }, c.now)
	for i := range 10_000 {
		r.Add(&Event{Kind: KindRefused, Client: netip.MustParseAddr("192.0.2.1"), Stage: "connect", Why: "limit_client", Conn: fmt.Sprint(i)})
	}
	r.Add(&Event{Kind: KindRefused, Client: netip.MustParseAddr("192.0.2.2"), Stage: "connect", Why: "limit_client"})
	c.add(time.Minute)
	r.Flush()
	n := 0
	for _, e := range told {
		n += e.N()
	}
	if len(told) != tellSingly+2 || n != 10_001 {
		t.Errorf("%d events for %d refusals", len(told), n)
	}
	told = nil
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		r.Add(&Event{Kind: KindRefused, Client: a, Stage: "connect", Why: "limit_total"})
	}
	r.Close()
	n = 0
	for _, e := range told {
		n += e.N()
	}
	if len(told) > mostRefusals+1 || n != 100_000 {
		t.Errorf("%d events for %d refusals of as many clients", len(told), n)
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"Invoice No.42": "invoice no 42", "請求書です": "請求 求書 書で です", "A社": "a 社", "再送:Amazonプライム": "再送 amazon プラ ライ イム", "": "", "字": "字", "\xffx": "x",
	} {
		var got []string
		words(in, func(w string) { got = append(got, w) })
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// What stands in the very first tail is read in both directions.
func TestFirstTail(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	c := newClock()
	w := open(t, dir, Options{Now: c.now})
	w.Facts(c.now(), "one", func(b []byte) []byte { return append(b, "facts"...) })
	w.Story(event(1))
	flush(t, w)
	n := 0
	for f, err := range reader(t, dir).Facts(time.Time{}, c.now()) {
		if err != nil || f.ID != "one" || string(f.Data) != "facts" {
			t.Errorf("%+v %v", f, err)
		}
		n++
	}
	if got := ids(t, reader(t, dir), Query{}); n != 1 || len(got) != 1 {
		t.Errorf("%d facts, %v", n, got)
	}
}
