package reputation

import (
	"sync"
	"testing"
	"time"

	"sekimori/internal/store"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC)} }

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

func memoryStore(t *testing.T, c *clock) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func take(t *testing.T, r *Rates, limits ...Limit) []Taken {
	t.Helper()
	got, err := r.Take(t.Context(), limits)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTakeBurstThenRefill(t *testing.T) {
	c := newClock()
	r := NewRates(memoryStore(t, c).Client(), c.now)
	l := Limit{"client:192.0.2.1", 3, time.Minute}
	for i := 1; i <= 3; i++ {
		if got := take(t, r, l)[0]; got.Exceeded || got.Used != i {
			t.Fatalf("charge %d: %+v", i, got)
		}
	}
	if got := take(t, r, l)[0]; !got.Exceeded || got.Retry != 20*time.Second || got.Used != 3 {
		t.Fatalf("the fourth: %+v, want exceeded, 20s, 3", got)
	}
	c.add(19 * time.Second)
	if got := take(t, r, l)[0]; !got.Exceeded || got.Retry != time.Second {
		t.Fatalf("after 19s: %+v", got)
	}
	c.add(time.Second)
	if got := take(t, r, l)[0]; got.Exceeded {
		t.Fatalf("after 20s: %+v", got)
	}
	c.add(10 * time.Minute)
	if got := take(t, r, l)[0]; got.Exceeded || got.Used != 1 {
		t.Fatalf("after a long time: %+v", got)
	}
}

func TestTakeJudgesEachLimitByItself(t *testing.T) {
	c := newClock()
	r := NewRates(memoryStore(t, c).Client(), c.now)
	small, large := Limit{"a", 1, time.Hour}, Limit{"b", 1000, time.Second}
	take(t, r, small, large)
	got := take(t, r, small, large)
	if !got[0].Exceeded || got[1].Exceeded || got[1].Used != 2 {
		t.Fatalf("%+v", got)
	}
}

func TestTakeKeysVanish(t *testing.T) {
	c := newClock()
	s := memoryStore(t, c)
	r := NewRates(s.Client(), c.now)
	take(t, r, Limit{"a", 60, time.Minute})
	ttl, err := s.Client().PTTL(t.Context(), ratePrefix+"a").Result()
	if err != nil || ttl <= 0 || ttl > time.Second {
		t.Fatalf("time to live %v, %v; want one second", ttl, err)
	}
	c.add(time.Second)
	s.Expire()
	if n := s.Client().Exists(t.Context(), ratePrefix+"a").Val(); n != 0 {
		t.Fatal("the key is still there")
	}
}

func TestTakeAfterTheClockWasSetBack(t *testing.T) {
	c := newClock()
	r := NewRates(memoryStore(t, c).Client(), c.now)
	l := Limit{"a", 2, time.Minute}
	c.add(24 * time.Hour)
	take(t, r, l)
	c.add(-24 * time.Hour)
	if got := take(t, r, l)[0]; !got.Exceeded || got.Retry > time.Minute {
		t.Fatalf("%+v, want no more than a period to wait", got)
	}
	c.add(time.Minute)
	if got := take(t, r, l)[0]; got.Exceeded {
		t.Fatalf("a minute later: %+v", got)
	}
}

func TestTakeRefusesImpossibleLimits(t *testing.T) {
	c := newClock()
	r := NewRates(memoryStore(t, c).Client(), c.now)
	for _, l := range []Limit{{"a", 0, time.Minute}, {"a", 1, 0}} {
		if _, err := r.Take(t.Context(), []Limit{l}); err == nil {
			t.Errorf("%+v was taken", l)
		}
	}
	if got := take(t, r); got != nil {
		t.Errorf("no limits gave %+v", got)
	}
}

// takeEach is the way on a Cluster; a single server takes it too.
func TestTakeEach(t *testing.T) {
	c := newClock()
	s := memoryStore(t, c)
	r := NewRates(s.Client(), c.now)
	limits := []Limit{{"a", 1, time.Hour}, {"b", 5, time.Second}}
	for i := range 2 {
		got, err := r.takeEach(t.Context(), c.now().UnixMicro(), limits)
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Exceeded != (i == 1) || got[1].Exceeded {
			t.Fatalf("round %d: %+v", i, got)
		}
	}
}

func TestTakeTogether(t *testing.T) {
	c := newClock()
	r := NewRates(memoryStore(t, c).Client(), c.now)
	l := Limit{"a", 50, time.Hour}
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 8 {
		wg.Go(func() {
			for range 20 {
				got, err := r.Take(t.Context(), []Limit{l})
				if err != nil {
					t.Error(err)
					return
				}
				if !got[0].Exceeded {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 50 {
		t.Errorf("%d of 160 passed, want 50", passed)
	}
}

func BenchmarkTake(b *testing.B) {
	s, err := store.Open(b.Context(), store.Options{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	r := NewRates(s.Client(), time.Now)
	limits := []Limit{{"client:192.0.2.1", 100, time.Minute}, {"network:192.0.2.0/24", 300, time.Minute}}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Take(b.Context(), limits); err != nil {
				b.Fatal(err)
			}
		}
	})
}
