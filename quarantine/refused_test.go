package quarantine

import (
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// book is a Recorder that keeps what it is told.
type book struct{ held, ended []string }

func (b *book) Held(id string, _ []mail.Address) error {
	b.held = append(b.held, id)
	return nil
}

func (b *book) Ended(e End) error {
	b.ended = append(b.ended, e.ID+" "+e.State)
	return nil
}

// TestRefusedCopy: a copy of what was refused can be looked at and released like any other mail, and nothing of it is promised:
// neither a store that answers nor one that is down writes it into the ledger.
func TestRefusedCopy(t *testing.T) {
	for name, r := range map[string]config.Redis{"embedded": {}, "down": deadRedis()} {
		t.Run(name, func(t *testing.T) {
			ctx, b := t.Context(), &book{}
			g := newRig(t, r, func(o *Options) { o.Recorder = b })
			for _, id := range []string{"release", "delete", "expire"} {
				h := sample(id, "text")
				h.Class, h.Refused, h.Keep = "refused", true, 3*24*time.Hour
				g.hold(t, h)
			}
			if n := len(g.Pending(ctx)); n != 0 {
				t.Errorf("%d are compared with the ledger", n)
			}
			page, err := g.List(ctx, Query{Class: "refused"})
			if err != nil || len(page.Items) != 3 || !page.Items[0].Refused || page.Items[0].Until.Sub(page.Items[0].Time) != 3*24*time.Hour {
				t.Fatalf("%+v %v", page, err)
			}
			if _, err := g.Release(ctx, "release", nil, "admin"); err != nil {
				t.Fatal(err)
			}
			if _, err := g.Delete(ctx, "delete", nil, "admin"); err != nil {
				t.Fatal(err)
			}
			g.Tick(ctx)
			g.out.only(t)
			g.clock.add(3 * 24 * time.Hour)
			g.Tick(ctx)
			if name == "embedded" && g.state(t, "expire") != "expired expired " {
				t.Error(g.state(t, "expire"))
			}
			if len(b.held)+len(b.ended) != 0 {
				t.Errorf("in the ledger: %v, %v", b.held, b.ended)
			}
		})
	}
}

// TestAskReview: the first note at a refused mail is kept, and nothing tells whether there is one.
func TestAskReview(t *testing.T) {
	g := newRig(t, config.Redis{}, encrypted("k1"))
	ctx := t.Context()
	h := sample("refused", "text")
	h.Refused = true
	g.hold(t, h)
	g.hold(t, sample("held", "text"))
	for _, id := range []string{"refused", "held", "nothing", "../x", ""} {
		for _, note := range []string{"please look", "another"} {
			if err := g.AskReview(ctx, id, note); err != nil {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
	if i, err := g.Show(ctx, "refused"); err != nil || i.Review == nil || i.Review.Note != "please look" {
		t.Errorf("%+v %v", i.Review, err)
	}
	wantReviews := func(step string, want int) {
		t.Helper()
		list, err := g.Reviews(ctx)
		if err != nil || len(list) != want || want == 1 && list[0].ID != "refused" {
			t.Errorf("%s: %d reviews, %v", step, len(list), err)
		}
	}
	wantReviews("asked", 1)
	if _, err := g.Delete(ctx, "refused", nil, "admin"); err != nil {
		t.Fatal(err)
	}
	wantReviews("deleted", 0)
	h.ID = "another"
	g.hold(t, h)
	if err := g.AskReview(ctx, "another", "please"); err != nil {
		t.Fatal(err)
	}
	if err := g.CloseReview(ctx, "another"); err != nil {
		t.Fatal(err)
	}
	wantReviews("closed", 0)
	if i, err := g.Show(ctx, "held"); err != nil || i.Review != nil {
		t.Errorf("%+v %v", i.Review, err)
	}
	if n, _ := g.store.Client().Exists(ctx, mailKey("nothing")).Result(); n != 0 {
		t.Error("a note makes a mail")
	}
}
