package acts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/quarantine"
)

func byRule(rule string) func(*quarantine.Held) {
	return func(h *quarantine.Held) { h.Rule, h.Class = rule, "policy" }
}

func TestSimilar(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx := t.Context()
		for i := range 4 {
			g.hold(t, fmt.Sprintf("m%d", i))
			g.clock.add(time.Second)
		}
		g.hold(t, "other-rule", byRule("NEWS (10-own.toml:3)"))
		g.hold(t, "other-sender", func(h *quarantine.Held) { h.HeaderFrom = "notkeiri@partner.example" })
		g.hold(t, "longer-sender", func(h *quarantine.Held) { h.HeaderFrom = "xkeiri@partner.example" })
		g.hold(t, "for-ito", func(h *quarantine.Held) { h.Rcpts = h.Rcpts[1:] })
		must(g.Delete(ctx, person("sato@example.jp"), "m3", nil))(t)
		s := must(g.Similar(ctx, person("sato@example.jp"), "m0"))(t)
		if got := strings.Join(s.IDs, " "); got != "m2 m1" || s.From != "keiri@partner.example" || s.More {
			t.Errorf("%+v", s)
		}
		if s := must(g.Similar(ctx, role(Admin), "for-ito"))(t); len(s.IDs) != 4 { // m3 is held for Ito
			t.Errorf("%+v", s)
		}
		_, err := g.Similar(ctx, person("other@example.jp"), "m0")
		wantErr(t, "another's", err, ErrNotFound)
	})
}

func TestBulkByRule(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, admin := t.Context(), role(Admin)
		g.hold(t, "before", byRule("NEWS (10-own.toml:3)"))
		g.clock.add(time.Minute)
		since := g.clock.now()
		const n = 130 // more than is done while the caller waits
		for i := range n {
			g.hold(t, fmt.Sprintf("n%03d", i), byRule("NEWS (10-own.toml:3)"))
		}
		g.hold(t, "other", byRule("NEWSLETTER (10-own.toml:9)"))
		g.hold(t, "virus", byRule("NEWS (10-own.toml:3)"), func(h *quarantine.Held) { h.Class = "malware" })
		g.tick(t, 0) // what a busy store did not take at once
		q := BulkQuery{Act: actRelease, Rule: "NEWS", Since: since}
		p := must(g.Preview(ctx, admin, q))(t)
		if p.Count != n || p.Dangers != 1 || p.Excluded[0].ID != "virus" || len(p.Samples) != planSamples || p.Classes["policy"] != n || p.Senders["keiri@partner.example"] != n {
			t.Fatalf("%+v", p)
		}
		g.hold(t, "since", byRule("NEWS (10-own.toml:3)")) // nobody looked at it
		_, err := g.Bulk(ctx, Actor{Name: "admin2", Role: Admin}, p.ID)
		wantErr(t, "another's plan", err, ErrNotFound)
		r := must(g.Bulk(ctx, admin, p.ID))(t)
		if again := must(g.Bulk(ctx, admin, p.ID))(t); again.ID != r.ID {
			t.Error("the same plan is carried out twice")
		}
		if pr := must(g.Progress(ctx, admin, r.ID))(t); pr.State != jobRunning || pr.Done != 0 || pr.Total != n {
			t.Errorf("%+v", pr)
		}
		g.tick(t, time.Second)
		if pr := must(g.Progress(ctx, admin, r.ID))(t); pr.State != jobDone || pr.Done != n || pr.Failed != 0 {
			t.Errorf("%+v", pr)
		}
		if got := g.states(t, "n077") + ", " + g.states(t, "before") + ", " + g.states(t, "since") + ", " + g.states(t, "virus") + ", " + g.states(t, "other"); got != "releasing releasing, held held, held held, held held, held held" {
			t.Error(got)
		}
		must(g.Undo(ctx, admin, r.ID))(t)
		g.tick(t, time.Second)
		if pr := must(g.Progress(ctx, admin, r.ID))(t); pr.State != jobUndone || pr.Done != n {
			t.Errorf("%+v", pr)
		}
		g.tick(t, time.Hour)
		if got := g.states(t, "n000"); got != "held held" || len(g.out.mail) != 0 {
			t.Error(got, len(g.out.mail))
		}
		p = must(g.Preview(ctx, admin, BulkQuery{Act: actRelease, Rule: "10-own.toml:3"}))(t)
		r = must(g.Bulk(ctx, admin, p.ID))(t)
		g.tick(t, time.Second)
		_ = must(g.Progress(ctx, admin, r.ID))(t)
		g.tick(t, time.Hour)
		if len(g.out.mail) != n+2 {
			t.Errorf("%d mails left, want %d", len(g.out.mail), n+2)
		}
		_, err = g.Undo(ctx, admin, r.ID)
		wantErr(t, "undone too late", err, ErrState)
		if got := g.logged(t, "n010"); got != "bulk.release:admin1 bulk.release:admin1" {
			t.Error(got)
		}
		if l, err := g.log.List(ctx, audit.Query{Act: "bulk.release"}); err != nil || len(l.Entries) != 2+2*3 {
			t.Errorf("%d entries, %v", len(l.Entries), err)
		}
	})
}

func TestBulkOfSelection(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, sato := t.Context(), person("sato@example.jp")
		for _, id := range []string{"m1", "m2", "m3"} {
			g.hold(t, id)
		}
		g.hold(t, "ito", func(h *quarantine.Held) { h.Rcpts = h.Rcpts[1:] })
		p := must(g.Preview(ctx, sato, BulkQuery{Act: actDelete, IDs: []string{"m1", "m2", "m2", "ito", "nothing"}}))(t)
		if p.Count != 2 {
			t.Fatalf("%+v", p)
		}
		r := must(g.Bulk(ctx, sato, p.ID))(t)
		if pr := must(g.Progress(ctx, sato, r.ID))(t); pr.State != jobDone {
			t.Errorf("%+v", pr)
		}
		if got := g.states(t, "m1") + ", " + g.states(t, "m3") + ", " + g.states(t, "ito") + g.known(t, "m1"); got != "deleted held, held held, heldspam" {
			t.Error(got)
		}
		must(g.Undo(ctx, sato, r.ID))(t)
		if got := g.states(t, "m1") + g.known(t, "m1"); got != "held held" {
			t.Error(got)
		}
	})
}

func TestBulkQuery(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	for _, q := range []BulkQuery{{}, {Act: actRelease}, {Act: "allow", Class: "spam"}} {
		_, err := g.Preview(ctx, role(Admin), q)
		wantErr(t, fmt.Sprint(q), err, ErrInvalid)
	}
	g.hold(t, "m1")
	g.hold(t, "m2", func(h *quarantine.Held) {
		h.HeaderFrom, h.From = "keiri@partner.example.net", mail.Address{}
	})
	for from, want := range map[string]int{
		"partner.example": 1, "@partner.example": 1, "KEIRI@partner.example": 1, "keiri": 2, "partner.example.net": 1, "artner.example": 0, "nobody": 0,
	} {
		p := must(g.Preview(ctx, role(Admin), BulkQuery{Act: actDelete, From: from}))(t)
		if p.Count != want {
			t.Errorf("from %s: %d, want %d", from, p.Count, want)
		}
	}
	p := must(g.Preview(ctx, role(Admin), BulkQuery{Act: actDelete, From: "nobody"}))(t)
	_, err := g.Bulk(ctx, role(Admin), p.ID)
	wantErr(t, "an empty plan", err, ErrInvalid)
}

// TestBulkOfDeadHost: a host that dies in the middle leaves its claim; another goes on when that has run out, and what was done twice
// is done once.
func TestBulkOfDeadHost(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx, admin := t.Context(), role(Admin)
	const n = 120
	for i := range n {
		g.hold(t, fmt.Sprintf("n%03d", i))
	}
	p := must(g.Preview(ctx, admin, BulkQuery{Act: actRelease, Class: "spam"}))(t)
	r := must(g.Bulk(ctx, admin, p.ID))(t)
	k := must(g.receipt(ctx, admin, r.ID))(t)
	if err := g.o.Client.Set(ctx, jobClaimKey(r.ID), "dead", jobClaim).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := g.doPart(ctx, k, p0(k, 30)); err != nil { // done, and not noted
		t.Fatal(err)
	}
	g.Tick(ctx)
	if pr := must(g.Progress(ctx, admin, r.ID))(t); pr.Done != 0 {
		t.Error("two hosts do it")
	}
	g.o.Client.Del(ctx, jobClaimKey(r.ID)) // it has run out
	g.Tick(ctx)
	if pr := must(g.Progress(ctx, admin, r.ID))(t); pr.State != jobDone || pr.Failed != 0 {
		t.Errorf("%+v", pr)
	}
	must(g.Undo(ctx, admin, r.ID))(t)
	g.Tick(ctx)
	for i := range n {
		if got := g.states(t, fmt.Sprintf("n%03d", i)); got != "held held" {
			t.Fatal(i, got)
		}
	}
}

func p0(k *kept, n int) []string { return k.Job.IDs[:n] }
