package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

const day = 24 * time.Hour

func TestKeepByClassAndDomain(t *testing.T) {
	g := newRig(t, config.Redis{}, func(o *Options) {
		o.Keep = []Keep{{Class: "malware", Retention: 90 * day}, {Domain: "example.jp", Retention: 3 * day}, {Class: "spam", Retention: 7 * day}}
	})
	for i, c := range []struct {
		class string
		keep  time.Duration
		rcpts []string
		want  time.Duration
	}{
		{"suspect", 0, []string{"a@example.org"}, 14 * day},
		{"suspect", 0, []string{"a@EXAMPLE.jp"}, 3 * day},
		{"malware", 0, []string{"a@example.jp"}, 90 * day},
		{"spam", 0, []string{"a@example.jp"}, 3 * day},
		{"spam", 0, []string{"a@example.jp", "a@example.org"}, 7 * day},
		{"spam", 5 * time.Hour, []string{"a@example.jp"}, 5 * time.Hour},
	} {
		h := sample(fmt.Sprintf("m%d-%s-%d", i, c.class, len(c.rcpts)), "text")
		h.Class, h.Keep, h.Rcpts = c.class, c.keep, nil
		for _, r := range c.rcpts {
			h.Rcpts = append(h.Rcpts, addr(r))
		}
		g.hold(t, h)
		i, err := g.Show(t.Context(), h.ID)
		if err != nil || i.Until.Sub(i.Time) != c.want {
			t.Errorf("%+v: kept for %v, %v", c, i.Until.Sub(i.Time), err)
		}
	}
	// A hold on the disk says the same.
	h := sample("pending", "text")
	h.Class = "malware"
	if err := g.putPending(&h, false); err != nil {
		t.Fatal(err)
	}
	if i, err := g.Show(t.Context(), "pending"); err != nil || i.Until.Sub(i.Time) != 90*day {
		t.Errorf("%v %v", i.Until.Sub(i.Time), err)
	}
}

// told is an Announcer.
type told map[string]bool

func (a told) Announced(_ context.Context, id string, rcpt mail.Address) bool {
	return a[id+" "+rcpt.Key()]
}

// TestUnannounced: what nobody was told of stays as long again, and no longer.
func TestUnannounced(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		ctx, announced, warned := t.Context(), told{}, map[string]string{}
		g := newRig(t, r, func(o *Options) {
			o.Announcer, o.Retention = announced, 2*day
			o.Warn = func(key, message string) { warned[key] = message }
		})
		for _, id := range []string{"both", "one", "none", "refused"} {
			h := sample(id, "text")
			h.Refused = id == "refused"
			g.hold(t, h)
		}
		for _, who := range []string{"both sato@example.jp", "both ito@example.jp", "one sato@example.jp"} {
			announced[who] = true
		}
		states := func() string {
			return g.state(t, "both") + "/ " + g.state(t, "one") + "/ " + g.state(t, "none") + "/ " + g.state(t, "refused")
		}
		g.clock.add(2 * day)
		g.Tick(ctx)
		if got := states(); got != "expired expired / expired held / held held / expired expired " {
			t.Fatal(got)
		}
		if s := g.Stats(ctx); s.Late != 2 || !strings.HasPrefix(warned["quarantine.late"], "2 held mails stay") {
			t.Errorf("%+v %q", s, warned["quarantine.late"])
		}
		if _, _, err := g.Raw(ctx, "none"); err != nil {
			t.Error(err)
		}
		// Told late, it goes at the next look.
		announced["one ito@example.jp"] = true
		g.clock.add(lateEvery)
		g.Tick(ctx)
		if got := states(); got != "expired expired / expired expired / held held / expired expired " {
			t.Fatal(got)
		}
		g.clock.add(2*day - lateEvery)
		g.Tick(ctx)
		if got := states(); got != "expired expired / expired expired / expired expired / expired expired " || g.Untold() != 2 {
			t.Fatal(got, g.Untold())
		}
		g.clock.add(time.Minute)
		g.Tick(ctx)
		if s := g.Stats(ctx); s.Late != 0 || s.Mails != 0 || warned["quarantine.late"] != "" {
			t.Errorf("%+v %q", s, warned["quarantine.late"])
		}
	})
}

// TestReserve: a flood to one address leaves room for the others.
func TestReserve(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		const quota = 1 << 20
		g := newRig(t, r, func(o *Options) { o.Quota, o.DomainQuota = quota, map[string]int64{"small.example": 20000} })
		letter := func(id, to string, size int) error {
			h := sample(id, big(size, uint64(len(id))+uint64(size)))
			h.Body = append(h.Body, []byte(id))
			h.Rcpts = []mail.Address{addr(to)}
			return g.Hold(t.Context(), h)
		}
		n := 0
		for ; n < 2000; n++ {
			if err := letter(fmt.Sprintf("flood%d", n), "postmaster@example.jp", 20000+n); errors.Is(err, ErrFull) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		s := g.Stats(t.Context())
		if s.Octets > quota*9/10 || s.Octets < quota*8/10 {
			t.Errorf("after %d mails %d octets", n, s.Octets)
		}
		if err := letter("other", "sato@example.jp", 5000); err != nil {
			t.Errorf("the flood shuts others out: %v", err)
		}
		if err := letter("group", "sato@example.jp", 60000); !errors.Is(err, ErrFull) {
			t.Errorf("more than a share of the rest: %v", err)
		}
		if err := letter("s1", "a@small.example", 9000); err != nil {
			t.Error(err)
		}
		h := sample("refused", big(3000, 5))
		h.Refused = true
		if err := g.Hold(t.Context(), h); !errors.Is(err, ErrFull) {
			t.Errorf("a copy of what was refused takes of the rest: %v", err)
		}
		// All is given back.
		if _, err := g.Delete(t.Context(), "flood0", nil, "x"); err != nil {
			t.Fatal(err)
		}
		by, err := g.Used(t.Context(), []string{"example.jp", "small.example"})
		if err != nil || by["small.example"] < 9000 || by["example.jp"] < quota*8/10 {
			t.Errorf("%v %v", by, err)
		}
		g.clock.add(15 * day)
		g.Tick(t.Context())
		g.clock.add(time.Minute)
		g.Tick(t.Context())
		if by, err := g.Used(t.Context(), []string{"example.jp", "small.example"}); err != nil || by["small.example"] != 0 || by["example.jp"] != 0 {
			t.Errorf("%v %v", by, err)
		}
	})
}

func TestDomainQuota(t *testing.T) {
	g := newRig(t, config.Redis{}, func(o *Options) { o.DomainQuota = map[string]int64{"small.example": 20000} })
	letter := func(id, to, text string) error {
		h := sample(id, text)
		h.Rcpts = []mail.Address{addr(to)}
		return g.Hold(t.Context(), h)
	}
	text := big(15000, 1)
	if err := letter("s1", "a@small.example", text); err != nil {
		t.Fatal(err)
	}
	if err := letter("s2", "b@SMALL.example", big(15000, 2)); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "small.example") {
		t.Error(err)
	}
	if err := letter("s3", "b@small.example", text); err != nil {
		t.Errorf("a mail whose body is there takes its header only: %v", err)
	}
	if err := letter("o1", "b@other.example", big(15000, 3)); err != nil {
		t.Error(err)
	}
	// A full domain puts a mail off for nobody else, up to twice its quota.
	beside := func(id string, change func(*Held)) error {
		h := sample(id, big(15000, uint64(len(id))+40))
		h.Rcpts = []mail.Address{addr("c@small.example")}
		change(&h)
		return g.Hold(t.Context(), h)
	}
	if err := beside("b1", func(h *Held) { h.Others = []string{"SMALL.example"} }); !errors.Is(err, ErrFull) {
		t.Errorf("held for nobody but the full domain: %v", err)
	}
	if err := beside("b22", func(h *Held) { h.Rcpts = append(h.Rcpts, addr("d@other.example")) }); err != nil {
		t.Errorf("beside a recipient whose domain has room: %v", err)
	}
	for _, change := range []func(*Held){
		func(h *Held) { h.Shared = true },
		func(h *Held) { h.Others = []string{"other.example"} },
		func(h *Held) { h.Rcpts = append(h.Rcpts, addr("d@other.example")) },
	} {
		if err := beside("b333", change); !errors.Is(err, ErrFull) {
			t.Errorf("over twice the quota: %v", err)
		}
	}
	// The repair counts the same.
	before, _ := g.Used(t.Context(), []string{"small.example", "other.example"})
	g.store.Client().Del(t.Context(), usedByKey)
	if _, err := g.repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, _ := g.Used(t.Context(), []string{"small.example", "other.example"})
	if fmt.Sprint(before) != fmt.Sprint(after) || before["small.example"] < 15000 {
		t.Errorf("%v, counted anew %v", before, after)
	}
}
