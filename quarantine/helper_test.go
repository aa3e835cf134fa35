package quarantine

import (
	"bytes"
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
	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
)

// clock begins now, because a real Redis expires keys by its own clock, and is moved by the tests.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

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

// relayed is a Deliverer that keeps what it was given, like a queue that nobody drains.
type relayed struct {
	mu   sync.Mutex
	mail map[string][]byte
	to   map[string][]mail.Address
	fail error
	puts int
}

func (r *relayed) Queue(_ context.Context, rel Release) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.puts++
	if _, have := r.mail[rel.ID]; have {
		return spool.ErrExists
	}
	r.mail[rel.ID], r.to[rel.ID] = rel.Content.Bytes(), rel.Rcpts
	return nil
}

// only returns the one mail that was handed over.
func (r *relayed) only(t *testing.T) []byte {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.mail) != 1 {
		t.Fatalf("%d mails were handed over", len(r.mail))
	}
	for _, b := range r.mail {
		return b
	}
	return nil
}

type rig struct {
	*Store
	store *store.Store
	spool *spool.Spool
	out   *relayed
	clock *clock
	ends  []End
}

func newRig(t testing.TB, r config.Redis, change ...func(*Options)) *rig {
	t.Helper()
	g := &rig{clock: &clock{t: time.Now().UTC().Truncate(time.Millisecond)}, out: &relayed{mail: map[string][]byte{}, to: map[string][]mail.Address{}}}
	st, err := store.Open(t.Context(), store.Options{Redis: r, DataDir: filepath.Join(t.TempDir(), "data"), Now: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	sp, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Options{Now: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	g.store, g.spool = st, sp
	o := Options{
		Store: st, Spool: sp, Deliverer: g.out, Node: "mx1", Route: together, Now: g.clock.now, Log: slog.New(slog.DiscardHandler),
		OnEnd: func(e End) { g.ends = append(g.ends, e) },
	}
	for _, f := range change {
		f(&o)
	}
	if g.Store, err = New(o); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *rig) hold(t testing.TB, h Held) {
	t.Helper()
	if err := g.Hold(t.Context(), h); err != nil {
		t.Fatal(err)
	}
}

func (g *rig) list(t testing.TB, q Query) []Item {
	t.Helper()
	p, err := g.List(t.Context(), q)
	if err != nil || p.Partial != "" {
		t.Fatalf("%v %s", err, p.Partial)
	}
	return p.Items
}

func (g *rig) state(t testing.TB, id string) string {
	t.Helper()
	i, err := g.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	s := ""
	for _, r := range i.States {
		s += r.State + " "
	}
	return s
}

// redisServer is a real redis-server in a private folder.
type redisServer struct {
	dir, addr string
	args      []string
	cmd       *exec.Cmd
}

func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{dir: t.TempDir(), addr: l.Addr().String(), args: args}
	_ = l.Close()
	r.start(t)
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) start(t testing.TB) {
	t.Helper()
	_, port, _ := net.SplitHostPort(r.addr)
	r.cmd = exec.Command("redis-server", append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--logfile", "log"}, r.args...)...)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with the child that saves
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "redis-server listens", func() bool {
		c, err := net.Dial("tcp", r.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (r *redisServer) kill() {
	_ = r.cmd.Process.Signal(syscall.SIGCONT)
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	_ = r.cmd.Wait()
}

func (r *redisServer) config() config.Redis {
	return config.Redis{URL: "redis://" + r.addr + "/0", Timeout: config.Duration(500 * time.Millisecond)}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

var (
	durableRedis = []string{"--appendonly", "yes", "--save", ""}
	debianRedis  = []string{"--save", "3600 1 300 100 60 10000", "--appendonly", "no"}
)

// everywhere runs a test against the embedded store and against a real Redis that keeps what it acknowledges.
func everywhere(t *testing.T, f func(t *testing.T, r config.Redis)) {
	t.Run("embedded", func(t *testing.T) { f(t, config.Redis{}) })
	t.Run("redis", func(t *testing.T) { f(t, startRedis(t, durableRedis...).config()) })
}

func addr(s string) mail.Address {
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		panic(err)
	}
	return a
}

// sample makes a mail whose body is the same for the same text, and whose header is its own.
func sample(id, text string) Held {
	return Held{
		ID: id, Class: "suspect", From: addr("bounce@sender.example"), Rcpts: []mail.Address{addr("Sato@example.jp"), addr("ito@example.jp")},
		Subject: "【重要】ご請求書 " + id, HeaderFrom: "経理部 <keiri@sender.example>", Score: 7.5, Rule: "defaults.toml:12",
		Reasons: []mail.Counted{{Name: "SPF_FAIL", Points: 4, Evidence: []mail.Evidence{{Key: "client", Value: "192.0.2.1"}}}},
		Trace:   []byte("X-Sekimori-ID: " + id + "\r\n"),
		Body:    mail.Content{fmt.Appendf(nil, "Subject: %s\r\n\r\n", id), []byte(text)},
	}
}

// big is text that does not compress.
func big(n int, seed uint64) string {
	var b bytes.Buffer
	for b.Len() < n {
		seed = seed*6364136223846793005 + 1442695040888963407
		b.WriteByte(byte(seed >> 33))
	}
	return b.String()
}

// together is a Route to one backend.
func together(a []mail.Address) [][]mail.Address { return [][]mail.Address{a} }
