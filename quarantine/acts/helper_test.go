package acts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
	"sekimori/quarantine"
	"sekimori/reputation"
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

// relayed is a relay's queue that nobody drains.
type relayed struct{ mail map[string][]byte }

func (r *relayed) Queue(_ context.Context, rel quarantine.Release) error {
	if _, have := r.mail[rel.ID]; have {
		return spool.ErrExists
	}
	r.mail[rel.ID] = rel.Content.Bytes()
	return nil
}

type rig struct {
	*Service
	keeper  *quarantine.Store
	store   *store.Store
	out     *relayed
	clock   *clock
	log     *audit.Log
	learner *reputation.Learner
	policy  Policy
}

func newRig(t testing.TB, r config.Redis) *rig {
	t.Helper()
	g := &rig{
		clock: &clock{t: time.Now().UTC().Truncate(time.Millisecond)}, out: &relayed{mail: map[string][]byte{}},
		policy: Policy{Undo: time.Minute, AdminOnly: []string{"malware"}, AllowFor: 90 * 24 * time.Hour, Learn: "all", Hostname: "mx.example.jp"},
	}
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
	g.store = st
	g.keeper, err = quarantine.New(quarantine.Options{
		Store: st, Spool: sp, Deliverer: g.out, Node: "mx1", Now: g.clock.now, Log: slog.New(slog.DiscardHandler),
		Route: func(a []mail.Address) [][]mail.Address { return [][]mail.Address{a} },
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	id := func() string { n++; return fmt.Sprintf("id%06d", n) }
	g.log = audit.New(audit.Options{Client: st.Client(), Now: g.clock.now, NewID: id})
	g.learner = reputation.NewLearner(st.Client(), g.clock.now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	g.Service = New(Options{
		Keeper: g.keeper, Client: st.Client(), Audit: g.log, Allows: reputation.NewAllows(st.Client(), g.clock.now), Learner: g.learner,
		Policy: func() Policy { return g.policy }, Now: g.clock.now, NewID: id, Past: reputation.NewHistory(st.Client(), g.clock.now),
	})
	return g
}

// everywhere runs a test against the embedded store and a real Redis that keeps what it acknowledges.
func everywhere(t *testing.T, f func(t *testing.T, g *rig)) {
	t.Run("embedded", func(t *testing.T) { f(t, newRig(t, config.Redis{})) })
	t.Run("redis", func(t *testing.T) { f(t, newRig(t, startRedis(t))) })
}

func startRedis(t testing.TB) config.Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "redis.sock")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "", "--appendonly", "yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(sock); err == nil {
			return config.Redis{URL: "unix://" + sock}
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not listen")
		}
	}
}

func addr(s string) mail.Address {
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		panic(err)
	}
	return a
}

func person(s string) Actor {
	return Actor{Name: s, Role: Person, Addresses: []mail.Address{addr(s)}, Via: "web"}
}

func role(r Role) Actor { return Actor{Name: string(r) + "1", Role: r, Via: "web"} }

// hold keeps a mail to Sato and Ito from a partner whose domain was confirmed.
func (g *rig) hold(t testing.TB, id string, change ...func(*quarantine.Held)) {
	t.Helper()
	h := quarantine.Held{
		ID: id, Class: "spam", From: addr("bounce@partner.example"), Rcpts: []mail.Address{addr("sato@example.jp"), addr("ito@example.jp")},
		Subject: "御見積書 " + id, HeaderFrom: "keiri@partner.example", Score: 7.5, Rule: "threshold.hold", Time: g.clock.now(),
		Proof: mail.Proof{Author: addr("keiri@partner.example"), Aligned: true, SPF: "partner.example"},
		Body: mail.Content{
			fmt.Appendf(nil, "From: keiri@partner.example\r\nMessage-ID: <%s@partner.example>\r\nSubject: %s\r\n\r\n", id, id),
			[]byte("見積書をお送りします。 meeting minutes " + id + "\r\n"),
		},
	}
	for _, f := range change {
		f(&h)
	}
	if err := g.keeper.Hold(t.Context(), h); err != nil {
		t.Fatal(err)
	}
}

func (g *rig) states(t testing.TB, id string) string {
	t.Helper()
	i, err := g.keeper.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, s := range i.States {
		words = append(words, s.State)
	}
	return strings.Join(words, " ")
}

// tick lets time pass and both workers look.
func (g *rig) tick(t testing.TB, d time.Duration) {
	t.Helper()
	g.clock.add(d)
	g.keeper.Tick(t.Context())
	g.Tick(t.Context())
}

func (g *rig) lessonOf(t testing.TB, id string) reputation.Sample {
	t.Helper()
	i, err := g.keeper.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	l, err := g.lesson(t.Context(), Actor{Role: Admin}, &i, i.Rcpts, reputation.Ham)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// known is as what a mail is known for everybody.
func (g *rig) known(t testing.TB, id string) string {
	t.Helper()
	for _, l := range must(g.learner.Known(t.Context(), g.lessonOf(t, id).Fingerprint))(t) {
		if l.Scope == reputation.Everybody {
			return string(l.Class)
		}
	}
	return ""
}

// scopes is as what it is known, and for whom.
func (g *rig) scopes(t testing.TB, id string) string {
	t.Helper()
	var all []string
	for _, l := range must(g.learner.Known(t.Context(), g.lessonOf(t, id).Fingerprint))(t) {
		all = append(all, l.Scope.String()+"="+string(l.Class))
	}
	return strings.Join(all, " ")
}

// logged returns the acts in the audit log about a mail, oldest first.
func (g *rig) logged(t testing.TB, id string) string {
	t.Helper()
	p, err := g.log.List(t.Context(), audit.Query{ID: id, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range p.Entries {
		words = append(words, e.Act+":"+e.Actor)
	}
	slices.Reverse(words)
	return strings.Join(words, " ")
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
