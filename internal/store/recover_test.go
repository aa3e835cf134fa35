package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		if err := s.Client().Set(t.Context(), fmt.Sprint("k", i), fmt.Sprint("value ", i), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// count returns how many of k0… are there, and fails when one is missing between two others.
func count(t *testing.T, s *Store) int {
	t.Helper()
	n := 0
	for s.Client().Get(t.Context(), fmt.Sprint("k", n)).Val() == fmt.Sprint("value ", n) {
		n++
	}
	if all := int(s.Client().DBSize(t.Context()).Val()); all != n {
		t.Fatalf("%d keys, of which only the first %d are in order", all, n)
	}
	return n
}

// TestTornTail cuts and spoils the log at every octet of its last record: the record is gone, nothing else.
func TestTornTail(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := openTest(t, dir, c)
	write(t, s, 3)
	before := fileSize(filepath.Join(dir, "store", "00000000.log"))
	write4 := s.Client().Set(t.Context(), "k3", "value 3", 0).Err()
	if err := errors.Join(write4, s.Close()); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "store", "00000000.log"))
	if err != nil {
		t.Fatal(err)
	}
	for at := before; at < int64(len(log)); at++ {
		spoiled := bytes.Clone(log)
		spoiled[at] ^= 0x55
		for _, bad := range [][]byte{log[:at], spoiled} {
			tornCase(t, bad, c)
		}
	}
}

func tornCase(t *testing.T, log []byte, c *clock) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "store", "00000000.log")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, log, 0o600)); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, dir, c)
	if n := count(t, s); n != 3 {
		t.Fatalf("%d keys, want 3", n)
	}
	// What is written afterwards must be readable behind the cut.
	if err := s.Client().Set(t.Context(), "k3", "value 3", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, c)
	if n := count(t, s); n != 4 {
		t.Fatalf("%d keys after the next write, want 4", n)
	}
	_ = s.Close()
}

// TestDamageInTheMiddle: what is behind the damage is set aside, and the administrator is told that it is missing.
func TestDamageInTheMiddle(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := openTest(t, dir, c)
	write(t, s, 2)
	path := filepath.Join(dir, "store", "00000000.log")
	at := fileSize(path)
	write(t, s, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log, _ := os.ReadFile(path)
	log[at+12] ^= 1
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s = openTest(t, dir, c, func(o *embeddedOptions) { o.log = slog.New(slog.NewTextHandler(&said, nil)) })
	if n := count(t, s); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "whole_records=9") {
		t.Errorf("said %s", said.String())
	}
	if cut, err := os.ReadFile(path + ".cut"); err != nil || !bytes.Equal(cut, log[at:]) {
		t.Errorf("set aside: %d octets, %v", len(cut), err)
	}
}

func TestNotOurLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store", "00000000.log")
	_ = os.Mkdir(filepath.Dir(path), 0o700)
	_ = os.WriteFile(path, []byte("sekimori-store 2\nsomething newer"), 0o600)
	if _, err := tryOpen(dir, newClock()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a log of a newer version: %v", err)
	}
}

func TestDamagedSnapshotIsAnError(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	s := openTest(t, dir, c)
	write(t, s, 10)
	if err := errors.Join(s.embedded.compact(), s.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "store", "00000001.snap")
	if err := os.Truncate(path, fileSize(path)-3); err != nil {
		t.Fatal(err)
	}
	if _, err := tryOpen(dir, c); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged snapshot: %v", err)
	}
}

// everyKind writes one key of every kind, some with an expiry, by single commands, a transaction and a script.
func everyKind(t *testing.T, c Client) {
	t.Helper()
	ctx := t.Context()
	c.Set(ctx, "s", "v", 0)
	c.Set(ctx, "s:ttl", "v", 90*time.Second)
	c.HSet(ctx, "h", "a", "1", "b", "\x00\xff")
	c.HIncrByFloat(ctx, "h", "f", 0.1)
	c.Expire(ctx, "h", time.Hour)
	c.SAdd(ctx, "set", "x", "y")
	_, err := c.TxPipelined(ctx, func(p Pipeliner) error {
		p.ZAdd(ctx, "z", Z{Score: 1.5, Member: "m"}, Z{Score: 1763616720123, Member: "n"})
		p.PExpireAt(ctx, "z", time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	script := NewScript(`redis.call('SET', KEYS[1], ARGV[1], 'PX', 5000) redis.call('INCRBY', KEYS[2], 7) return 1`)
	for range 2 {
		if err := script.Run(ctx, c, []string{"e:ttl", "e:n"}, "v").Err(); err != nil {
			t.Fatal(err)
		}
	}
	c.Set(ctx, Volatile+"gone", "v", time.Hour)
}

// state gives everything that is in the store.
func state(s *Store) string {
	g := s.embedded.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	var b strings.Builder
	for _, c := range g.dump(false) {
		if c[0] == "ZADD" { // members come in the order of a Go map
			scores, _ := g.m.SortedSet(c[1])
			c = []string{"ZADD", c[1], fmt.Sprint(scores)}
		}
		fmt.Fprintf(&b, "%q\n", c)
	}
	return b.String()
}

func TestReplayGivesTheSame(t *testing.T) {
	c := newClock()
	s := openTest(t, t.TempDir(), c)
	everyKind(t, s.Client())
	c.add(300 * time.Millisecond)
	s.Expire()
	c.add(450 * time.Millisecond)
	s.Client().Set(t.Context(), "later", "v", 700*time.Millisecond)
	s.Expire()
	want := state(s)
	s = reopen(t, s, c)
	if got := state(s); got != want {
		t.Errorf("after a replay:\n%swant:\n%s", got, want)
	}
	for range 2 {
		if err := s.embedded.compact(); err != nil {
			t.Fatal(err)
		}
		s = reopen(t, s, c)
		if got := state(s); got != want {
			t.Errorf("after a compaction:\n%swant:\n%s", got, want)
		}
	}
	if n := s.Client().Exists(t.Context(), Volatile+"gone").Val(); n != 0 {
		t.Error("a volatile key was kept")
	}
	entries, _ := filepath.Glob(filepath.Join(s.embedded.dir, "0*"))
	if len(entries) != 2 {
		t.Errorf("files %v, want one snapshot and one log", entries)
	}
}

// TestExpiryGoesOnWhileClosed: time to live is a point in time.
func TestExpiryGoesOnWhileClosed(t *testing.T) {
	c := newClock()
	s := openTest(t, t.TempDir(), c)
	everyKind(t, s.Client())
	c.add(6 * time.Second)
	s = reopen(t, s, c)
	for key, want := range map[string]int64{"e:ttl": 0, "s:ttl": 1, "s": 1, "h": 1} {
		if got := s.Client().Exists(t.Context(), key).Val(); got != want {
			t.Errorf("after 6s %s: %d, want %d", key, got, want)
		}
	}
	if ttl := s.Client().PTTL(t.Context(), "s:ttl").Val(); ttl != 84*time.Second {
		t.Errorf("time to live %s, want 84s", ttl)
	}
	c.add(2 * time.Hour)
	s = reopen(t, s, c)
	if n := s.Client().Exists(t.Context(), "s:ttl", "h", "z").Val(); n != 0 {
		t.Errorf("%d keys outlived their time", n)
	}
}

// TestNotTooEarly: a short expiry that is set right before a tick.
func TestNotTooEarly(t *testing.T) {
	c := newClock()
	s := openTest(t, t.TempDir(), c)
	ctx := t.Context()
	c.add(900 * time.Millisecond)
	s.Client().Set(ctx, "a", "v", 500*time.Millisecond)
	c.add(100 * time.Millisecond)
	s.Expire()
	if s.Client().Exists(ctx, "a").Val() != 1 {
		t.Fatal("gone after 100ms of 500ms")
	}
	if ttl := s.Client().PTTL(ctx, "a").Val(); ttl != 400*time.Millisecond {
		t.Errorf("%s left, want 400ms", ttl)
	}
	c.add(400 * time.Millisecond)
	s.Expire()
	if s.Client().Exists(ctx, "a").Val() != 0 {
		t.Error("still there after 500ms")
	}
	// A point in time that is the last tick itself is past, not "never".
	s.Client().SetArgs(ctx, "b", "v", SetArgs{ExpireAt: c.now()})
	c.add(time.Second)
	s.Expire()
	if s.Client().Exists(ctx, "b").Val() != 0 {
		t.Error("a key that expired at once is still there")
	}
	c.add(-time.Hour)
	s.Expire()
	s.Client().Set(ctx, "c", "v", time.Minute)
	c.add(time.Minute)
	s.Expire()
	if s.Client().Exists(ctx, "c").Val() != 0 {
		t.Error("the clock was set back: the key outlived its minute")
	}
}

// TestInterruptedCompaction stops a compaction at each of its steps.
func TestInterruptedCompaction(t *testing.T) {
	for _, step := range []string{"log made", "snapshot half written", "snapshot complete"} {
		t.Run(step, func(t *testing.T) {
			c := newClock()
			dir := t.TempDir()
			s := openTest(t, dir, c)
			write(t, s, 5)
			old, _ := os.ReadFile(filepath.Join(s.embedded.dir, "00000000.log"))
			if err := s.embedded.compact(); err != nil {
				t.Fatal(err)
			}
			write(t, s, 7)
			_ = s.Close()
			f := files{dir: s.embedded.dir}
			_ = os.WriteFile(f.log(0), old, 0o600)
			switch step {
			case "log made":
				_ = os.Remove(f.snap(1))
			case "snapshot half written":
				_ = os.Rename(f.snap(1), f.snap(1)+".tmp")
				_ = os.Truncate(f.snap(1)+".tmp", 30)
			}
			s = openTest(t, dir, c)
			if n := count(t, s); n != 7 {
				t.Errorf("%d keys, want 7", n)
			}
			if err := s.embedded.compact(); err != nil {
				t.Fatal(err)
			}
			if n := count(t, reopen(t, s, c)); n != 7 {
				t.Errorf("%d keys after a compaction, want 7", n)
			}
		})
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir, newClock())
	_, err := Open(t.Context(), Options{DataDir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("opened twice: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, Options{DataDir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("dialled a locked store without a socket: %v", err)
	}
}
