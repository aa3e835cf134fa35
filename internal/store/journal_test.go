package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// brokenFile fails its writes, or its syncs, while told to.
type brokenFile struct {
	*os.File
	mu    sync.Mutex
	write error
	sync  error
}

func (b *brokenFile) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.write != nil {
		n, _ := b.File.Write(p[:len(p)/2])
		return n, b.write
	}
	return b.File.Write(p)
}

func (b *brokenFile) Sync() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(b.sync, b.File.Sync())
}

// TestDiskFails: what could not be made durable is not acknowledged, and writing goes on only after a snapshot.
func TestDiskFails(t *testing.T) {
	for name, broken := range map[string]*brokenFile{
		"write": {write: syscall.ENOSPC},
		"sync":  {sync: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := openTest(t, t.TempDir(), c)
			write(t, s, 3)
			j := s.embedded.gate.log
			broken.File = j.file.(*os.File)
			j.mu.Lock()
			j.file = broken
			j.mu.Unlock()
			for range 2 {
				err := s.Client().Set(t.Context(), "k3", "value 3", 0).Err()
				if err == nil || !strings.HasPrefix(err.Error(), "MISCONF") {
					t.Fatalf("acknowledged, or: %v", err)
				}
			}
			if s.Healthy() {
				t.Error("healthy although nothing can be written")
			}
			if v := s.Client().Get(t.Context(), "k0").Val(); v != "value 0" {
				t.Errorf("reading does not work: %q", v)
			}
			s.embedded.maintain()
			if !s.Healthy() {
				t.Fatal("a snapshot did not mend it")
			}
			write(t, s, 5)
			if n := count(t, reopen(t, s, c)); n != 5 {
				t.Errorf("%d keys, want 5", n)
			}
		})
	}
}

// TestFull: what adds is refused, what deletes is not, and room is found again.
func TestFull(t *testing.T) {
	c := newClock()
	s := openTest(t, t.TempDir(), c, func(o *embeddedOptions) { o.limit = 1 << 20 })
	ctx := t.Context()
	big := strings.Repeat("x", 100<<10)
	var full error
	n := 0
	for ; full == nil && n < 20; n++ {
		full = s.Client().Set(ctx, fmt.Sprint("big", n), big, 0).Err()
	}
	if full == nil || !strings.HasPrefix(full.Error(), "OOM") {
		t.Fatalf("after %d: %v", n, full)
	}
	_, err := s.Client().TxPipelined(ctx, func(p Pipeliner) error { p.Set(ctx, "tx", "v", 0); return nil })
	if err == nil || s.Client().Exists(ctx, "tx").Val() != 0 {
		t.Errorf("a transaction went through: %v", err)
	}
	if err := s.Client().Set(ctx, Volatile+"counter", "1", time.Minute).Err(); err != nil {
		t.Errorf("a volatile key: %v", err)
	}
	for i := range n / 2 {
		if err := s.Client().Del(ctx, fmt.Sprint("big", i)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.embedded.maintain()
	if err := s.Client().Set(ctx, "again", big, 0).Err(); err != nil {
		t.Errorf("after deleting: %v", err)
	}
}

func TestRefused(t *testing.T) {
	s := openTest(t, t.TempDir(), newClock())
	c, ctx := s.Client(), t.Context()
	for what, err := range map[string]error{
		"a list":              c.LPush(ctx, "l", "v").Err(),
		"the time":            c.Time(ctx).Err(),
		"chance":              c.SPop(ctx, "s").Err(),
		"another database":    c.Do(ctx, "SELECT", "1").Err(),
		"mixed keys":          c.Del(ctx, Volatile+"a", "b").Err(),
		"the time in scripts": NewScript(`return redis.call('TIME')`).Run(ctx, c, nil).Err(),
		"mixed in scripts":    NewScript(`return redis.call('DEL', 'v:a', 'b')`).Run(ctx, c, nil).Err(),
	} {
		if err == nil || errors.Is(err, Nil) {
			t.Errorf("%s: allowed (%v)", what, err)
		}
	}
	cmds, err := c.TxPipelined(ctx, func(p Pipeliner) error {
		p.Set(ctx, "a", "v", 0)
		p.Eval(ctx, "return 1", nil)
		return nil
	})
	if err == nil || c.Exists(ctx, "a").Val() != 0 {
		t.Errorf("a script in MULTI: %v %v", cmds, err)
	}
}

// TestScriptThatFailsHalfWay: what it did before is kept, as in Redis, and survives.
func TestScriptThatFailsHalfWay(t *testing.T) {
	c := newClock()
	s := openTest(t, t.TempDir(), c)
	ctx := t.Context()
	script := NewScript(`redis.call('SET', 'a', '1') redis.call('HSET', 'a', 'f', 'v') redis.call('SET', 'b', '1')`)
	if err := script.Run(ctx, s.Client(), nil).Err(); err == nil {
		t.Fatal("HSET of a string was allowed")
	}
	want := state(s)
	if !strings.Contains(want, `"a"`) || strings.Contains(want, `"b"`) {
		t.Fatalf("state %s", want)
	}
	if got := state(reopen(t, s, c)); got != want {
		t.Errorf("after a replay %s, want %s", got, want)
	}
}

// TestRenew moves everything to a fresh miniredis; commands go on, a WATCH across it fails rather than lies.
func TestRenew(t *testing.T) {
	c := newClock()
	s := openTest(t, t.TempDir(), c)
	ctx := t.Context()
	everyKind(t, s.Client())
	want := state(s)
	script := NewScript(`return redis.call('GET', KEYS[1])`)
	_ = script.Run(ctx, s.Client(), []string{"s"}).Err()
	err := s.Client().Watch(ctx, func(tx *Tx) error {
		s.embedded.gate.mu.Lock()
		s.embedded.gate.written = renewAfter + 1
		s.embedded.gate.mu.Unlock()
		s.embedded.maintain()
		_, err := tx.TxPipelined(ctx, func(p Pipeliner) error { p.Set(ctx, "s", "lost update", 0); return nil })
		return err
	}, "s")
	if err == nil {
		t.Error("a watched transaction went through")
	}
	if got := state(s); got != want {
		t.Errorf("after renewing:\n%swant:\n%s", got, want)
	}
	if s.Client().Exists(ctx, Volatile+"gone").Val() != 1 {
		t.Error("the volatile key is gone although nothing was closed")
	}
	if v, err := script.Run(ctx, s.Client(), []string{"s"}).Text(); v != "v" || err != nil {
		t.Errorf("a script: %q, %v", v, err)
	}
	if got := state(reopen(t, s, c)); got != want {
		t.Errorf("after a replay:\n%swant:\n%s", got, want)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "store.sock"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("store.sock: %v, %v", st.Mode(), err)
	}
	st, err = os.Stat(filepath.Join(dir, "store"))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("store: %v, %v", st.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "store.sock")); err == nil {
		t.Error("the socket outlived Close")
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a closed store answers")
	}
	// A command opens the files itself, and a stale socket of a killed serve does not stop anybody.
	if err := os.WriteFile(filepath.Join(dir, "store.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Dial(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Ping(t.Context()), d.Close()); err != nil {
		t.Error(err)
	}
	s, err = Open(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	d, err = Dial(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if d.embedded != nil {
		t.Error("the files were opened beside a running serve")
	}
}

func TestInfo(t *testing.T) {
	s := openTest(t, t.TempDir(), newClock())
	text, err := s.Client().Info(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if d := parseDurability(text, time.Now()); !d.durable() {
		t.Errorf("INFO of the embedded store says it is not durable:\n%s", text)
	}
}
