package digest

import (
	"errors"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
)

// TestAskedDeath: a node takes a request and dies. Another goes on with it after the lease, and nobody is told twice.
func TestAskedDeath(t *testing.T) {
	taro := addr("taro@example.jp")
	asked := func(t *testing.T, w *world) bool {
		t.Helper()
		states, err := w.people.Get(t.Context(), []mail.Address{taro})
		if err != nil {
			t.Fatal(err)
		}
		return !states[0].Asked.IsZero()
	}
	ask := func(t *testing.T, w *world, r *Runner) {
		t.Helper()
		if err := r.asked(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	start := func(t *testing.T, redis config.Redis) *world {
		w := newWorld(t, redis, "")
		w.hold(t, "first mail", "taro@example.jp")
		w.set(w.clock().Add(time.Second))
		if err := w.people.Ask(t.Context(), taro); err != nil {
			t.Fatal(err)
		}
		return w
	}
	t.Run("before it has claimed", func(t *testing.T) {
		everywhere(t, func(t *testing.T, redis config.Redis) {
			w, out := start(t, redis), newOutbox()
			if list, err := w.people.Asked(t.Context(), 10, lapse); err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			r := w.runner("b", out)
			ask(t, w, r)
			if len(out.mail) != 0 || !asked(t, w) {
				t.Fatal("the lease does not hold, or the request is gone")
			}
			w.set(w.clock().Add(lapse + time.Second))
			ask(t, w, r)
			if len(out.mail) != 1 || asked(t, w) {
				t.Fatalf("%d digests, asked %v", len(out.mail), asked(t, w))
			}
			ask(t, w, r)
			if len(out.mail) != 1 {
				t.Error("told again")
			}
		})
	})
	t.Run("after it has handed over", func(t *testing.T) {
		w, a, b := start(t, config.Redis{}), newOutbox(), newOutbox()
		a.die = errors.New("the host is gone")
		ra, rb := w.runner("a", a), w.runner("b", b)
		dead := &dying{Sender: a, people: w.people}
		ra.o.Sender = dead
		_ = ra.asked(dead.context(t))
		for range 3 {
			w.set(w.clock().Add(lapse + time.Second))
			ask(t, w, rb)
		}
		if len(a.mail) != 1 || len(b.mail) != 0 || !asked(t, w) {
			t.Fatalf("%d and %d digests, asked %v", len(a.mail), len(b.mail), asked(t, w))
		}
		a.die = nil
		w.set(w.clock().Add(lapse + time.Second))
		ask(t, w, w.runner("a", a))
		if len(a.mail) != 1 || len(b.mail) != 0 || asked(t, w) {
			t.Fatalf("%d and %d digests, asked %v", len(a.mail), len(b.mail), asked(t, w))
		}
	})
	t.Run("and never comes back", func(t *testing.T) {
		w, a, b := start(t, config.Redis{}), newOutbox(), newOutbox()
		ra, rb := w.runner("a", a), w.runner("b", b)
		dead := &dying{Sender: a, people: w.people}
		ra.o.Sender = dead
		_ = ra.asked(dead.context(t))
		for range 3 {
			w.set(w.clock().Add(askLife))
			ask(t, w, rb)
		}
		if asked(t, w) {
			t.Error("the request stands for ever")
		}
	})
}

// TestAskedNothing: a request of somebody who has nothing new is answered at once.
func TestAskedNothing(t *testing.T) {
	w, out := newWorld(t, config.Redis{}, ""), newOutbox()
	if err := w.people.Ask(t.Context(), addr("taro@example.jp")); err != nil {
		t.Fatal(err)
	}
	if err := w.runner("a", out).asked(t.Context()); err != nil {
		t.Fatal(err)
	}
	states, _ := w.people.Get(t.Context(), []mail.Address{addr("taro@example.jp")})
	if len(out.mail) != 0 || !states[0].Asked.IsZero() {
		t.Errorf("%d digests, %+v", len(out.mail), states[0])
	}
}

// TestNoOvertaking: what a node is just handing over is not told by another under a later due time.
func TestNoOvertaking(t *testing.T) {
	w, b := newWorld(t, config.Redis{}, ""), newOutbox()
	w.hold(t, "first mail", "taro@example.jp")
	w.set(w.clock().Add(61 * time.Minute))
	taro := addr("taro@example.jp")
	got, err := w.people.Take(t.Context(), []people.Claim{{Person: taro, Due: w.clock().Unix() - 60, Node: "a", Lapse: lapse}})
	if err != nil || !got[0].Mine {
		t.Fatal(got, err)
	}
	if _, ok, err := w.people.Hand(t.Context(), taro, got[0].Slot, []string{"m00001"}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	w.set(w.clock().Add(time.Second))
	if err := w.people.Ask(t.Context(), taro); err != nil {
		t.Fatal(err)
	}
	if err := w.runner("b", b).asked(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(b.mail) != 0 {
		t.Error("told by two")
	}
}
