package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekimori/internal/config"
)

// fast fails when f takes longer than the limit.
func fast(t *testing.T, limit time.Duration, f func() error) error {
	t.Helper()
	begin := time.Now()
	err := f()
	if took := time.Since(begin); took > limit {
		t.Errorf("took %s, want at most %s", took, limit)
	}
	return err
}

// TestHungRedis stops the process: after the first time-outs commands fail at once, and it is noticed when it goes on.
func TestHungRedis(t *testing.T) {
	r := startRedis(t)
	s := openReal(t, r.config())
	ctx := t.Context()
	if err := s.Client().Set(ctx, "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.signal(t, syscall.SIGSTOP)
	eventually(t, "the breaker opens", func() error {
		_ = fast(t, 700*time.Millisecond, func() error { return s.Client().Get(ctx, "a").Err() })
		if s.Healthy() {
			return errors.New("still closed")
		}
		return nil
	})
	for range 50 {
		err := fast(t, 50*time.Millisecond, func() error { return s.Client().Get(ctx, "a").Err() })
		if !errors.Is(err, ErrDown) {
			t.Fatalf("got %v, want ErrDown", err)
		}
	}
	err := fast(t, 50*time.Millisecond, func() error {
		_, err := s.Client().TxPipelined(ctx, func(p Pipeliner) error { p.Set(ctx, "a", "2", 0); return nil })
		return err
	})
	if !errors.Is(err, ErrDown) {
		t.Errorf("a transaction: %v, want ErrDown", err)
	}
	if s.Durable(ctx) {
		t.Error("a Redis that hangs counts as durable")
	}
	r.signal(t, syscall.SIGCONT)
	eventually(t, "it answers again", func() error { return s.Client().Get(ctx, "a").Err() })
	if !s.Healthy() {
		t.Error("not healthy although it answers")
	}
}

// TestHungRedisUnderLoad: callers that come all at once while it hangs do not wait for one another.
func TestHungRedisUnderLoad(t *testing.T) {
	r := startRedis(t)
	s := openReal(t, r.config())
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.signal(t, syscall.SIGSTOP)
	defer r.signal(t, syscall.SIGCONT)
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			_ = fast(t, 1500*time.Millisecond, func() error { return s.Client().Get(t.Context(), "a").Err() })
		})
	}
	wg.Wait()
}

// TestContextEndsTheWait: a caller's own deadline counts, and does not open the breaker when it is short.
func TestContextEndsTheWait(t *testing.T) {
	r := startRedis(t)
	c := r.config()
	c.Timeout = config.Duration(5 * time.Second)
	s := openReal(t, c)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.signal(t, syscall.SIGSTOP)
	defer r.signal(t, syscall.SIGCONT)
	for range tripAfter + 1 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		err := fast(t, 500*time.Millisecond, func() error { return s.Client().Get(ctx, "a").Err() })
		cancel()
		if err == nil || errors.Is(err, ErrDown) {
			t.Fatalf("got %v", err)
		}
	}
}

// TestDeadRedis: the store opens while nothing listens, and finds the server when it starts.
func TestDeadRedis(t *testing.T) {
	r := startRedis(t)
	r.kill()
	s := openReal(t, r.config())
	ctx := t.Context()
	for range tripAfter {
		if err := fast(t, 500*time.Millisecond, func() error { return s.Ping(ctx) }); err == nil {
			t.Fatal("a dead server answered")
		}
	}
	if err := fast(t, 50*time.Millisecond, func() error { return s.Ping(ctx) }); !errors.Is(err, ErrDown) {
		t.Errorf("got %v, want ErrDown", err)
	}
	r.start(t)
	eventually(t, "it is found", func() error { return s.Ping(ctx) })
	// Killed between two commands: the next one may fail, later ones work.
	r.kill()
	r.start(t)
	eventually(t, "after a restart", func() error { return s.Client().Set(ctx, "a", "1", 0).Err() })
}

func TestDurable(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want bool
	}{
		{nil, false},
		{[]string{"--appendonly", "yes"}, true},
		{[]string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"}, false},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			s := openReal(t, startRedis(t, tt.args...).config())
			if got := s.Durable(t.Context()); got != tt.want {
				t.Errorf("durable %v, want %v", got, tt.want)
			}
		})
	}
}

// TestDurableIsWatched: somebody switches AOF off.
func TestDurableIsWatched(t *testing.T) {
	r := startRedis(t, "--appendonly", "yes")
	s := openReal(t, r.config())
	ctx := t.Context()
	if !s.Durable(ctx) {
		t.Fatal("not durable with AOF on")
	}
	if err := s.Client().ConfigSet(ctx, "appendonly", "no").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is noticed", func() error {
		if s.Durable(ctx) {
			return errors.New("still durable")
		}
		return nil
	})
}

// TestRedisFull: a Redis without room is told from one that does not answer.
func TestRedisFull(t *testing.T) {
	s := openReal(t, startRedis(t).config())
	ctx := t.Context()
	if err := s.Client().Set(ctx, "a", "1", 0).Err(); err != nil || s.Full() {
		t.Fatal(err, s.Full())
	}
	for _, most := range []string{"1", "0"} {
		if err := s.Client().ConfigSet(ctx, "maxmemory", most).Err(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "maxmemory "+most+" is noticed", func() error {
			if full := s.Full(); full != (most == "1") {
				return fmt.Errorf("full is %v", full)
			}
			return nil
		})
		err := s.Client().Set(ctx, "a", "2", 0).Err()
		if full := most == "1"; IsFull(err) != full || (err == nil) == full || !s.Healthy() || err != nil && !IsAnswer(err) {
			t.Errorf("maxmemory %s: %v, healthy is %v", most, err, s.Healthy())
		}
	}
}

func TestSaved(t *testing.T) {
	s := openReal(t, startRedis(t).config())
	ctx := t.Context()
	if at, ok, err := s.Saved(ctx); ok || err != nil {
		t.Fatalf("nothing was saved yet: %v, %v", at, err)
	}
	written := time.Now()
	if err := s.Client().BgSave(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is saved", func() error {
		at, ok, err := s.Saved(ctx)
		if err == nil && !ok {
			err = errors.New("no save yet")
		}
		if ok && at.After(written) {
			t.Errorf("the save begun at %v, before %v", at, written)
		}
		return err
	})
}

func TestParseDurability(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	info := func(change string) string {
		return strings.Join([]string{
			"# Persistence", "loading:0", "aof_enabled:0", "aof_last_write_status:ok", "maxmemory_policy:noeviction",
			"rdb_last_save_time:1700000100", "rdb_last_bgsave_time_sec:10", "rdb_last_bgsave_status:ok",
			"server_time_usec:1700000200000000", change, "",
		}, "\r\n")
	}
	for _, tt := range []struct {
		change  string
		durable bool
		saved   time.Duration // before now; 0: none
	}{
		{"", false, 112 * time.Second}, // 100 s ago by its clock, begun 10 s before, 2 s for rounding
		{"rdb_last_bgsave_time_sec:-1", false, 0},
		{"rdb_last_bgsave_status:err", false, 0},
		{"aof_enabled:1", true, 2 * time.Second},
		{"aof_enabled:1\r\naof_last_write_status:err", false, 112 * time.Second},
		{"aof_enabled:1\r\naof_last_rewrite_time_sec:-1\r\naof_rewrite_in_progress:1", false, 112 * time.Second},
		{"aof_enabled:1\r\nloading:1", true, 0},
		{"aof_enabled:1\r\nmaxmemory_policy:volatile-ttl", false, 2 * time.Second},
	} {
		d := parseDurability(info(tt.change), now)
		if d.durable() != tt.durable {
			t.Errorf("%q: durable %v", tt.change, d.durable())
		}
		if got := now.Sub(d.saved); d.saved.IsZero() != (tt.saved == 0) || tt.saved != 0 && got != tt.saved {
			t.Errorf("%q: saved %v ago, want %v", tt.change, got, tt.saved)
		}
	}
	two := worst([]durability{{aof: true, policy: "noeviction", saved: now}, {aof: true, policy: "allkeys-lru"}})
	if two.durable() || !two.saved.IsZero() {
		t.Errorf("the worse of two nodes: %+v", two)
	}
}

func TestWrongConfiguration(t *testing.T) {
	for _, c := range []config.Redis{
		{URL: "http://127.0.0.1/"},
		{URL: "redis://:hunter2@127.0.0.1:port/0"},
		{URL: "redis://127.0.0.1", Cluster: []string{"127.0.0.1:7000"}},
	} {
		_, err := Open(t.Context(), Options{Redis: c})
		if err == nil {
			t.Errorf("%+v was accepted", c)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

// TestBreaker drives one without a server and without waiting.
func TestBreaker(t *testing.T) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer wg.Wait()
	defer cancel()
	proceed := make(chan struct{})
	var pauses []time.Duration
	wait := func(ctx context.Context, d time.Duration) bool {
		pauses = append(pauses, d)
		select {
		case <-proceed:
			return true
		case <-ctx.Done():
			return false
		}
	}
	bs := &breakers{ctx: ctx, wg: &wg, log: slog.New(slog.DiscardHandler), timeout: time.Second, wait: wait}
	closed := make(chan struct{})
	bs.onClose(func() { close(closed) })
	answers := []error{context.DeadlineExceeded, errors.New("LOADING"), nil}
	b := bs.add("", func(context.Context) error { a := answers[0]; answers = answers[1:]; return a })
	fail := fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED)
	b.report(ctx, fail, 0)
	b.report(ctx, fail, 0)
	b.report(ctx, nil, 0) // an answer starts the count anew
	b.report(ctx, fail, 0)
	b.report(ctx, context.Canceled, 0)
	b.report(ctx, fail, 0)
	if b.allow(ctx) != nil {
		t.Fatal("open after two failures in a row")
	}
	b.report(ctx, fail, 0)
	if err := b.allow(ctx); !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("after three failures: %v", err)
	}
	for range 3 {
		proceed <- struct{}{}
	}
	<-closed
	if err := b.allow(ctx); err != nil {
		t.Errorf("after an answer: %v", err)
	}
	if fmt.Sprint(pauses) != "[250ms 500ms 1s]" {
		t.Errorf("paused %v", pauses)
	}
}
