package quarantine

import (
	"slices"
	"testing"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// TestOwners: mail to an alias is found, released and deleted by those for whom the alias stands, and the envelope stays.
func TestOwners(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		g := newRig(t, r)
		h := sample("m1", "one\r\n")
		h.Rcpts = []mail.Address{addr("sales@example.jp"), addr("sato@example.jp")}
		h.Owners = map[string][]mail.Address{"sales@example.jp": {addr("yamada@example.jp"), addr("Suzuki@example.jp")}}
		g.hold(t, h)
		for _, who := range []string{"yamada@example.jp", "suzuki@example.jp", "sales@example.jp", "sato@example.jp", "yamada@"} {
			if got := g.list(t, Query{Rcpt: who}); len(got) != 1 || got[0].ID != "m1" {
				t.Errorf("%s: %+v", who, got)
			}
		}
		if got := g.list(t, Query{Rcpt: "kimura@example.jp"}); len(got) != 0 {
			t.Errorf("found for somebody else: %+v", got)
		}
		if _, err := g.Release(t.Context(), "m1", []mail.Address{addr("kimura@example.jp")}, "x"); err == nil {
			t.Error("released by somebody whose mail it is not")
		}
		states, err := g.Release(t.Context(), "m1", []mail.Address{addr("suzuki@example.jp")}, "suzuki@example.jp")
		if err != nil || len(states) != 1 || states[0].Rcpt != addr("sales@example.jp") {
			t.Fatalf("%+v %v", states, err)
		}
		g.Tick(t.Context())
		g.out.mu.Lock()
		for _, to := range g.out.to {
			if !slices.Equal(to, []mail.Address{addr("sales@example.jp")}) {
				t.Errorf("handed over for %v", to)
			}
		}
		n := len(g.out.to)
		g.out.mu.Unlock()
		if n != 1 || g.state(t, "m1") != "released held " {
			t.Errorf("%d handed over, state %q", n, g.state(t, "m1"))
		}
		// The index of an owner is mended as that of a recipient is.
		g.store.Client().Del(t.Context(), rcptIndex(addr("yamada@example.jp")))
		if _, err := g.repair(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := g.list(t, Query{Rcpt: "yamada@example.jp"}); len(got) != 1 {
			t.Error("the index was not mended")
		}
	})
}

// ended is a Recorder that counts the ends of each recipient.
type ended struct{ ends map[string]int }

func (ended) Held(string, []mail.Address) error { return nil }
func (e ended) Ended(x End) error {
	e.ends[x.ID+" "+x.Rcpt.String()+" "+x.State+" "+x.By]++
	return nil
}

// TestDeletedBeside: what a command deletes beside the serve is written down by the serve's next look, not by its next comparison.
func TestDeletedBeside(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		e := ended{map[string]int{}}
		g := newRig(t, r, func(o *Options) { o.Recorder = e })
		command, err := New(Options{Store: g.store, SpoolDir: g.spool.Dir(), Now: g.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		g.hold(t, sample("m1", "text\r\n"))
		if _, err := command.Delete(t.Context(), "m1", []mail.Address{addr("sato@example.jp")}, "admin"); err != nil {
			t.Fatal(err)
		}
		g.Tick(t.Context())
		if len(e.ends) != 1 || e.ends["m1 Sato@example.jp deleted admin"] != 1 {
			t.Errorf("%v", e.ends)
		}
	})
}
