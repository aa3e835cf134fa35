package digest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	sm "sekimori/internal/mail"
	"sekimori/quarantine"
)

// nowhere is a Sender that takes everything and counts.
type nowhere struct {
	mu     sync.Mutex
	n      int
	octets int64
}

func (s *nowhere) Queue(_ context.Context, m Mail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.octets += int64(len(m.Content))
	return nil
}

func (*nowhere) Known(context.Context, []string) (map[string]bool, error) { return nil, nil }

// TestScale measures a run for many people against a real Redis. SEKIMORI_SCALE_PEOPLE says how many; without it they are few.
func TestScale(t *testing.T) {
	people := 300
	if n, err := strconv.Atoi(os.Getenv("SEKIMORI_SCALE_PEOPLE")); err == nil {
		people = n
	}
	const mails = 3
	w := newWorld(t, startRedis(t), "")
	begun := time.Now()
	todo := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range todo {
				for m := range mails {
					err := w.keeper.Hold(context.Background(), quarantine.Held{
						ID: fmt.Sprintf("m%d.%d", i, m), Class: "spam", HeaderFrom: "a@sender.example", Subject: "お知らせ", Score: 7, Limit: 6,
						Rcpts: []sm.Address{{Local: "p" + strconv.Itoa(i), Domain: "example.jp"}}, Body: sm.Content{[]byte("Subject: x\r\n\r\nx\r\n")},
					})
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for i := range people {
		todo <- i
	}
	close(todo)
	wg.Wait()
	t.Logf("%d mails held in %s", people*mails, time.Since(begun).Round(time.Millisecond))
	w.set(w.clock().Add(61 * time.Minute))
	out := &nowhere{}
	r := New(Options{
		Keeper: w.keeper, People: w.people, Directory: w.dir, Config: w.runner("", nil).o.Config, Sender: out, Links: plainLinks{},
		Dangerous: func(string) bool { return false }, Node: "a", Now: w.clock,
	})
	begun = time.Now()
	w.tick(t, r)
	took := time.Since(begun)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if out.n != people {
		t.Errorf("%d of %d were told", out.n, people)
	}
	t.Logf("%d people told of %d mails in %s (%.0f a second), %d octets a digest, heap %d MiB", out.n, people*mails, took.Round(time.Millisecond),
		float64(out.n)/took.Seconds(), out.octets/int64(max(1, out.n)), m.HeapSys>>20)
	begun = time.Now()
	w.tick(t, r)
	t.Logf("a look when nothing is due: %s", time.Since(begun).Round(time.Microsecond))
}
