package quarantine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// news says which mails an address was not told of, oldest first.
func (g *rig) news(t *testing.T, who string) []string {
	t.Helper()
	lists, err := g.NewIDs(t.Context(), []mail.Address{addr(who)}, 100)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(lists[0])
	return lists[0]
}

// waiting says which addresses have something new.
func (g *rig) waiting(t *testing.T) []string {
	t.Helper()
	all, err := g.News(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, n := range all {
		list = append(list, n.Addr.String())
	}
	slices.Sort(list)
	return list
}

// TestAnnounce: what is held is new for whose it is until it was told, whatever a crash, a repair or a repeated hold does.
func TestAnnounce(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		ctx := t.Context()
		g := newRig(t, r)
		h := sample("m1", "one\r\n")
		h.Rcpts = []mail.Address{addr("sales@example.jp"), addr("Sato@example.jp")}
		h.Owners = map[string][]mail.Address{"sales@example.jp": {addr("yamada@example.jp"), addr("sato@example.jp")}}
		g.hold(t, h)
		g.clock.add(time.Minute)
		g.hold(t, sample("m2", "two\r\n"))
		if got := g.waiting(t); !slices.Equal(got, []string{"ito@example.jp", "sato@example.jp", "yamada@example.jp"}) {
			t.Fatalf("waiting: %v", got)
		}
		if got := g.news(t, "sato@example.jp"); !slices.Equal(got, []string{"m1", "m2"}) {
			t.Fatalf("new for sato: %v", got)
		}
		all, _ := g.News(ctx)
		if all[0].Since.After(g.clock.now().Add(-time.Minute)) {
			t.Errorf("%+v waits since the second mail", all[0])
		}

		sato := addr("sato@example.jp")
		told := Told{Person: sato, Addr: sato, IDs: []string{"m1", "m2", "gone"}, Drop: []string{"m1", "m2", "gone"}}
		if err := g.Announce(ctx, []Told{told}); err != nil {
			t.Fatal(err)
		}
		if n, _ := g.store.Client().Exists(ctx, mailKey("gone")).Result(); n != 0 {
			t.Error("a mail was made by telling of it")
		}
		if got := g.waiting(t); !slices.Equal(got, []string{"ito@example.jp", "yamada@example.jp"}) {
			t.Errorf("waiting: %v", got)
		}
		items, err := g.Items(ctx, []string{"m1", "gone", "m2"})
		if err != nil || len(items) != 2 || !items[0].ToldTo(sato) || items[0].ToldTo(addr("yamada@example.jp")) {
			t.Fatalf("%+v %v", items, err)
		}

		// A lost index is mended, and does not bring back what was told.
		g.store.Client().Del(ctx, newsKey, newsIndex(addr("yamada@example.jp")), newsIndex(sato))
		if _, err := g.repair(ctx); err != nil {
			t.Fatal(err)
		}
		if got := g.news(t, "yamada@example.jp"); !slices.Equal(got, []string{"m1"}) {
			t.Errorf("not mended: %v", got)
		}
		if got := g.news(t, "sato@example.jp"); len(got) != 0 {
			t.Errorf("new again: %v", got)
		}
	})
}

// TestAnnounceRace: a mail that is held while the address leaves the list stays in it.
func TestAnnounceRace(t *testing.T) {
	g := newRig(t, config.Redis{})
	sato := addr("sato@example.jp")
	for i := range 30 {
		id := fmt.Sprintf("m%d", i)
		h := sample(id, "one\r\n")
		h.Rcpts = []mail.Address{sato}
		g.hold(t, h)
		next := sample(id+"x", "two\r\n")
		next.Rcpts = []mail.Address{sato}
		done := make(chan error)
		go func() { done <- g.Hold(context.WithoutCancel(t.Context()), next) }()
		if err := g.Announce(t.Context(), []Told{{Person: sato, Addr: sato, IDs: []string{id}, Drop: []string{id}}}); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := g.waiting(t); !slices.Equal(got, []string{"sato@example.jp"}) {
			t.Fatalf("waiting: %v", got)
		}
		if err := g.Announce(t.Context(), []Told{{Person: sato, Addr: sato, IDs: []string{id + "x"}, Drop: []string{id + "x"}}}); err != nil {
			t.Fatal(err)
		}
		if got := g.waiting(t); len(got) != 0 {
			t.Fatalf("waiting for nothing: %v", got)
		}
	}
}

// TestAnnounceExpired: nothing is new of a mail that is at an end, and its indexes are gone.
func TestAnnounceExpired(t *testing.T) {
	g := newRig(t, config.Redis{})
	g.hold(t, sample("m1", "one\r\n"))
	if _, err := g.Delete(t.Context(), "m1", nil, "x"); err != nil {
		t.Fatal(err)
	}
	g.clock.add(2 * grace)
	g.Tick(t.Context())
	if _, err := g.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := g.news(t, "sato@example.jp"); len(got) != 0 {
		t.Errorf("new: %v", got)
	}
}
