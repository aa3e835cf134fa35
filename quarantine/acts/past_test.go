package acts

import (
	"testing"

	"sekimori/internal/mail"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// What people do with mail is remembered of its sender, by what confirmed him, and forgotten when it is undone.
func TestPast(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, sato, ito := t.Context(), person("sato@example.jp"), person("ito@example.jp")
		past := func() (all, satos, itos reputation.Past) {
			t.Helper()
			p, with, err := reputation.NewHistory(g.store.Client(), g.clock.now).Past(ctx, "partner.example", []mail.Address{addr("sato@example.jp"), addr("ito@example.jp")})
			if err != nil {
				t.Fatal(err)
			}
			return p, with["sato@example.jp"], with["ito@example.jp"]
		}
		g.hold(t, "m1")
		r := must(g.Release(ctx, sato, "m1", nil, How{}))(t)
		must(g.ReportSpam(ctx, ito, "m1", nil))(t)
		all, satos, itos := past()
		if all.Released != 1 || all.Reported != 1 || satos.Released != 1 || satos.Reported != 0 || itos.Reported != 1 || all.First.IsZero() {
			t.Errorf("%+v %+v %+v", all, satos, itos)
		}
		must(g.Undo(ctx, sato, r.ID))(t)
		if all, satos, itos = past(); all.Released != 0 || satos.Released != 0 || itos.Reported != 1 {
			t.Errorf("undone: %+v %+v %+v", all, satos, itos)
		}
		// Nobody vouches for this one, so that nothing is remembered of the name it goes by.
		g.hold(t, "m2", func(h *quarantine.Held) { h.Proof = mail.Proof{Author: addr("keiri@partner.example")} })
		must(g.Release(ctx, sato, "m2", nil, How{}))(t)
		if all, _, _ = past(); all.Released != 0 {
			t.Errorf("%+v", all)
		}
	})
}
