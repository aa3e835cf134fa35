package quarantine

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

const minute = time.Minute

func (g *rig) schedule(t *testing.T, id, rcpt string) Changed {
	t.Helper()
	c, err := g.Decide(t.Context(), id, []mail.Address{addr(rcpt)}, Decision{By: rcpt, Due: g.clock.now().Add(minute)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestScheduleAndUndo(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		g := newRig(t, r)
		ctx := t.Context()
		g.hold(t, sample("m1", "text\r\n"))
		sato := g.schedule(t, "m1", "sato@example.jp")
		if s := sato.States; len(s) != 1 || s[0].State != StateReleasing || !s[0].Due.Equal(g.clock.now().Add(minute).Truncate(time.Millisecond)) || s[0].By != "sato@example.jp" {
			t.Fatalf("%+v", s)
		}
		g.clock.add(30 * time.Second)
		ito := g.schedule(t, "m1", "ito@example.jp")
		if again := g.schedule(t, "m1", "ito@example.jp"); len(again.From) != 0 {
			t.Errorf("asked again: %+v", again)
		}
		g.Tick(ctx)
		if len(g.out.mail) != 0 {
			t.Fatal("it left before it was due")
		}
		g.clock.add(31 * time.Second) // the first is due, the second is not
		g.Tick(ctx)
		if got := g.state(t, "m1"); got != "released releasing " || g.out.puts != 1 {
			t.Fatal(got, g.out.puts)
		}
		if undone, err := g.Undo(ctx, "m1", sato, "sato@example.jp"); err != nil || len(undone) != 0 {
			t.Errorf("what has left was undone: %v %v", undone, err)
		}
		for i := range 2 {
			undone, err := g.Undo(ctx, "m1", ito, "admin")
			if err != nil || len(undone) != 1-i {
				t.Errorf("%v %v", undone, err)
			}
		}
		g.clock.add(time.Hour)
		g.Tick(ctx)
		if got := g.state(t, "m1"); got != "released held " || g.out.puts != 1 {
			t.Error(got, g.out.puts)
		}
		if n, _ := g.store.Client().ZCard(ctx, requestsKey).Result(); n != 0 {
			t.Errorf("%d requests are left", n)
		}
		g.schedule(t, "m1", "ito@example.jp")
		g.clock.add(minute)
		g.Tick(ctx)
		if got := g.state(t, "m1"); got != "released released " || g.out.puts != 2 {
			t.Error(got, g.out.puts)
		}
	})
}

// TestScheduleBesideRelease: a release at once does not wait for one that is due later, and does not make it leave earlier.
func TestScheduleBesideRelease(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	g.hold(t, sample("m1", "text\r\n"))
	g.schedule(t, "m1", "sato@example.jp")
	if _, err := g.Release(ctx, "m1", []mail.Address{addr("ito@example.jp")}, "admin"); err != nil {
		t.Fatal(err)
	}
	g.Tick(ctx)
	if got := g.state(t, "m1"); got != "releasing released " {
		t.Error(got)
	}
	for range 20 { // the note of the first is not taken away with that of the second
		g.clock.add(4 * time.Second)
		g.Tick(ctx)
	}
	if got := g.state(t, "m1"); got != "released released " || g.out.puts != 2 {
		t.Error(got, g.out.puts)
	}
}

func TestUndoDelete(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		held := &heldAgain{}
		g := newRig(t, r, func(o *Options) { o.Recorder = held })
		ctx := t.Context()
		g.hold(t, sample("m1", "text\r\n"))
		c, err := g.Decide(ctx, "m1", nil, Decision{Delete: true, By: "sato@example.jp"})
		if err != nil || len(c.From) != 2 {
			t.Fatalf("%+v %v", c, err)
		}
		released, err := g.Decide(ctx, "m1", []mail.Address{addr("ito@example.jp")}, Decision{By: "admin", Due: g.clock.now().Add(minute)})
		if err != nil || released.From["ito@example.jp"] != StateDeleted {
			t.Fatalf("%+v %v", released, err)
		}
		if _, err := g.Undo(ctx, "m1", released, "admin"); err != nil {
			t.Fatal(err)
		}
		if got := g.state(t, "m1"); got != "deleted deleted " {
			t.Error(got)
		}
		if undone, err := g.Undo(ctx, "m1", c, "sato@example.jp"); err != nil || len(undone) != 1 {
			t.Fatalf("%v %v", undone, err) // ito's deletion is the one that was restored, by another
		}
		if got := g.state(t, "m1"); got != "held deleted " || held.n != 2 {
			t.Error(got, held.n)
		}
		g.clock.add(grace + 2*minute)
		g.Tick(ctx)
		if _, _, err := g.Raw(ctx, "m1"); err != nil {
			t.Errorf("the octets of what is held again: %v", err)
		}
	})
}

// TestUndoneStaysSo: the copy on the disk, which knows of the deletion only, does not bring it back.
func TestUndoneStaysSo(t *testing.T) {
	r := startRedis(t, debianRedis...)
	g := newRig(t, r.config())
	ctx := t.Context()
	g.hold(t, sample("m1", "text\r\n"))
	c, err := g.Decide(ctx, "m1", nil, Decision{Delete: true, By: "sato"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(Options{Store: g.store, Now: g.clock.now}) // another host, without the copy
	if err != nil {
		t.Fatal(err)
	}
	g.clock.add(time.Second)
	if undone, err := other.Undo(ctx, "m1", c, "sato"); err != nil || len(undone) != 2 {
		t.Fatalf("%v %v", undone, err)
	}
	g.clock.add(time.Hour)
	eventually(t, "the saved hold leaves the disk", func() bool {
		_ = g.store.Client().BgSave(ctx).Err()
		g.clock.add(minute)
		g.Tick(ctx)
		return len(g.pendings()) == 0
	})
	if got := g.state(t, "m1"); got != "held held " {
		t.Error(got)
	}
}

// TestScheduleAcrossHosts: the host that was asked dies; another hands the mail over when it is due, once.
func TestScheduleAcrossHosts(t *testing.T) {
	r := startRedis(t, durableRedis...).config()
	g := newRig(t, r)
	g.hold(t, sample("m1", "text\r\n"))
	g.schedule(t, "m1", "sato@example.jp")
	sp, err := spool.Open(filepath.Join(t.TempDir(), "spool"), spool.Options{Now: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sp.Close() })
	out := &relayed{mail: map[string][]byte{}, to: map[string][]mail.Address{}}
	other, err := New(Options{Store: g.store, Spool: sp, Deliverer: out, Node: "mx2", Route: together, Now: g.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	other.Tick(t.Context())
	if out.puts != 0 {
		t.Fatal("too early")
	}
	g.clock.add(minute)
	other.Tick(t.Context())
	g.Tick(t.Context()) // the first one is back
	if out.puts != 1 || g.out.puts != 0 || g.state(t, "m1") != "released held " {
		t.Error(out.puts, g.out.puts, g.state(t, "m1"))
	}
}

// TestCrashAfterFirm interrupts between the end of the time to undo and the hand-over.
func TestCrashAfterFirm(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	g.hold(t, sample("m1", "text\r\n"))
	c := g.schedule(t, "m1", "sato@example.jp")
	g.clock.add(minute)
	rec, err := g.record(ctx, "m1")
	if err != nil {
		t.Fatal(err)
	}
	if firm, err := g.firm(ctx, "m1", releases(rec)[0]); err != nil || len(firm.rcpts) != 1 {
		t.Fatalf("%+v %v", firm, err)
	}
	if undone, err := g.Undo(ctx, "m1", c, "sato@example.jp"); err != nil || len(undone) != 0 {
		t.Fatalf("undone although it is on its way: %v %v", undone, err)
	}
	if err := g.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	g.out.only(t)
	if got := g.state(t, "m1"); got != "released held " {
		t.Error(got)
	}
}

func TestScheduleOfNothing(t *testing.T) {
	g := newRig(t, config.Redis{})
	if _, err := g.Decide(t.Context(), "m1", nil, Decision{By: "x"}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if _, err := g.Decide(t.Context(), "../m1", nil, Decision{Delete: true}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// heldAgain counts what is written down as held.
type heldAgain struct{ n int }

func (h *heldAgain) Held(string, []mail.Address) error { h.n++; return nil }
func (*heldAgain) Ended(End) error                     { return nil }
