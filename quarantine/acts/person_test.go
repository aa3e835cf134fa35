package acts

import (
	"bytes"
	"testing"
	"time"

	"sekimori/internal/mail"
)

// TestForget: what is kept of a person's acts is found and taken away, and nobody else loses anything.
func TestForget(t *testing.T) {
	everywhere(t, func(t *testing.T, g *rig) {
		ctx, sato, ito := t.Context(), person("sato@example.jp"), person("ito@example.jp")
		who := []mail.Address{addr("Sato@example.jp")}
		for _, id := range []string{"m1", "m2", "m3", "m4"} {
			g.hold(t, id)
		}
		for _, a := range []Actor{sato, ito} {
			must(g.Release(ctx, a, "m1", nil, How{Allow: true}))(t)
			must(g.Ask(ctx, a, "m2", "please"))(t)
			must(g.Preview(ctx, a, BulkQuery{Act: actDelete, Rcpt: a.Name, IDs: []string{"m3"}}))(t)
		}
		must(g.Ask(ctx, sato, "m4", "only I"))(t)
		r := must(g.Of(ctx, who))(t)
		if len(r.Allows) != 1 || len(r.Asked) != 2 || len(r.Receipts) == 0 || len(r.keys) <= len(r.Receipts) || r.Asked[0].By != "sato@example.jp" {
			t.Fatalf("%+v", r)
		}
		for range 2 { // it can be repeated
			if err := g.Forget(ctx, who); err != nil {
				t.Fatal(err)
			}
		}
		g.clock.add(time.Minute) // what is in memory for some seconds
		r = must(g.Of(ctx, who))(t)
		if len(r.Allows)+len(r.Asked)+len(r.Receipts)+len(r.keys) != 0 {
			t.Errorf("%+v", r)
		}
		other := must(g.Of(ctx, []mail.Address{addr("ito@example.jp")}))(t)
		if len(other.Allows) != 1 || len(other.Asked) != 1 || len(other.keys) == 0 {
			t.Errorf("%+v", other)
		}
		if list := must(g.Asks(ctx, role(Admin)))(t); len(list) != 1 || list[0].ID != "m2" {
			t.Errorf("%+v", list)
		}
		for at := uint64(0); ; {
			keys, next, err := g.store.Client().Scan(ctx, at, "a*", 100).Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range keys {
				if bytes.Contains([]byte(k), []byte("sato")) {
					t.Errorf("%s is still there", k)
				}
			}
			if at = next; next == 0 {
				break
			}
		}
	})
}
