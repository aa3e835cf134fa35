package audit

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sekimori/internal/config"
	"sekimori/internal/store"
)

// clock is read by the store's own goroutines, too.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// everywhere runs a test against the embedded store and a real Redis. The clock begins now, because Redis expires keys by its own.
func everywhere(t *testing.T, f func(t *testing.T, l *Log, now *clock)) {
	run := func(t *testing.T, r config.Redis) {
		now := &clock{t: time.Now().UTC().Truncate(time.Millisecond)}
		st, err := store.Open(t.Context(), store.Options{Redis: r, DataDir: filepath.Join(t.TempDir(), "data"), Now: now.now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		for deadline := time.Now().Add(10 * time.Second); st.Ping(t.Context()) != nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the store does not answer")
			}
		}
		n := 0
		f(t, New(Options{
			Client: st.Client(), Now: now.now, Retention: 30 * 24 * time.Hour,
			NewID: func() string { n++; return fmt.Sprintf("e%06d", n) },
		}), now)
	}
	t.Run("embedded", func(t *testing.T) { run(t, config.Redis{}) })
	t.Run("redis", func(t *testing.T) { run(t, startRedis(t)) })
}

func startRedis(t *testing.T) config.Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "redis.sock")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return config.Redis{URL: "unix://" + sock}
}

func TestAppendList(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Log, now *clock) {
		ctx := t.Context()
		var want []Entry
		for day := range 3 {
			for i := range 4 {
				e := Entry{
					Actor: fmt.Sprintf("p%d@example.jp", i), Role: "person", Act: "release", IDs: []string{fmt.Sprintf("m%d-%d", day, i), "shared"},
					Rcpts: []string{"Sato@example.jp"}, Peer: netip.MustParseAddr("2001:db8::1"), Via: "web", Detail: "件名",
				}
				if i == 3 {
					e.Act, e.Rcpts = "look", nil
				}
				if err := l.Append(ctx, e); err != nil {
					t.Fatal(err)
				}
				e.Time = now.now()
				want = append([]Entry{e}, want...)
				if i%2 == 0 { // two of one millisecond
					now.add(time.Second)
				}
			}
			now.add(24 * time.Hour)
		}
		check := func(name string, q Query, want []Entry) {
			t.Helper()
			var got []Entry
			for range 100 {
				p, err := l.List(ctx, q)
				if err != nil {
					t.Fatal(name, err)
				}
				got = append(got, p.Entries...)
				if q.Cursor = p.Next; q.Cursor == "" {
					break
				}
			}
			same := cmpopts.SortSlices(func(a, b Entry) int { return strings.Compare(a.Time.String()+a.Actor, b.Time.String()+b.Actor) })
			if d := cmp.Diff(want, got, same, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Errorf("%s (-want +got)\n%s", name, d)
			}
			for i := 1; i < len(got); i++ {
				if got[i].Time.After(got[i-1].Time) {
					t.Errorf("%s: not newest first", name)
				}
			}
		}
		only := func(f func(e Entry) bool) (list []Entry) {
			for _, e := range want {
				if f(e) {
					list = append(list, e)
				}
			}
			return list
		}
		check("all", Query{}, want)
		check("in pages of one", Query{Limit: 1}, want)
		check("in pages of five", Query{Limit: 5}, want)
		check("actor", Query{Actor: "P1@", Limit: 1}, only(func(e Entry) bool { return e.Actor == "p1@example.jp" }))
		check("act", Query{Act: "look"}, only(func(e Entry) bool { return e.Act == "look" }))
		check("rcpt", Query{Rcpt: "sato@"}, only(func(e Entry) bool { return len(e.Rcpts) > 0 }))
		check("mail", Query{ID: "m1-2"}, only(func(e Entry) bool { return e.IDs[0] == "m1-2" }))
		check("mail of many", Query{ID: "shared", Limit: 2}, want)
		check("mail and act", Query{ID: "shared", Act: "look"}, only(func(e Entry) bool { return e.Act == "look" }))
		check("no such mail", Query{ID: "m9"}, nil)
		since, until := want[8].Time, want[3].Time
		check("time", Query{Since: since, Until: until}, only(func(e Entry) bool { return !e.Time.Before(since) && e.Time.Before(until) }))
		if _, err := l.List(ctx, Query{Cursor: "x"}); err == nil {
			t.Error("a cursor that is none was taken")
		}
		if ttl := l.o.Client.PTTL(ctx, dayKey(want[0].Time.Format(dayLayout))).Val(); ttl < 29*24*time.Hour || ttl > 35*24*time.Hour {
			t.Errorf("a day lives %s", ttl)
		}
	})
}

// TestAppendFails: what cannot be written down is an error, so that the act is not done.
func TestAppendFails(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: "redis://127.0.0.1:1/0", Timeout: config.Duration(200 * time.Millisecond)}})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := New(Options{Client: st.Client(), Now: time.Now, NewID: func() string { return "x" }, Log: slog.New(slog.DiscardHandler)})
	if err := l.Append(t.Context(), Entry{Act: "release"}); err == nil {
		t.Error("nobody wrote it down")
	}
}

func TestCut(t *testing.T) {
	if got := cut(strings.Repeat("あ", 400)); len(got) > detailMost || !strings.HasSuffix(got, "あ") {
		t.Errorf("%d octets", len(got))
	}
}
