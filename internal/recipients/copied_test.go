package recipients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

var errAway = errors.New("connection refused")

// fakeSource is a directory that tests write.
type fakeSource struct {
	mu      sync.Mutex
	entries []Entry // what Lookup finds
	batch   Batch   // what Fetch brings
	away    error
	took    time.Duration
	marks   []string
	lookups int
}

func (f *fakeSource) Fetch(_ context.Context, mark string) (Batch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.marks = append(f.marks, mark)
	return f.batch, f.away
}

func (f *fakeSource) Lookup(ctx context.Context, a mail.Address) ([]Entry, error) {
	f.mu.Lock()
	f.lookups++
	took, away := f.took, f.away
	var all []Entry
	for _, e := range f.entries {
		if e.Address.Key() == a.Key() {
			all = append(all, e)
		}
	}
	f.mu.Unlock()
	select {
	case <-time.After(took):
		return all, away
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fakeSource) Close() error { return nil }

func (f *fakeSource) set(change func(*fakeSource)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// asked returns how many questions were put.
func (f *fakeSource) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lookups
}

// people are n entries with an ID each.
func people(t testing.TB, n int) []Entry {
	var all []Entry
	for i := range n {
		all = append(all, Entry{ID: fmt.Sprint(i), Address: addr(t, fmt.Sprintf("user%d@example.jp", i))})
	}
	return all
}

// copyOf is a directory whose example.jp is a copy of src.
func copyOf(t testing.TB, src *fakeSource, o Options) (*Directory, *copied) {
	t.Helper()
	o.Open = func(*config.Config, string, string) (Source, Timing, error) {
		return src, Timing{Changes: 5 * time.Minute, StaleAfter: 15 * time.Minute, LookupTimeout: 2 * time.Second}, nil
	}
	d := directory(t, o, config.Domain{Names: []string{"example.jp"}, Recipients: "ldap:ad"})
	return d, d.places[0].(*copied)
}

// TestCopied goes through the life of a copy: fetched, asked beside, the directory away, the copy too old, a restart.
func TestCopied(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{batch: Batch{Full: true, Entries: people(t, 3), Mark: "1"}}
		var warned []string
		o := Options{Dir: dir, Warn: func(cause, m string) { warned = append(warned, cause+" "+m) }}
		d, c := copyOf(t, src, o)
		find := func(want string) {
			t.Helper()
			to, want, _ := strings.Cut(want, " ")
			if got := d.Find(t.Context(), addr(t, to+"@example.jp")); got.Result.String() != want {
				t.Errorf("%s: %s (%s), want %s", to, got.Result, got.Why, want)
			}
		}
		// Nobody was ever asked, and the directory is away: nothing is known, and nothing is unknown.
		src.away = errAway
		find("user1 not_now")
		find("postmaster known")
		if c.sync(t.Context(), false) == nil || len(warned) == 0 {
			t.Error("a fetch that failed says nothing")
		}
		src.away = nil
		time.Sleep(time.Minute)
		if err := c.sync(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		find("user1 known")
		find("new unknown")
		// The new employee's first morning: the copy does not have her, asking does; "unknown" was remembered for a minute.
		src.entries = []Entry{{ID: "9", Address: addr(t, "New@example.jp"), Owner: addr(t, "n.new@example.jp")}}
		time.Sleep(time.Minute)
		if r := d.Find(t.Context(), addr(t, "new@example.jp")); say(r) != "known n.new@example.jp" {
			t.Error(say(r))
		}
		lookups := src.asked()
		find("new known")
		if src.asked() != lookups {
			t.Error("what asking has found is asked for again")
		}
		// The directory goes away. A copy that is young says who is unknown; an old one does not; both know whom they have.
		src.away = errAway
		find("other unknown")
		time.Sleep(16 * time.Minute)
		find("other not_now")
		find("user1 known")
		find("new known")
		if !c.status().Stale {
			t.Error("the copy is not called stale")
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		// A restart while it is away: the copy on the disk answers, with its age.
		d, c = copyOf(t, src, o)
		find("user1 known")
		find("other not_now")
		if st := c.status(); st.Entries != 3 || !st.Stale {
			t.Errorf("%+v", st)
		}
		// Back again, with changes since the mark.
		src.set(func(f *fakeSource) {
			f.away = nil
			f.batch = Batch{Entries: []Entry{{ID: "1", Address: addr(t, "user1b@example.jp")}}, Gone: []string{"2"}, Mark: "2"}
		})
		time.Sleep(time.Minute)
		if err := c.sync(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"user0 known", "user1 unknown", "user1b known", "user2 unknown", "other unknown"} {
			find(want)
		}
		if got := src.marks[len(src.marks)-1]; got != "1" {
			t.Errorf("changes since %q", got)
		}
		// Nothing changed: only the small file is written.
		src.set(func(f *fakeSource) { f.batch = Batch{Mark: "3"} })
		before, _ := os.Stat(c.path)
		time.Sleep(10 * time.Minute)
		if err := c.sync(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if after, _ := os.Stat(c.path); !os.SameFile(before, after) {
			t.Error("the whole copy is written again although nothing changed")
		}
		s, err := loadSnapshot(c.path, "ldap:ad")
		if err != nil || s.head.Mark != "3" || len(s.entries) != 2 || time.Since(s.head.Taken) > time.Minute {
			t.Errorf("%+v %v", s, err)
		}
	})
}

// TestShrunk: a directory that brings far fewer recipients is not believed until somebody says so.
func TestShrunk(t *testing.T) {
	src := &fakeSource{batch: Batch{Full: true, Entries: people(t, 100)}}
	_, c := copyOf(t, src, Options{})
	if err := c.sync(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for n, ok := range map[int]bool{0: false, 49: false, 50: true} {
		src.set(func(f *fakeSource) { f.batch.Entries = people(t, n) })
		if err := c.sync(t.Context(), false); (err == nil) != ok {
			t.Errorf("%d of 100: %v", n, err)
		}
		src.set(func(f *fakeSource) { f.batch.Entries = people(t, 100) })
		if err := c.sync(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	src.set(func(f *fakeSource) { f.batch.Entries = people(t, 1) })
	if err := c.sync(t.Context(), true); err != nil || len(c.snap.Load().entries) != 1 {
		t.Error("not taken over although it was forced", err)
	}
}

// TestSnapshotDamage cuts and changes the file on the disk at every length: it is used whole or not at all.
func TestSnapshotDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	s := newSnapshot(people(t, 5))
	s.head.Source = "sql:x"
	if err := s.save(path, nil); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		for _, text := range [][]byte{whole[:n], slices.Replace(slices.Clone(whole), n, n+1, whole[n]^1)} {
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := loadSnapshot(path, "sql:x")
			if err == nil && (len(got.entries) != 5 || got.entries[4].Address != s.entries[4].Address) {
				t.Fatalf("cut or changed at %d: %+v", n, got)
			}
		}
	}
}

// TestBounded floods a directory that hangs: few questions are asked, nobody waits longer than the time-out, and after some
// failures it is left alone.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{took: time.Hour}
		d, _ := copyOf(t, src, Options{Config: &config.Config{Recipients: config.Recipients{Lookups: 4}}})
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if r := d.Find(t.Context(), addr(t, fmt.Sprintf("x%d@example.jp", i))); r.Result != NotNow {
					t.Errorf("%s", r.Result)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begun); took > 2*time.Second || src.asked() > 4 {
			t.Errorf("%s, %d questions", took, src.asked())
		}
		synctest.Wait()
		begun = time.Now()
		d.Find(t.Context(), addr(t, "y@example.jp"))
		if took := time.Since(begun); took > 0 || src.asked() > 4 {
			t.Errorf("it is not left alone: %s", took)
		}
		time.Sleep(time.Minute)
		src.set(func(f *fakeSource) { f.took = 0 })
		if r := d.Find(t.Context(), addr(t, "y@example.jp")); r.Result != Unknown {
			t.Errorf("%s after it came back", r.Result)
		}
	})
}

// TestTempo: answers from memory take as long as those that were asked for, in distribution: the deciles are compared.
func TestTempo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeSource{batch: Batch{Full: true, Entries: people(t, 3)}}
		seed := uint64(1)
		var mu sync.Mutex
		random := func(n int) int { // xorshift
			mu.Lock()
			defer mu.Unlock()
			seed ^= seed << 13
			seed ^= seed >> 7
			seed ^= seed << 17
			return int(seed % uint64(n))
		}
		d, c := copyOf(t, src, Options{Random: random})
		if err := c.sync(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		var known, unknown []time.Duration
		for i := range 4000 {
			took := time.Duration(1+random(20)) * time.Millisecond
			if random(10) == 0 {
				took *= 5
			}
			src.set(func(f *fakeSource) { f.took = took })
			for to, list := range map[string]*[]time.Duration{"user1@example.jp": &known, fmt.Sprintf("no%d@example.jp", i): &unknown} {
				begun := time.Now()
				d.Resolve(t.Context(), addr(t, to))
				*list = append(*list, time.Since(begun))
			}
		}
		slices.Sort(known)
		slices.Sort(unknown)
		for q := 400; q < 4000; q += 400 {
			if diff := (known[q] - unknown[q]).Abs(); diff > unknown[q]/10+time.Millisecond {
				t.Errorf("at %d of 4000: known %s, unknown %s", q, known[q], unknown[q])
			}
		}
		// A remembered "unknown" takes as long too.
		begun := time.Now()
		d.Resolve(t.Context(), addr(t, "no3999@example.jp"))
		if time.Since(begun) == 0 {
			t.Error("a remembered unknown is told at once")
		}
	})
}

func BenchmarkFind(b *testing.B) {
	d, c := copyOf(b, &fakeSource{batch: Batch{Full: true, Entries: people(b, 100_000)}}, Options{})
	if err := c.sync(b.Context(), false); err != nil {
		b.Fatal(err)
	}
	a := addr(b, "user77777@example.jp")
	b.ReportAllocs()
	for b.Loop() {
		if d.Find(b.Context(), a).Result != Known {
			b.Fatal("unknown")
		}
	}
}
