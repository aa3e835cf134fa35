package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

var taro = mail.Address{Local: "taro", Domain: "example.jp"}

// nodes are two stores of sessions over one store.
func nodes(t *testing.T, open func(*testing.T, *clock) *store.Store) (a, b *Store, st *store.Store, c *clock) {
	t.Helper()
	c = &clock{t: time.Now()}
	st = open(t, c)
	o := Options{Client: st.Client(), Idle: 30 * time.Minute, Lifetime: 8 * time.Hour, Now: c.now}
	return New(o), New(o), st, c
}

func embedded(t *testing.T, c *clock) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// realRedis starts a redis-server in a private folder.
func realRedis(t *testing.T, _ *clock) *store.Store {
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

// both runs a test over the embedded store and over a real Redis.
func both(t *testing.T, f func(t *testing.T, a, b *Store, st *store.Store, c *clock)) {
	for name, open := range map[string]func(*testing.T, *clock) *store.Store{"embedded": embedded, "redis": realRedis} {
		t.Run(name, func(t *testing.T) {
			a, b, st, c := nodes(t, open)
			f(t, a, b, st, c)
		})
	}
}

func begin(t *testing.T, s *Store, n Session) Session {
	t.Helper()
	got, err := s.Begin(t.Context(), n, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestOtherNodeKnowsIt(t *testing.T) {
	both(t, func(t *testing.T, a, b *Store, st *store.Store, c *clock) {
		n := begin(t, a, Session{Kind: Person, Name: "taro@example.jp", Role: "person", Person: taro, Lang: "ja", Via: "link", Mails: []string{"m1"}})
		got, err := b.Get(t.Context(), n.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Person != taro || got.Lang != "ja" || got.Role != "person" || !got.Opens("m1") || got.Opens("m2") || got.Opens("") {
			t.Errorf("%+v", got)
		}
		if err := b.Open(t.Context(), got, "m2", c.now()); err != nil {
			t.Fatal(err)
		}
		if got, _ = a.Get(t.Context(), n.ID); !slices.Equal(got.Mails, []string{"m1", "m2"}) || got.All {
			t.Errorf("%+v", got)
		}
		if err := a.Open(t.Context(), got, "", c.now()); err != nil {
			t.Fatal(err)
		}
		if got, _ = b.Get(t.Context(), n.ID); !got.Opens("anything") {
			t.Errorf("%+v", got)
		}
		if err := a.End(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), n.ID); !errors.Is(err, ErrNone) {
			t.Errorf("after the end: %v", err)
		}
		for _, f := range []func() error{
			func() error { return b.Open(t.Context(), got, "m3", c.now()) },
			func() error { return b.seen(t.Context(), got, c.now()) },
		} {
			if err := f(); !errors.Is(err, ErrNone) {
				t.Errorf("a session that has ended came back: %v", err)
			}
		}
		_ = b.SetLang(t.Context(), got, "en")
		if n := st.Client().Exists(t.Context(), key(n.ID)).Val(); n != 0 {
			t.Error("a session that has ended came back")
		}
	})
}

// TestIDIsNotStored: nothing in the store lets its reader take part in a session.
func TestIDIsNotStored(t *testing.T) {
	a, _, st, _ := nodes(t, embedded)
	n := begin(t, a, Session{Kind: Console, Name: "admin", Role: "admin"})
	nonce, err := a.Nonce(n, "/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Use(t.Context(), n, "/x", nonce); err != nil {
		t.Fatal(err)
	}
	keys, _, err := st.Client().Scan(t.Context(), 0, "*", 1000).Result()
	if err != nil || len(keys) != 2 {
		t.Fatalf("%v %v", keys, err)
	}
	for _, k := range keys {
		if strings.Contains(k, n.ID) {
			t.Errorf("the id stands in the key %s", k)
		}
	}
	for f, v := range st.Client().HGetAll(t.Context(), key(n.ID)).Val() {
		if strings.Contains(f+v, n.ID) {
			t.Errorf("the id stands in the field %s", f)
		}
	}
	if _, err := a.Get(t.Context(), hashOf(n.ID)); !errors.Is(err, ErrNone) {
		t.Errorf("what the store shows opens a session: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	a, _, st, c := nodes(t, embedded)
	get := func(n Session) error { st.Expire(); _, err := a.Get(t.Context(), n.ID); return err }
	idle := begin(t, a, Session{Kind: Console, Name: "idle"})
	c.add(29 * time.Minute)
	if err := get(idle); err != nil {
		t.Error(err)
	}
	c.add(29 * time.Minute) // since the last request
	if err := get(idle); err != nil {
		t.Error(err)
	}
	c.add(32 * time.Minute)
	if err := get(idle); !errors.Is(err, ErrNone) {
		t.Errorf("idle: %v", err)
	}
	busy := begin(t, a, Session{Kind: Console, Name: "busy"})
	for range 8*60/10 - 1 {
		c.add(10 * time.Minute)
		if err := get(busy); err != nil {
			t.Fatalf("busy, after %v: %v", c.now().Sub(busy.Begun), err)
		}
	}
	c.add(10 * time.Minute)
	if err := get(busy); !errors.Is(err, ErrNone) {
		t.Errorf("over its lifetime: %v", err)
	}
	short, err := a.Begin(t.Context(), Session{Kind: Person, Person: taro}, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c.add(2*time.Minute + time.Second)
	if err := get(short); !errors.Is(err, ErrNone) {
		t.Errorf("of a machine, without a further request: %v", err)
	}
}

// TestNonce: once, for one form, in one session, on whichever node.
func TestNonce(t *testing.T) {
	both(t, func(t *testing.T, a, b *Store, _ *store.Store, _ *clock) {
		n, other := begin(t, a, Session{Kind: Person, Person: taro}), begin(t, a, Session{Kind: Person, Person: taro})
		nonce, err := a.Nonce(n, "/mail/m1")
		if err != nil {
			t.Fatal(err)
		}
		for name, use := range map[string]func() error{
			"another form":    func() error { _, _, err := a.Use(t.Context(), n, "/mail/m2", nonce); return err },
			"another session": func() error { _, _, err := a.Use(t.Context(), other, "/mail/m1", nonce); return err },
			"none":            func() error { _, _, err := a.Use(t.Context(), n, "/mail/m1", ""); return err },
			"altered":         func() error { _, _, err := a.Use(t.Context(), n, "/mail/m1", "A"+nonce[1:]+"A"); return err },
			"longer":          func() error { _, _, err := a.Use(t.Context(), n, "/mail/m1", nonce+"AAAA"); return err },
		} {
			if err := use(); !errors.Is(err, ErrNonce) {
				t.Errorf("%s: %v", name, err)
			}
		}
		const tries = 20
		firsts := make(chan bool, tries)
		for i := range tries {
			go func() {
				_, first, err := []*Store{a, b}[i%2].Use(context.Background(), n, "/mail/m1", nonce)
				if err != nil {
					t.Error(err)
				}
				firsts <- first
			}()
		}
		count := 0
		for range tries {
			if <-firsts {
				count++
			}
		}
		if count != 1 {
			t.Fatalf("%d were the first", count)
		}
		if err := a.Finish(t.Context(), n, "/mail/m1", nonce, "/done/r1"); err != nil {
			t.Fatal(err)
		}
		if result, first, err := b.Use(t.Context(), n, "/mail/m1", nonce); first || result != "/done/r1" || err != nil {
			t.Errorf("%q %v %v", result, first, err)
		}
		if err := b.Return(t.Context(), n, "/mail/m1", nonce); err != nil {
			t.Fatal(err)
		}
		if _, first, err := a.Use(t.Context(), n, "/mail/m1", nonce); !first || err != nil {
			t.Errorf("after Return: %v %v", first, err)
		}
	})
}

func TestBurst(t *testing.T) {
	both(t, func(t *testing.T, a, b *Store, _ *store.Store, c *clock) {
		count := func(s *Store, token string) int {
			n, err := s.Burst(t.Context(), taro, token)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for i, token := range []string{"t1", "t1", "t2", "t3"} {
			if got, want := count([]*Store{a, b}[i%2], token), []int{1, 1, 2, 3}[i]; got != want {
				t.Errorf("%s: %d, want %d", token, got, want)
			}
		}
		if n, _ := a.Burst(t.Context(), mail.Address{Local: "hanako", Domain: "example.jp"}, "t9"); n != 1 {
			t.Errorf("another person: %d", n)
		}
		c.add(11 * time.Second)
		if n := count(a, "t4"); n != 1 {
			t.Errorf("later: %d", n)
		}
	})
}

func FuzzNonce(f *testing.F) {
	s := New(Options{Rand: strings.NewReader(strings.Repeat("r", 64))}) // the same in every process of the fuzzer
	n := Session{ID: strings.Repeat("x", 43)}
	good, err := s.Nonce(n, "/mail/m1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Fuzz(func(t *testing.T, nonce string) {
		if _, err := nonceKey(n, "/mail/m1", nonce); err == nil && nonce != good {
			t.Fatalf("%q is taken", nonce)
		}
	})
}
