package acts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/quarantine"
)

func TestReleaseAndUndo(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, sato := t.Context(), person("sato@example.jp")
		g.hold(t, "m1")
		r := must(g.Release(ctx, sato, "m1", nil, How{Allow: true}))(t)
		if !r.Changed || r.Learned != "ham" || len(r.Allowed) != 1 || len(r.NotDone) != 0 || !r.UndoUntil.Equal(g.clock.now().Add(time.Minute)) {
			t.Fatalf("%+v", r)
		}
		if a := r.Allowed[0]; a.Domain != "partner.example" || a.Address != "" || a.Rcpt.Key() != "sato@example.jp" || a.By != "sato@example.jp" {
			t.Errorf("%+v", a)
		}
		if got := g.states(t, "m1"); got != "releasing held" {
			t.Error(got)
		}
		again := must(g.Release(ctx, sato, "m1", nil, How{Allow: true}))(t)
		if again.Changed || again.ID != r.ID || again.UndoUntil != r.UndoUntil {
			t.Errorf("again: %+v", again)
		}
		g.tick(t, 59*time.Second)
		if len(g.out.mail) != 0 {
			t.Fatal("it left too early")
		}
		_, err := g.Undo(ctx, person("ito@example.jp"), r.ID)
		wantErr(t, "undone by another person", err, ErrNotFound)
		_, err = g.Undo(ctx, role(Auditor), r.ID)
		wantErr(t, "undone by an auditor", err, ErrForbidden)
		for range 2 {
			if u := must(g.Undo(ctx, sato, r.ID))(t); !u.Undone || len(u.Allowed) != 0 || u.Learned != "" {
				t.Errorf("%+v", u)
			}
		}
		g.tick(t, time.Hour)
		if got := g.states(t, "m1"); got != "held held" || len(g.out.mail) != 0 || g.known(t, "m1") != "" {
			t.Errorf("%s, %d left, known as %q", got, len(g.out.mail), g.known(t, "m1"))
		}
		if list := must(g.Allows(ctx, sato))(t); len(list) != 0 {
			t.Errorf("%+v", list)
		}
		// Released again it is another act, which leaves.
		r2 := must(g.Release(ctx, sato, "m1", nil, How{}))(t)
		if r2.ID == r.ID || !r2.Changed {
			t.Errorf("%+v", r2)
		}
		g.tick(t, time.Minute)
		if got := g.states(t, "m1"); got != "released held" || len(g.out.mail) != 1 {
			t.Error(got)
		}
		_, err = g.Undo(ctx, sato, r2.ID)
		wantErr(t, "undone after it left", err, ErrState)
		if late := must(g.Release(ctx, sato, "m1", nil, How{}))(t); late.Changed || late.ID != r2.ID {
			t.Errorf("%+v", late)
		}
		g.tick(t, time.Minute)
		if len(g.out.mail) != 1 {
			t.Error("it left twice")
		}
		want := "release:sato@example.jp allow:sato@example.jp undo:sato@example.jp release:sato@example.jp undo:sato@example.jp"
		if got := g.logged(t, "m1"); got != want {
			t.Errorf("the log has %s", got)
		}
	})
}

// TestLearning: an act unlearns what was learned from the mail, and undoing it brings that back.
func TestLearning(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, sato := t.Context(), person("sato@example.jp")
		g.hold(t, "m1")
		l := g.lessonOf(t, "m1")
		if _, err := g.learner.Learn(ctx, "spam", l.Tokens, l.Fingerprint); err != nil {
			t.Fatal(err)
		}
		before := g.learner.Model().Counts()
		r := must(g.Release(ctx, sato, "m1", nil, How{}))(t)
		if n := g.learner.Model().Counts(); g.known(t, "m1") != "ham" || n.SpamShown != 0 || n.HamShown != 1 {
			t.Errorf("released: %q %+v", g.known(t, "m1"), n)
		}
		if got := g.scopes(t, "m1"); got != "all=ham @example.jp=ham sato@example.jp=ham" {
			t.Errorf("released, for whom: %s", got)
		}
		must(g.Undo(ctx, sato, r.ID))(t)
		if n := g.learner.Model().Counts(); g.known(t, "m1") != "spam" || n != before {
			t.Errorf("undone: %q %+v, before %+v", g.known(t, "m1"), n, before)
		}
		if got := g.scopes(t, "m1"); got != "all=spam" {
			t.Errorf("undone, for whom: %s", got)
		}
		g.hold(t, "m2", func(h *quarantine.Held) { h.Class = "spoof" })
		if r := must(g.Delete(ctx, sato, "m2", nil))(t); r.Learned != "" || g.known(t, "m2") != "" {
			t.Errorf("a deletion of what was not held by its score taught %q", r.Learned)
		}
		g.hold(t, "m3", func(h *quarantine.Held) { h.Class = "spoof" })
		r = must(g.ReportSpam(ctx, sato, "m3", nil))(t)
		if r.Learned != "spam" || g.known(t, "m3") != "spam" || g.states(t, "m3") != "deleted held" {
			t.Errorf("%+v, %s", r, g.states(t, "m3"))
		}
		g.clock.add(59 * time.Minute)
		must(g.Undo(ctx, role(Admin), r.ID))(t)
		if g.known(t, "m3") != "" || g.states(t, "m3") != "held held" {
			t.Errorf("%q, %s", g.known(t, "m3"), g.states(t, "m3"))
		}
		g.policy.Learn = "admin"
		g.hold(t, "m4")
		if r := must(g.Delete(ctx, sato, "m4", nil))(t); r.Learned != "" {
			t.Errorf("a person taught the model: %+v", r)
		}
		if r := must(g.Delete(ctx, role(Admin), "m4", []mail.Address{addr("ito@example.jp")}))(t); r.Learned != "spam" {
			t.Errorf("an administrator did not: %+v", r)
		}
		if got := g.scopes(t, "m4"); got != "all=spam @example.jp=spam" {
			t.Errorf("an administrator teaches for %s", got)
		}
	})
}

func TestRoles(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	g.hold(t, "m1")
	g.hold(t, "v1", func(h *quarantine.Held) { h.Class = "malware" })
	sato, stranger := person("sato@example.jp"), person("other@example.jp")
	_, err := g.Show(ctx, stranger, "m1")
	wantErr(t, "another's mail", err, ErrNotFound)
	_, err = g.Release(ctx, stranger, "m1", nil, How{})
	wantErr(t, "another's mail", err, ErrNotFound)
	_, err = g.Release(ctx, sato, "m1", []mail.Address{addr("ito@example.jp")}, How{})
	wantErr(t, "for another", err, ErrNotFound)
	_, err = g.Delete(ctx, sato, "m1", []mail.Address{addr("sato@example.jp"), addr("ito@example.jp")})
	if err != nil || g.states(t, "m1") != "deleted held" {
		t.Errorf("for oneself and another: %v, %s", err, g.states(t, "m1"))
	}
	for _, a := range []Actor{sato, role(Helpdesk)} {
		_, err = g.Release(ctx, a, "v1", nil, How{})
		wantErr(t, "malware by "+string(a.Role), err, ErrForbidden)
	}
	_, err = g.Delete(ctx, role(Helpdesk), "m1", nil)
	wantErr(t, "the helpdesk deletes", err, ErrForbidden)
	_, _, err = g.Body(ctx, role(Helpdesk), "m1")
	wantErr(t, "the helpdesk reads", err, ErrForbidden)
	for _, act := range []func() error{
		func() error { _, err := g.Release(ctx, role(Auditor), "m1", nil, How{}); return err },
		func() error { _, err := g.Ask(ctx, role(Auditor), "m1", ""); return err },
		func() error { _, _, err := g.Body(ctx, role(Auditor), "m1"); return err },
		func() error { return g.Revoke(ctx, role(Auditor), "x") },
		func() error {
			_, err := g.Preview(ctx, role(Auditor), BulkQuery{Act: actRelease, Class: "spam"})
			return err
		},
		func() error {
			_, err := g.Preview(ctx, role(Helpdesk), BulkQuery{Act: actRelease, Class: "spam"})
			return err
		},
		func() error { _, err := g.Preview(ctx, sato, BulkQuery{Act: actRelease, Class: "spam"}); return err },
		func() error { _, err := g.Asks(ctx, sato); return err },
		func() error { _, err := g.Show(ctx, Actor{Role: "root"}, "m1"); return err },
	} {
		wantErr(t, "not allowed", act(), ErrForbidden)
	}
	if got := g.logged(t, "m1"); got != "delete:sato@example.jp" {
		t.Errorf("what was refused is in the log: %s", got)
	}
	if _, err := g.Release(ctx, role(Admin), "v1", nil, How{Now: true}); err != nil {
		t.Error(err)
	}
	g.tick(t, 0)
	if got := g.states(t, "v1"); got != "released released" || g.known(t, "v1") != "" {
		t.Error(got)
	}
	if _, err := g.Release(ctx, role(Helpdesk), "m1", nil, How{}); err != nil {
		t.Error(err)
	}
}

// TestLookIsAudited: an administrator's look into a mail stands in the log before he gets it; one's own mail is one's own.
func TestLookIsAudited(t *testing.T) {
	g := newRig(t, config.Redis{})
	g.hold(t, "m1")
	for _, a := range []Actor{person("sato@example.jp"), role(Admin)} {
		c, done, err := g.Body(t.Context(), a, "m1")
		if err != nil || !strings.Contains(string(c.Bytes()), "meeting") {
			t.Fatal(err)
		}
		done()
	}
	if got := g.logged(t, "m1"); got != "look:admin1" {
		t.Error(got)
	}
	g.o.Audit = deafLog{}
	if _, _, err := g.Body(t.Context(), role(Admin), "m1"); err == nil {
		t.Error("he looks although it cannot be written down")
	}
	if _, err := g.Release(t.Context(), person("sato@example.jp"), "m1", nil, How{}); err == nil || g.states(t, "m1") != "held held" {
		t.Error("released although it cannot be written down", err)
	}
}

type deafLog struct{}

func (deafLog) Append(context.Context, audit.Entry) error { return errors.New("the disk is full") }

// TestGroup: what is addressed to a group is each member's to release, but no single member allows a sender for all.
func TestGroup(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	sales := addr("sales@example.jp")
	g.hold(t, "m1", func(h *quarantine.Held) {
		h.Rcpts = []mail.Address{sales, addr("s.sato@example.jp")}
		h.Owners = map[string][]mail.Address{
			"sales@example.jp":  {addr("sato@example.jp"), addr("ito@example.jp")},
			"s.sato@example.jp": {addr("sato@example.jp")}, // an alias
		}
	})
	r := must(g.Release(ctx, person("sato@example.jp"), "m1", nil, How{Allow: true}))(t)
	if len(r.Rcpts) != 2 || len(r.Allowed) != 1 || r.Allowed[0].Rcpt.Key() != "sato@example.jp" || len(r.NotDone) != 1 || !strings.Contains(r.NotDone[0], "group") {
		t.Errorf("%+v", r)
	}
	must(g.Undo(ctx, role(Admin), r.ID))(t)
	r = must(g.Release(ctx, role(Admin), "m1", []mail.Address{sales}, How{Allow: true}))(t)
	if len(r.Allowed) != 1 || r.Allowed[0].Rcpt.Key() != "sales@example.jp" {
		t.Errorf("%+v", r)
	}
}

func TestPermission(t *testing.T) {
	author := addr("Keiri@Partner.example")
	for _, c := range []struct {
		p    mail.Proof
		want string
	}{
		{mail.Proof{Author: author, Aligned: true, SPF: "partner.example", Host: "x.example"}, "@partner.example confirmed"},
		{mail.Proof{Author: addr("taro@gmail.com"), Aligned: true}, "taro@gmail.com confirmed for gmail.com"},
		{mail.Proof{Author: author, SPF: "Mail.Other.example", Host: "x.example"}, "keiri@partner.example with SPF of mail.other.example"},
		{mail.Proof{Author: author, Host: "x.example"}, "keiri@partner.example from a server of x.example"},
		{mail.Proof{Author: author}, ""},
		{mail.Proof{Aligned: true, SPF: "partner.example"}, ""},
	} {
		a, err := Permission(c.p)
		if c.want == "" {
			wantErr(t, fmt.Sprint(c.p), err, ErrUnconfirmed)
		} else if err != nil || a.String() != c.want {
			t.Errorf("%+v: %s, %v", c.p, a, err)
		}
	}
}

func TestAllowList(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, sato, ito := t.Context(), person("sato@example.jp"), person("ito@example.jp")
		g.hold(t, "m1")
		r := must(g.Release(ctx, sato, "m1", nil, How{Allow: true}))(t)
		if list := must(g.Allows(ctx, ito))(t); len(list) != 0 {
			t.Errorf("Ito sees %+v", list)
		}
		if list := must(g.Allows(ctx, role(Admin)))(t); len(list) != 1 || list[0].ID != r.Allowed[0].ID {
			t.Errorf("the administrator sees %+v", list)
		}
		id := r.Allowed[0].ID
		wantErr(t, "another's", g.Revoke(ctx, ito, id), ErrNotFound)
		wantErr(t, "nobody's", g.Revoke(ctx, sato, "feed"), ErrNotFound)
		// The same permission again, from another mail: undoing that keeps the first.
		g.hold(t, "m2")
		r2 := must(g.Release(ctx, sato, "m2", nil, How{Allow: true}))(t)
		must(g.Undo(ctx, sato, r2.ID))(t)
		if list := must(g.Allows(ctx, sato))(t); len(list) != 1 {
			t.Errorf("%+v", list)
		}
		if err := g.Revoke(ctx, sato, id); err != nil {
			t.Fatal(err)
		}
		if list := must(g.Allows(ctx, sato))(t); len(list) != 0 {
			t.Errorf("%+v", list)
		}
		g.hold(t, "m3", func(h *quarantine.Held) { h.Proof = mail.Proof{Author: addr("keiri@partner.example")} })
		r = must(g.Release(ctx, sato, "m3", nil, How{Allow: true}))(t)
		if len(r.Allowed) != 0 || len(r.NotDone) != 1 || !r.Changed {
			t.Errorf("an unconfirmed sender: %+v", r)
		}
	})
}

func TestAsk(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, sato := t.Context(), person("sato@example.jp")
		g.hold(t, "v1", func(h *quarantine.Held) { h.Class = "malware" })
		g.hold(t, "v2", func(h *quarantine.Held) { h.Class = "malware" })
		must(g.Ask(ctx, sato, "v1", "請求書です。\r\nBcc: x@evil.example\u202E \x00"+strings.Repeat("長", 900)))(t)
		must(g.Ask(ctx, sato, "v1", "  電話で\n確認しました\u202E "))(t)
		g.clock.add(time.Second)
		must(g.Ask(ctx, person("ito@example.jp"), "v1", ""))(t)
		asked := must(g.Ask(ctx, sato, "v2", ""))(t)
		if again := must(g.Receipt(ctx, sato, asked.ID))(t); again.Act != "ask" || !again.UndoUntil.IsZero() {
			t.Errorf("the receipt of a question: %+v", again)
		}
		_, err := g.Ask(ctx, person("other@example.jp"), "v1", "")
		wantErr(t, "another's mail", err, ErrNotFound)
		list := must(g.Asks(ctx, role(Admin)))(t)
		if len(list) != 2 || len(list[0].Asked) != 2 || strings.ContainsAny(list[0].Asked[0].Note, "\n\u202E") || !strings.HasPrefix(list[0].Asked[0].Note, "電話で 確認しました") {
			t.Fatalf("%+v", list)
		}
		told := 0
		tell := func(q []Question) error { told += len(q); return nil }
		if err := g.TellAsked(ctx, time.Minute, func([]Question) error { return errors.New("no backend") }); err == nil {
			t.Error("nobody was told, and nobody says so")
		}
		for range 2 {
			if err := g.TellAsked(ctx, time.Hour, tell); err != nil {
				t.Fatal(err)
			}
		}
		if told != 2 {
			t.Errorf("%d were told", told)
		}
		must(g.Release(ctx, role(Admin), "v1", nil, How{Now: true}))(t)
		g.tick(t, time.Second)
		if list := must(g.Asks(ctx, role(Admin)))(t); len(list) != 1 || list[0].ID != "v2" {
			t.Errorf("%+v", list)
		}
		wantErr(t, "nobody asked", g.Answer(ctx, role(Admin), "v1", ""), ErrNotFound)
		wantErr(t, "a person answers", g.Answer(ctx, sato, "v2", ""), ErrForbidden)
		if err := g.Answer(ctx, role(Admin), "v2", "it is a\nvirus\u202E"); err != nil || g.states(t, "v2") != "held held" {
			t.Error(err)
		}
		if list := must(g.Asks(ctx, role(Helpdesk)))(t); len(list) != 0 {
			t.Errorf("answered, and still asked: %+v", list)
		}
		if _, said, err := g.Talk(ctx, sato, "v2"); err != nil || said == nil || said.Note != "it is a virus" || said.By != "admin1" {
			t.Errorf("the answer: %+v %v", said, err)
		}
		_, _, err = g.Talk(ctx, person("other@example.jp"), "v2")
		wantErr(t, "another's talk", err, ErrNotFound)
		must(g.Ask(ctx, sato, "v2", "really?"))(t)
		must(g.Ask(ctx, person("ito@example.jp"), "v2", ""))(t)
		mine, said, err := g.Talk(ctx, sato, "v2")
		all, _, _ := g.Talk(ctx, role(Auditor), "v2")
		if err != nil || said != nil || len(mine) != 1 || mine[0].By != sato.Name || len(all) != 2 {
			t.Errorf("asked again: %+v %+v %+v %v", mine, all, said, err)
		}
		deleted := must(g.Delete(ctx, role(Admin), "v2", nil))(t)
		if list := must(g.Asks(ctx, role(Admin)))(t); len(list) != 0 {
			t.Errorf("decided, and still asked: %+v", list)
		}
		must(g.Undo(ctx, role(Admin), deleted.ID))(t)
		if list := must(g.Asks(ctx, role(Admin)))(t); len(list) != 1 {
			t.Errorf("undone, and no longer asked: %+v", list)
		}
		_, err = g.Ask(ctx, sato, "v1", "")
		wantErr(t, "what is released", err, ErrState)
	})
}

// Who does what another has done before learns who it was and when, and cannot undo it.
func TestDoneByAnother(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, shared := t.Context(), addr("sales@example.jp")
		one, two := person("sato@example.jp"), person("ito@example.jp")
		one.Addresses, two.Addresses = append(one.Addresses, shared), append(two.Addresses, shared)
		g.hold(t, "m1", func(h *quarantine.Held) { h.Rcpts = []mail.Address{shared} })
		first := must(g.Release(ctx, one, "m1", nil, How{}))(t)
		g.clock.add(time.Second)
		r := must(g.Release(ctx, two, "m1", nil, How{}))(t)
		if r.ID == "" || r.ID == first.ID || r.Changed || r.Earlier == nil || r.Earlier.By != one.Name || !r.Earlier.At.Equal(first.At) || r.Earlier.State != quarantine.StateReleasing {
			t.Fatalf("%+v %+v", r, r.Earlier)
		}
		if kept := must(g.Receipt(ctx, two, r.ID))(t); kept.Earlier == nil || kept.Earlier.By != one.Name || !kept.UndoUntil.IsZero() {
			t.Errorf("kept: %+v", kept)
		}
		_, err := g.Undo(ctx, two, r.ID)
		wantErr(t, "undoing what another did", err, ErrState)
		_, err = g.Receipt(ctx, one, r.ID)
		wantErr(t, "another's receipt", err, ErrNotFound)
		own := must(g.Release(ctx, one, "m1", nil, How{}))(t)
		if own.ID != first.ID || own.Changed || own.Earlier == nil || own.UndoUntil != first.UndoUntil {
			t.Errorf("one's own act again: %+v", own)
		}
		_, err = g.Delete(ctx, two, "m1", nil)
		wantErr(t, "deleting what is released", err, ErrState)
		if strings.Count(g.logged(t, "m1"), "release:") != 1 {
			t.Errorf("audit log: %s", g.logged(t, "m1"))
		}
	})
}
