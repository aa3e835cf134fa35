package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
)

// deadRedis is an address at which nobody listens.
func deadRedis() config.Redis {
	return config.Redis{URL: "redis://127.0.0.1:1/0", Timeout: config.Duration(200 * time.Millisecond)}
}

// TestKilledRedis kills a Redis that keeps nothing by itself right after the holds were acknowledged.
func TestKilledRedis(t *testing.T) { killedRedis(t) }

func killedRedis(t *testing.T, change ...func(*Options)) {
	r := startRedis(t, debianRedis...)
	g := newRig(t, r.config(), change...)
	ctx := t.Context()
	for i := range 20 {
		g.hold(t, sample(fmt.Sprintf("m%02d", i), fmt.Sprintf("text %d\r\n", i)))
	}
	if n := len(g.pendings()); n != 20 {
		t.Fatalf("%d of 20 are on the disk as well", n)
	}
	if got := g.list(t, Query{}); len(got) != 20 || got[0].Pending {
		t.Errorf("%d are listed", len(got))
	}
	r.kill()
	page, err := g.List(ctx, Query{})
	if err != nil || len(page.Items) != 20 || !page.Items[0].Pending || page.Partial == "" {
		t.Fatalf("with Redis dead: %d, %q, %v", len(page.Items), page.Partial, err)
	}
	r.start(t)
	eventually(t, "Redis answers", func() bool { return g.store.Ping(ctx) == nil })
	if n, _ := g.store.Client().Exists(ctx, mailKey("m00")).Result(); n != 0 {
		t.Fatal("Redis kept what it should have lost: the test shows nothing")
	}
	if err := g.store.Client().BgSave(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	g.clock.add(time.Hour) // a save after the holds were confirmed, which the lost ones are not part of
	eventually(t, "the lost ones are stored again", func() bool {
		g.Tick(ctx)
		n, err := g.store.Client().ZCard(ctx, timeIndex).Result()
		return err == nil && n == 20
	})
	for i := range 20 {
		id := fmt.Sprintf("m%02d", i)
		raw, done, err := g.Raw(ctx, id)
		if err != nil || !bytes.HasSuffix(raw.Bytes(), fmt.Appendf(nil, "text %d\r\n", i)) {
			t.Fatalf("%s: %v", id, err)
		}
		done()
	}
	g.clock.add(time.Minute)
	eventually(t, "saved holds leave the disk", func() bool {
		_ = g.store.Client().BgSave(ctx).Err()
		g.clock.add(time.Minute)
		g.Tick(ctx)
		return len(g.pendings()) == 0
	})
}

// TestHungRedis stops Redis without closing its connections.
func TestHungRedis(t *testing.T) {
	r := startRedis(t, durableRedis...)
	g := newRig(t, r.config())
	g.hold(t, sample("m1", "one\r\n"))
	if err := r.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for i := 2; i < 6; i++ {
		start := time.Now()
		g.hold(t, sample(fmt.Sprintf("m%d", i), "more\r\n"))
		if took := time.Since(start); took > 1500*time.Millisecond {
			t.Errorf("a hold took %v", took)
		}
	}
	if n := len(g.pendings()); n != 4 {
		t.Errorf("%d pending", n)
	}
	if err := r.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they are moved", func() bool {
		g.clock.add(time.Second)
		g.Tick(t.Context())
		return len(g.pendings()) == 0
	})
	if got := g.list(t, Query{}); len(got) != 5 {
		t.Errorf("%d are listed", len(got))
	}
}

// TestDeadStore holds, lists, releases and deletes without a store.
func TestDeadStore(t *testing.T) {
	g := newRig(t, deadRedis())
	ctx := t.Context()
	for _, id := range []string{"m1", "m2"} {
		g.hold(t, sample(id, id+"\r\n"))
	}
	commands, err := New(Options{Store: g.store, SpoolDir: g.spool.Dir(), Now: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	page, err := commands.List(ctx, Query{})
	if err != nil || len(page.Items) != 2 || page.Partial == "" || !page.Items[0].Pending {
		t.Fatalf("%+v %v", page, err)
	}
	if _, err := commands.Release(ctx, "m1", []mail.Address{addr("sato@example.jp")}, "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := commands.Delete(ctx, "m2", nil, "admin"); err != nil {
		t.Fatal(err)
	}
	if err := commands.Hold(ctx, sample("m3", "")); err == nil {
		t.Error("a command holds mail")
	}
	g.Tick(ctx)
	g.Tick(ctx)
	if got := g.out.only(t); !bytes.HasSuffix(got, []byte("X-Sekimori-ID: m1\r\nSubject: m1\r\n\r\nm1\r\n")) {
		t.Errorf("%q", got)
	}
	if got := g.state(t, "m1") + g.state(t, "m2"); got != "released held deleted deleted " || g.out.puts != 1 {
		t.Error(got)
	}
	if left, _ := g.spool.Requests(""); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

// TestStatesMoveAlong releases a hold on the disk and then gives it a store: what was released stays so.
func TestStatesMoveAlong(t *testing.T) {
	r := startRedis(t, durableRedis...)
	g := newRig(t, r.config())
	ctx := t.Context()
	g.hold(t, sample("m0", "")) // the store is known to answer
	r.kill()
	g.hold(t, sample("m1", "text\r\n"))
	if _, err := g.Release(ctx, "m1", []mail.Address{addr("sato@example.jp")}, "admin"); err != nil {
		t.Fatal(err)
	}
	g.Tick(ctx)
	g.out.only(t)
	r.start(t)
	eventually(t, "it is moved", func() bool {
		g.clock.add(time.Second)
		g.Tick(ctx)
		return len(g.pendings()) == 0
	})
	if got := g.state(t, "m1"); got != "released held " {
		t.Error(got)
	}
	// The same when the store had the mail, and only its confirmation was lost.
	p := &pendingHold{pendingMeta: pendingMeta{Held: sample("m0", ""), States: map[string]string{
		addr("ito@example.jp").Key(): encodeState(StateReleased, g.clock.now(), "admin"), addr("sato@example.jp").Key(): encodeState(StateHeld, g.clock.now(), ""),
	}}}
	h := p.Held
	if err := g.putPending(&h, false); err != nil {
		t.Fatal(err)
	}
	p.entry.ID = holdID("m0")
	if err := g.restore(ctx, p); err != nil {
		t.Fatal(err)
	}
	if got := g.state(t, "m0"); got != "held released " {
		t.Error(got)
	}
}

// TestFullDisk: a mail that can be kept nowhere is not acknowledged, and leaves nothing to be shown.
func TestFullDisk(t *testing.T) {
	full := func(string) (int64, error) { return 0, nil }
	for name, r := range map[string]func(t *testing.T) config.Redis{
		"dead":        func(*testing.T) config.Redis { return deadRedis() },
		"not durable": func(t *testing.T) config.Redis { return startRedis(t, debianRedis...).config() },
	} {
		t.Run(name, func(t *testing.T) {
			sp, err := spool.Open(filepath.Join(t.TempDir(), "full"), spool.Options{DiskReserve: 1 << 20, FreeDisk: full})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sp.Close() })
			g := newRig(t, r(t), func(o *Options) { o.Spool = sp })
			if err := g.Hold(t.Context(), sample("m1", "text\r\n")); !errors.Is(err, spool.ErrFull) {
				t.Fatal(err)
			}
			page, err := g.List(t.Context(), Query{})
			if err != nil || len(page.Items) != 0 {
				t.Errorf("%+v %v", page, err)
			}
		})
	}
}

// TestRestart opens the embedded store and the spool again after holds and a release.
func TestRestart(t *testing.T) {
	dir, now := t.TempDir(), time.Now().UTC()
	open := func() (*Store, *relayed, func()) {
		st, err := store.Open(t.Context(), store.Options{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		sp, err := spool.Open(filepath.Join(dir, "spool"), spool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		out := &relayed{mail: map[string][]byte{}, to: map[string][]mail.Address{}}
		q, err := New(Options{Store: st, Spool: sp, Deliverer: out, Now: func() time.Time { return now }, Route: together})
		if err != nil {
			t.Fatal(err)
		}
		return q, out, func() { _ = st.Close(); _ = sp.Close() }
	}
	q, _, end := open()
	text := big(3<<20, 9)
	if err := q.Hold(t.Context(), sample("m1", text)); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Release(t.Context(), "m1", nil, "admin"); err != nil {
		t.Fatal(err)
	}
	end()
	q, out, end := open()
	defer end()
	if err := q.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := out.only(t); !bytes.HasSuffix(got, []byte(text)) {
		t.Error("the octets differ")
	}
}

func BenchmarkHold(b *testing.B) {
	for name, size := range map[string]int{"4KiB": 4 << 10, "1MiB": 1 << 20} {
		for where, start := range map[string]func() config.Redis{
			"embedded": func() config.Redis { return config.Redis{} },
			"redis":    func() config.Redis { return startRedis(b, durableRedis...).config() },
		} {
			b.Run(where+"/"+name, func(b *testing.B) {
				g := newRig(b, start())
				n := 0
				b.SetBytes(int64(size))
				for b.Loop() {
					n++
					g.hold(b, sample(fmt.Sprintf("m%d", n), big(size, uint64(n))))
					if n%100 == 0 { // the embedded store is bounded
						b.StopTimer()
						g.store.Client().FlushDB(b.Context())
						b.StartTimer()
					}
				}
			})
		}
	}
}

func BenchmarkHoldCampaign(b *testing.B) {
	g := newRig(b, config.Redis{})
	text := big(1<<20, 1)
	n := 0
	for b.Loop() {
		n++
		g.hold(b, sample(fmt.Sprintf("m%d", n), text))
		if n%1000 == 0 {
			b.StopTimer()
			g.store.Client().FlushDB(b.Context())
			b.StartTimer()
		}
	}
}

// TestDecisionsSurviveLostWrites releases and deletes mail whose only durable copy is on our disk, and kills Redis before it has
// saved: what was decided must not stand there as held again.
func TestDecisionsSurviveLostWrites(t *testing.T) {
	r := startRedis(t, "--appendonly", "no", "--save", "3600 1")
	g := newRig(t, r.config())
	ctx := t.Context()
	for _, id := range []string{"m1", "m2", "m3"} {
		g.hold(t, sample(id, id+"\r\n"))
	}
	if n := len(g.pendings()); n != 3 {
		t.Fatalf("%d are on the disk", n)
	}
	if _, err := g.Release(ctx, "m1", nil, "admin"); err != nil {
		t.Fatal(err)
	}
	// m2 is deleted by a command, which has no disk: this host learns of it when it compares.
	commands, err := New(Options{Store: g.store, Now: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := commands.Delete(ctx, "m2", nil, "helpdesk"); err != nil {
		t.Fatal(err)
	}
	if err := g.CatchUp(ctx, "m2"); err != nil {
		t.Fatal(err)
	}
	g.Tick(ctx)
	for _, i := range g.Pending(ctx) {
		want := map[string]string{"m1": StateReleased, "m2": StateDeleted, "m3": StateHeld}[i.ID]
		for _, s := range i.States {
			if s.State != want {
				t.Errorf("%s is %s for %s on the disk, not %s", i.ID, s.State, s.Rcpt, want)
			}
		}
	}
	r.kill()
	r.start(t)
	if got := g.state(t, "m1") + g.state(t, "m2") + g.state(t, "m3"); got != "released released deleted deleted held held " {
		t.Errorf("before they are in the store again: %s", got)
	}
	eventually(t, "the store has them again", func() bool {
		_ = g.store.Client().BgSave(ctx).Err()
		g.clock.add(time.Minute)
		g.Tick(ctx)
		_, err := g.Show(ctx, "m3")
		n, xerr := g.store.Client().Exists(ctx, mailKey("m1"), mailKey("m2"), mailKey("m3")).Result()
		return err == nil && xerr == nil && n == 3
	})
	if got := g.state(t, "m1") + g.state(t, "m2") + g.state(t, "m3"); got != "released released deleted deleted held held " {
		t.Error(got)
	}
	if g.out.puts != 1 {
		t.Errorf("handed over %d times", g.out.puts)
	}
}

// savedAt is a store whose last save was begun at a time of the test's choice.
type savedAt struct {
	Backend
	begun time.Time
}

func (s savedAt) Saved(context.Context) (time.Time, bool, error) { return s.begun, true, nil }

// TestStoredAgainAndNotSaved ends the process just when a hold that Redis had lost is stored again, before the disk knows: a save that
// was begun between the first time and the second must not count, or the next kill of Redis loses the mail.
func TestStoredAgainAndNotSaved(t *testing.T) {
	r := startRedis(t, "--appendonly", "no", "--save", "3600 1")
	g := newRig(t, r.config())
	ctx := t.Context()
	g.hold(t, sample("m1", "one\r\n"))
	g.clock.add(time.Minute)
	saved := g.clock.now()
	g.clock.add(time.Minute)
	r.kill()
	r.start(t)
	eventually(t, "Redis answers", func() bool { return g.store.Client().Set(ctx, "x", "y", 0).Err() == nil })
	p, err := g.pending("m1")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.storeAgain(ctx, p); err != nil {
		t.Fatal(err)
	}
	g.o.Store = savedAt{g.store, saved}
	g.Tick(ctx)
	if n := len(g.pendings()); n != 1 {
		t.Fatalf("%d holds on the disk: the one copy that survives Redis was given up", n)
	}
	g.o.Store = savedAt{g.store, g.clock.now().Add(time.Second)}
	g.clock.add(2 * time.Second)
	g.Tick(ctx)
	if n := len(g.pendings()); n != 0 {
		t.Errorf("%d holds on the disk after a save that has them", n)
	}
}
