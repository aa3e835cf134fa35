package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/store"
)

// clock is a time that a test moves; one goroutine uses it.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

const day = 24 * time.Hour

func node(t *testing.T, st *store.Store, c *clock) *Keys {
	t.Helper()
	k, err := New(Options{Store: st.Client(), Lifetime: 14 * day, Rotation: 30 * day, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func embedded(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// realRedis starts a redis-server in a private folder.
func realRedis(t *testing.T) *store.Store {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	cmd := exec.Command(bin, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	st, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port), Timeout: config.Duration(2 * time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if err = st.Ping(context.Background()); err == nil {
			return st
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestTwoNodes: what one node signs the other opens at once, through every rotation, and each link opens until it expires.
func TestTwoNodes(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *store.Store{"embedded": embedded, "redis": realRedis} {
		t.Run(name, func(t *testing.T) {
			st, c := open(t), &clock{now}
			a, b := node(t, st, c), node(t, st, c)
			type issued struct {
				token string
				until time.Time
			}
			var links []issued
			ids := map[string]bool{}
			for range 120 { // days
				token := sign(t, a, Claim{Person: addr(t, "taro@example.jp"), Action: "show"})
				if _, err := b.Verify(t.Context(), token, c.t); err != nil {
					t.Fatalf("%v: the other node does not open it: %v", c.t, err)
				}
				links = append(links, issued{token, c.t.Add(14 * day)})
				ids[token[2:12]] = true
				for _, l := range links {
					_, err := b.Verify(t.Context(), l.token, c.t)
					if alive := c.t.Before(l.until); alive && err != nil || !alive && !errors.Is(err, ErrExpired) && !errors.Is(err, ErrKey) {
						t.Fatalf("%v: a link until %v: %v", c.t, l.until, err)
					}
				}
				c.t = c.t.Add(day)
				if err := a.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
				a, b = b, a
			}
			if len(ids) < 4 {
				t.Errorf("%d keys in 120 days", len(ids))
			}
			if n := st.Client().HLen(t.Context(), keysKey).Val(); n < 1 || n > 2 {
				t.Errorf("%d keys are kept", n)
			}
			if _, err := a.Verify(t.Context(), links[0].token, c.t); !errors.Is(err, ErrKey) {
				t.Errorf("a link of the first day: %v, want ErrKey", err)
			}
		})
	}
}

// TestBothNodesAtOnce: of nodes that start together with an empty store one makes the key.
func TestBothNodesAtOnce(t *testing.T) {
	st, c := realRedis(t), &clock{now}
	const n = 8
	nodes := make([]*Keys, n)
	done := make(chan error, n)
	for i := range nodes {
		nodes[i] = node(t, st, c)
		go func() { done <- nodes[i].Load(context.Background()) }()
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	token := sign(t, nodes[0], Claim{Person: addr(t, "taro@example.jp"), Action: "show"})
	for i, k := range nodes {
		if _, err := k.Verify(t.Context(), token, c.t); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	if n := st.Client().HLen(t.Context(), keysKey).Val(); n != 1 {
		t.Errorf("%d keys", n)
	}
}

// TestUnknownIDs: made-up key ids must not send a question to the store each.
func TestUnknownIDs(t *testing.T) {
	st, c := embedded(t), &clock{now}
	k := node(t, st, c)
	if err := k.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	token := sign(t, fromFile(t, oneKey), Claim{Person: addr(t, "taro@example.jp"), Action: "show"})
	for range 100 {
		if _, err := k.Verify(t.Context(), token, c.t); !errors.Is(err, ErrKey) {
			t.Fatalf("%v: the store was asked again within a second", err)
		}
	}
}

// TestFileBesideStore: with a key file the links that a key of the store signed still open.
func TestFileBesideStore(t *testing.T) {
	st, c := embedded(t), &clock{now}
	token := sign(t, node(t, st, c), Claim{Person: addr(t, "taro@example.jp"), Action: "show"})
	k, err := New(Options{Store: st.Client(), File: oneKey, Lifetime: 14 * day, Rotation: 30 * day, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Verify(t.Context(), token, c.t); err != nil {
		t.Error(err)
	}
	if _, err := fromFile(t, oneKey).Verify(t.Context(), sign(t, k, Claim{Person: addr(t, "taro@example.jp"), Action: "show"}), c.t); err != nil {
		t.Error(err)
	}
}

// TestFirstKeyAhead: the first key of all signs at once, also where its node's clock is ahead or a millisecond went by while
// it was made.
func TestFirstKeyAhead(t *testing.T) {
	st := embedded(t)
	ticking := &clock{now}
	first, err := New(Options{Store: st.Client(), Lifetime: 14 * 24 * time.Hour, Rotation: 30 * 24 * time.Hour, Now: func() time.Time {
		ticking.t = ticking.t.Add(time.Millisecond)
		return ticking.t
	}})
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, first, Claim{Person: addr(t, "taro@example.jp"), Action: "show"})
	behind := node(t, st, &clock{now.Add(-time.Minute)})
	other := sign(t, behind, Claim{Person: addr(t, "taro@example.jp"), Action: "show"})
	for _, tok := range []string{token, other} {
		if _, err := behind.Verify(t.Context(), tok, now); err != nil {
			t.Error(err)
		}
		if _, err := first.Verify(t.Context(), tok, now); err != nil {
			t.Error(err)
		}
	}
}
