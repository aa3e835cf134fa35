package digest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/quarantine"
)

func (w *world) announcer() Announcer {
	return Announcer{Keeper: func() *quarantine.Store { return w.keeper }, People: w.people, Directory: w.dir}
}

// only is the one digest of an outbox.
func (o *outbox) only(t *testing.T) Mail {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.mail) != 1 {
		t.Fatalf("%d digests", len(o.mail))
	}
	for _, m := range o.mail {
		return m
	}
	return Mail{}
}

const againJa = "前のお知らせにも載せましたが"

// TestRetract: what a digest told that may not have arrived does not count as told, and stands in the next digest, once, with a note.
func TestRetract(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		w, out := newWorld(t, r, ""), newOutbox()
		run := w.runner("a", out)
		id := w.hold(t, "first mail", "taro@example.jp", "hanako@example.jp")
		w.set(w.clock().Add(61 * time.Minute))
		w.tick(t, run)
		taro, hanako := addr("taro@example.jp"), addr("hanako@example.jp")
		var lost Mail
		for _, m := range out.mail {
			if m.To.Key() == taro.Key() {
				lost = m
			}
		}
		if len(lost.Names) != 1 || lost.Names[0] != id {
			t.Fatalf("the digest names %v", lost.Names)
		}
		for range 2 { // a crash in between repeats it
			if err := run.Retract(t.Context(), lost, true); err != nil {
				t.Fatal(err)
			}
		}
		a := w.announcer()
		if a.Announced(t.Context(), id, taro) {
			t.Error("it counts as told")
		}
		if !a.Announced(t.Context(), id, hanako) {
			t.Error("another's digest was taken back as well")
		}
		w.tick(t, run)
		if len(out.mail) != 2 {
			t.Fatal("told again at once: that would be a second mail of the same")
		}
		w.hold(t, "second mail", "taro@example.jp")
		w.set(w.clock().Add(24 * time.Hour))
		w.tick(t, run)
		w.tick(t, run)
		got := out.texts(t, "taro@example.jp")
		if len(got) != 2 || !has(got[1], "first mail", "second mail", "2件") || strings.Count(got[1], againJa) != 1 {
			t.Fatalf("%q", got)
		}
		if len(out.texts(t, "hanako@example.jp")) != 1 {
			t.Error("hanako was told again")
		}
		if !a.Announced(t.Context(), id, taro) {
			t.Error("the second time does not count")
		}
		// The report of the first comes late, once more: what was told since stands.
		if err := run.Retract(t.Context(), lost, true); err != nil {
			t.Fatal(err)
		}
		w.set(w.clock().Add(24 * time.Hour))
		w.tick(t, run)
		if !a.Announced(t.Context(), id, taro) || len(out.texts(t, "taro@example.jp")) != 2 {
			t.Error("what was told since was taken back")
		}
		if news, _ := w.keeper.News(t.Context()); len(news) != 0 {
			t.Errorf("still new: %v", news)
		}
	})
}

// TestRetractRefused: what was refused counts as not told, so that it stays as long as it may; it is not sent again and again.
func TestRetractRefused(t *testing.T) {
	w, out := newWorld(t, config.Redis{}, ""), newOutbox()
	run := w.runner("a", out)
	id := w.hold(t, "first mail", "taro@example.jp")
	w.set(w.clock().Add(61 * time.Minute))
	w.tick(t, run)
	if err := w.announcer().Retract(t.Context(), out.only(t), false); err != nil {
		t.Fatal(err)
	}
	if w.announcer().Announced(t.Context(), id, addr("taro@example.jp")) {
		t.Error("a digest that was refused counts as told")
	}
	w.set(w.clock().Add(24 * time.Hour))
	w.tick(t, run)
	if len(out.mail) != 1 {
		t.Error("sent again, to be refused again")
	}
	if err := run.SendListNow(t.Context(), addr("taro@example.jp")); err != nil || !w.announcer().Announced(t.Context(), id, addr("taro@example.jp")) {
		t.Errorf("the list that was asked for does not count: %v", err)
	}
}

// TestRetractUnfinished: the host died while it handed the digest over, and learns of its loss before or after it looks again.
func TestRetractUnfinished(t *testing.T) {
	for _, first := range []string{"retract", "look"} {
		t.Run(first, func(t *testing.T) {
			w, out := newWorld(t, config.Redis{}, ""), newOutbox()
			id := w.hold(t, "first mail", "taro@example.jp")
			w.set(w.clock().Add(61 * time.Minute))
			r := w.runner("a", out)
			out.die = errors.New("the host is gone")
			dead := &dying{Sender: out, people: w.people}
			r.o.Sender = dead
			_ = r.Tick(dead.context(t))
			out.die = nil
			r = w.runner("a", out)
			lose := func() {
				if err := r.Retract(t.Context(), out.only(t), true); err != nil {
					t.Fatal(err)
				}
			}
			if first == "look" {
				w.tick(t, r)
				lose()
			} else {
				lose()
				w.tick(t, r)
			}
			if w.announcer().Announced(t.Context(), id, addr("taro@example.jp")) {
				t.Error("it counts as told")
			}
			w.tick(t, r)
			if len(out.mail) != 1 {
				t.Fatal("sent twice")
			}
			w.set(w.clock().Add(24 * time.Hour))
			w.tick(t, r)
			if got := out.texts(t, "taro@example.jp"); len(got) != 2 || !has(got[1], "first mail", againJa) {
				t.Errorf("%q", got)
			}
		})
	}
}

// losing is a Sender whose digests are lost at once, while the host still writes down what they told.
type losing struct {
	*outbox
	lost func(m Mail)
	wg   sync.WaitGroup
}

func (l *losing) Queue(ctx context.Context, m Mail) error {
	l.wg.Go(func() { l.lost(m) })
	return l.outbox.Queue(ctx, m)
}

// TestRetractRace: the loss is known before what was told is written down.
func TestRetractRace(t *testing.T) {
	w, out := newWorld(t, config.Redis{}, ""), newOutbox()
	r := w.runner("a", out)
	l := &losing{outbox: out}
	l.lost = func(m Mail) {
		if err := r.Retract(t.Context(), m, true); err != nil {
			t.Error(err)
		}
	}
	r.o.Sender = l
	var ids []string
	for range 30 {
		ids = append(ids, w.hold(t, "first mail", "taro@example.jp"))
	}
	w.set(w.clock().Add(61 * time.Minute))
	w.tick(t, r)
	l.wg.Wait()
	for _, id := range ids {
		if w.announcer().Announced(t.Context(), id, addr("taro@example.jp")) {
			t.Errorf("%s counts as told", id)
		}
	}
}
