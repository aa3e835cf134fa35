package store

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"sekimori/internal/config"
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

// openTest opens an embedded store whose clock and maintenance the test drives.
func openTest(t testing.TB, dir string, c *clock, change ...func(*embeddedOptions)) *Store {
	t.Helper()
	s, err := tryOpen(dir, c, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func tryOpen(dir string, c *clock, change ...func(*embeddedOptions)) (*Store, error) {
	o := embeddedOptions{dataDir: dir, log: slog.New(slog.DiscardHandler), now: c.now, limit: defaultLimit, threshold: defaultThreshold}
	for _, f := range change {
		f(&o)
	}
	e, err := openEmbedded(o)
	if err != nil {
		return nil, err
	}
	return &Store{client: localClient(e.dial), embedded: e, now: c.now, cancel: func() {}}, nil
}

// reopen closes a store and opens its folder again.
func reopen(t testing.TB, s *Store, c *clock) *Store {
	t.Helper()
	dir := filepath.Dir(s.embedded.dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return openTest(t, dir, c)
}

// redisServer is a real redis-server in a private folder on a free port of loopback.
type redisServer struct {
	dir  string
	port int
	args []string
	cmd  *exec.Cmd
}

// startRedis skips the test where there is no redis-server, unless SEKIMORI_REQUIRE_REAL=1 demands one.
func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	r := &redisServer{dir: t.TempDir(), port: freePort(t), args: args}
	r.start(t)
	t.Cleanup(r.kill)
	return r
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (r *redisServer) start(t testing.TB) {
	t.Helper()
	args := append([]string{
		"--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--dir", r.dir, "--daemonize", "no", "--save", "",
	}, r.args...)
	r.cmd = exec.Command("redis-server", args...)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.port), time.Second)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not listen: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *redisServer) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (r *redisServer) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Signal(syscall.SIGKILL)
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

func (r *redisServer) config() config.Redis {
	return config.Redis{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", r.port), Timeout: config.Duration(200 * time.Millisecond)}
}

func openReal(t testing.TB, c config.Redis) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{Redis: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// eventually polls, for what another process does.
func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
