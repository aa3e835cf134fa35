package quarantine

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// TestReleaseExact holds and releases octets of all kinds and compares them below our fields.
func TestReleaseExact(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		for name, body := range map[string]mail.Content{
			"usual":     {[]byte("From: a@b\r\nSubject: x\r\n\r\n"), []byte("text\r\n.\r\n..\r\n")},
			"no header": {[]byte("\r\nbody only\r\n")},
			"no body":   {[]byte("From: a@b\r\n")},
			"empty":     {},
			"binary":    {[]byte("A: b\r\n\r\n\x00\xff\xfe\r\n\x1b$B4X<i\x1b(B\r\n"), []byte("\x83\x8d")},
			"long head": {[]byte(strings.Repeat("X: "+strings.Repeat("y", 900)+"\r\n", 100) + "\r\nend\r\n")},
			"20 MiB":    {[]byte("A: b\r\n\r\n"), []byte(big(20<<20, 7))},
		} {
			t.Run(name, func(t *testing.T) {
				g := newRig(t, r)
				h := sample("m-"+strings.ReplaceAll(name, " ", "-"), "")
				h.Body = body
				g.hold(t, h)
				raw, done, err := g.Raw(t.Context(), h.ID)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(raw.Bytes(), body.Bytes()) {
					t.Error("Raw differs")
				}
				done()
				if _, err := g.Release(t.Context(), h.ID, nil, "taro\r\nX-Evil: 1|"); err != nil {
					t.Fatal(err)
				}
				g.Tick(t.Context())
				top := "X-Sekimori-Released: " + h.ID + "\r\n by taro??X-Evil: 1?\r\n at " + g.clock.now().Format(time.RFC3339) + "\r\n" + string(h.Trace)
				if got := g.out.only(t); !bytes.Equal(got, append([]byte(top), body.Bytes()...)) {
					t.Errorf("%.200q", got)
				}
			})
		}
	})
}

func TestReleaseAndDelete(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		g := newRig(t, r)
		ctx := t.Context()
		g.hold(t, sample("m1", "text\r\n"))
		states, err := g.Release(ctx, "m1", []mail.Address{addr("sato@EXAMPLE.jp")}, "sato")
		if err != nil || len(states) != 1 || states[0].State != StateReleasing || states[0].By != "sato" {
			t.Fatalf("%+v %v", states, err)
		}
		if got := g.state(t, "m1"); got != "releasing held " {
			t.Error(got)
		}
		for range 3 { // the serve looks again and again, and it is asked again
			g.Tick(ctx)
			if _, err := g.Release(ctx, "m1", []mail.Address{addr("sato@example.jp")}, "someone else"); err != nil {
				t.Fatal(err)
			}
		}
		if got := g.state(t, "m1"); got != "released held " || g.out.puts != 1 {
			t.Errorf("%s after %d hand-overs", got, g.out.puts)
		}
		if _, err := g.Delete(ctx, "m1", []mail.Address{addr("sato@example.jp")}, "x"); !errors.Is(err, ErrState) {
			t.Errorf("a released mail was deleted: %v", err)
		}
		if _, err := g.Delete(ctx, "m1", nil, "admin"); !errors.Is(err, ErrState) { // deletes what it can, and says what it could not
			t.Error(err)
		}
		if got := g.state(t, "m1"); got != "released deleted " || len(g.list(t, Query{})) != 0 || len(g.list(t, Query{All: true})) != 1 {
			t.Error(got)
		}
		// Within the hour what was deleted can be released.
		if _, err := g.Release(ctx, "m1", []mail.Address{addr("ito@example.jp")}, "admin"); err != nil {
			t.Fatal(err)
		}
		g.Tick(ctx)
		if got := g.state(t, "m1"); got != "released released " || len(g.out.mail) != 2 {
			t.Error(got)
		}
		g.clock.add(grace + time.Minute)
		g.Tick(ctx)
		if _, _, err := g.Raw(ctx, "m1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the octets are still there: %v", err)
		}
		if got := g.state(t, "m1"); got != "released released " || len(g.list(t, Query{All: true})) != 0 {
			t.Error(got)
		}
		if _, err := g.Release(ctx, "m9", nil, "x"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if _, err := g.Release(ctx, "m1", []mail.Address{addr("other@example.jp")}, "x"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		var ends []string
		for _, e := range g.ends {
			ends = append(ends, e.Rcpt.Local+" "+e.State+" "+e.By)
		}
		if d := cmp.Diff([]string{"Sato released sato", "ito deleted admin", "ito released admin"}, ends); d != "" {
			t.Error(d)
		}
	})
}

// TestCrashAfterHandOver interrupts between the hand-over and the change of state.
func TestCrashAfterHandOver(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	g.hold(t, sample("m1", "text\r\n"))
	if _, err := g.Release(ctx, "m1", nil, "sato"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.claim(ctx, "m1"); err != nil { // by a process of this host that died
		t.Fatal(err)
	}
	r, err := g.record(ctx, "m1")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.handOver(ctx, r, releases(r)[0]); err != nil {
		t.Fatal(err)
	}
	if err := g.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	g.out.only(t)
	if got := g.state(t, "m1"); got != "released released " || g.out.puts != 2 {
		t.Error(got, g.out.puts)
	}
}

// TestCrashBetweenBackends interrupts a hand-over whose recipients have different backends after the first of them.
func TestCrashBetweenBackends(t *testing.T) {
	g := newRig(t, config.Redis{}, func(o *Options) { o.Route = nil })
	ctx := t.Context()
	g.hold(t, sample("m1", "text\r\n"))
	if _, err := g.Release(ctx, "m1", nil, "sato"); err != nil {
		t.Fatal(err)
	}
	r, err := g.record(ctx, "m1")
	if err != nil {
		t.Fatal(err)
	}
	first := releases(r)[0]
	first.rcpts = first.rcpts[:1]
	if err := g.handOver(ctx, r, first); err != nil {
		t.Fatal(err)
	}
	if err := g.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	var to []string
	for _, rcpts := range g.out.to {
		for _, a := range rcpts {
			to = append(to, a.Key())
		}
	}
	slices.Sort(to)
	if d := cmp.Diff([]string{"ito@example.jp", "sato@example.jp"}, to); d != "" {
		t.Error(d)
	}
}

func TestClaimOfAnotherHost(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	g.hold(t, sample("m1", "text\r\n"))
	if err := g.store.Client().Set(ctx, claimKey("m1"), "mx2", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Release(ctx, "m1", nil, "sato"); err != nil {
		t.Fatal(err)
	}
	g.Tick(ctx)
	if len(g.out.mail) != 0 {
		t.Error("released although another host does it")
	}
	g.store.Client().Del(ctx, claimKey("m1"))
	g.Tick(ctx)
	g.out.only(t)
}

func TestHandOverIsTriedAgain(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	g.hold(t, sample("m1", "text\r\n"))
	g.out.fail = errors.New("the disk is full")
	if _, err := g.Release(ctx, "m1", nil, "sato"); err != nil {
		t.Fatal(err)
	}
	g.Tick(ctx)
	g.out.fail = nil
	g.Tick(ctx) // too early
	if got := g.state(t, "m1"); got != "releasing releasing " {
		t.Error(got)
	}
	g.clock.add(2 * time.Second)
	g.Tick(ctx)
	g.out.only(t)
}
