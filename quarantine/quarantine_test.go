package quarantine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

func TestHoldListShow(t *testing.T) { holdListShow(t) }

// TestEncryptedHoldListShow: nothing is different with keys.
func TestEncryptedHoldListShow(t *testing.T) { holdListShow(t, encrypted("k1")) }

func holdListShow(t *testing.T, change ...func(*Options)) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		g := newRig(t, r, change...)
		if _, err := g.repair(t.Context()); err != nil { // whose end says that the indexes are complete
			t.Fatal(err)
		}
		for i := range 5 {
			h := sample(fmt.Sprintf("m%d", i), fmt.Sprintf("text %d\r\n", i))
			if i == 3 {
				h.Class, h.Rcpts, h.From = "spam", []mail.Address{addr("abe@example.jp")}, mail.Address{}
			}
			g.hold(t, h)
			g.clock.add(time.Minute)
		}
		if n := len(g.pendings()); n != 0 {
			t.Errorf("%d pending holds beside a durable store", n)
		}
		for _, c := range []struct {
			q    Query
			want string
		}{
			{Query{}, "m4 m3 m2 m1 m0"},
			{Query{Rcpt: "SATO@example.jp"}, "m4 m2 m1 m0"},
			{Query{Rcpt: "abe"}, "m3"},
			{Query{From: "BOUNCE@"}, "m4 m2 m1 m0"},
			{Query{From: "経理部"}, "m4 m3 m2 m1 m0"},
			{Query{From: "bounce@sender.example"}, "m4 m2 m1 m0"},
			{Query{From: "@SENDER.example"}, "m4 m3 m2 m1 m0"},
			{Query{From: "@sender.exampl"}, ""},
			{Query{Rule: "defaults.toml:12"}, "m4 m3 m2 m1 m0"},
			{Query{Rule: "OTHER"}, ""},
			{Query{Class: "suspect", From: "@sender.example", Rcpt: "ito@example.jp"}, "m4 m2 m1 m0"},
			{Query{Subject: "ｍ２"}, "m2"},
			{Query{Class: "spam"}, "m3"},
			{Query{ID: "m1"}, "m1"},
			{Query{ID: "nothing"}, ""},
			{Query{Since: g.clock.now().Add(-150 * time.Second)}, "m4 m3"},
			{Query{Until: g.clock.now().Add(-240 * time.Second)}, "m0"},
			{Query{Rcpt: "nobody@example.jp"}, ""},
		} {
			var ids []string
			for _, i := range g.list(t, c.q) {
				ids = append(ids, i.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("%+v: %s, want %s", c.q, got, c.want)
			}
		}
		var pages []string
		for q := (Query{Limit: 2}); ; {
			p, err := g.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range p.Items {
				pages = append(pages, i.ID)
			}
			if q.Cursor = p.Next; p.Next == "" {
				break
			}
			pages = append(pages, "|")
		}
		if got := strings.Join(pages, " "); got != "m4 m3 | m2 m1 | m0" {
			t.Error(got)
		}
		i, err := g.Show(t.Context(), "m0")
		want := sample("m0", "text 0\r\n")
		if err != nil || i.Subject != want.Subject || string(i.Trace) != string(want.Trace) || i.Size != want.Body.Len() {
			t.Errorf("%+v %v", i, err)
		}
		if d := cmp.Diff(want.Reasons, i.Reasons); d != "" {
			t.Error(d)
		}
		if _, err := g.Show(t.Context(), "nothing"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if s := g.Stats(t.Context()); s.Mails != 5 || s.Octets < 200 || s.Oldest.IsZero() || s.Down != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestSameMillisecondPages(t *testing.T) {
	g := newRig(t, config.Redis{})
	for i := range 450 {
		g.hold(t, sample(fmt.Sprintf("m%03d", i), "same"))
	}
	seen := map[string]int{}
	for q := (Query{Limit: 70}); ; {
		p, err := g.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range p.Items {
			seen[i.ID]++
		}
		if q.Cursor = p.Next; p.Next == "" {
			break
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is listed %d times", id, n)
		}
	}
	if len(seen) != 450 {
		t.Errorf("%d are listed", len(seen))
	}
}

func TestExpiry(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		g := newRig(t, r)
		ctx := t.Context()
		g.hold(t, sample("m1", "text\r\n"))
		g.clock.add(13 * 24 * time.Hour)
		g.Tick(ctx)
		if got := g.state(t, "m1"); got != "held held " {
			t.Error(got)
		}
		g.clock.add(24*time.Hour + time.Minute)
		g.Tick(ctx)
		if got := g.state(t, "m1"); got != "expired expired " || len(g.ends) != 2 || g.ends[0].State != StateExpired {
			t.Error(got, g.ends)
		}
		if _, err := g.Release(ctx, "m1", nil, "late"); !errors.Is(err, ErrState) {
			t.Error(err)
		}
		if keys, _ := g.store.Client().Keys(ctx, "q:{b.*").Result(); len(keys) != 0 {
			t.Errorf("left behind: %v", keys)
		}
		if s := g.Stats(ctx); s.Mails != 0 || s.Octets != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCampaign(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		g := newRig(t, r)
		ctx := t.Context()
		text := big(1<<20, 3)
		for i := range 10 {
			g.hold(t, sample(fmt.Sprintf("m%d", i), text))
		}
		if s := g.Stats(ctx); s.Mails != 10 || s.Octets < 1<<20 || s.Octets > 1<<20+100<<10 {
			t.Errorf("%+v", s)
		}
		for i := range 9 {
			if _, err := g.Delete(ctx, fmt.Sprintf("m%d", i), nil, "admin"); err != nil {
				t.Fatal(err)
			}
		}
		g.Tick(ctx)
		g.clock.add(2 * time.Hour)
		g.Tick(ctx)
		raw, _, err := g.Raw(ctx, "m9")
		if err != nil || !strings.HasSuffix(string(raw.Bytes()), text) {
			t.Fatalf("the last of the campaign lost its body: %v", err)
		}
		if _, err := g.Delete(ctx, "m9", nil, "admin"); err != nil {
			t.Fatal(err)
		}
		g.Tick(ctx)
		g.clock.add(2 * time.Hour)
		g.Tick(ctx)
		if s := g.Stats(ctx); s.Octets != 0 || s.Mails != 0 {
			t.Errorf("%+v", s)
		}
		g.hold(t, sample("m10", text)) // the body comes again
		if _, _, err := g.Raw(ctx, "m10"); err != nil {
			t.Error(err)
		}
	})
}

func TestQuota(t *testing.T) {
	g := newRig(t, config.Redis{}, func(o *Options) { o.Quota = 100 << 10 })
	if err := g.Hold(t.Context(), sample("m1", big(80<<10, 1))); err != nil {
		t.Fatal(err)
	}
	if err := g.Hold(t.Context(), sample("m2", big(90<<10, 2))); !errors.Is(err, ErrFull) {
		t.Errorf("over the quota: %v", err)
	}
	if len(g.pendings()) != 0 {
		t.Error("refused and held")
	}
}

func TestInvalid(t *testing.T) {
	g := newRig(t, config.Redis{})
	for _, id := range []string{"", "../x", "a b", "{x}", strings.Repeat("x", 81)} {
		h := sample("x", "")
		h.ID = id
		if err := g.Hold(t.Context(), h); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := g.Show(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := g.List(t.Context(), Query{Cursor: "x"}); err == nil {
		t.Error("a cursor that is none")
	}
}

// TestIntents is a crash after the body was written, and one after the commit.
func TestIntents(t *testing.T) {
	g := newRig(t, config.Redis{})
	ctx := t.Context()
	g.hold(t, sample("m1", "one\r\n"))
	c := g.store.Client()
	r, err := g.record(ctx, "m1")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.unindex(ctx, "m1", &r.Held); err != nil {
		t.Fatal(err)
	}
	h := sample("m2", "two\r\n")
	p, _ := g.codec.pack(h.ID, h.Body)
	if _, err := g.saveBody(ctx, "m2", p, g.clock.now().Add(backstop)); err != nil {
		t.Fatal(err)
	}
	for _, intent := range []string{"m1 " + r.Hash, "m2 " + p.hash} {
		c.Do(ctx, "ZADD", intentsKey, g.clock.now().UnixMilli(), intent)
	}
	g.clock.add(intentWait + time.Minute)
	g.Tick(ctx)
	if got := g.list(t, Query{Rcpt: "sato@example.jp"}); len(got) != 1 || got[0].ID != "m1" {
		t.Errorf("%+v", got)
	}
	if n, _ := c.Exists(ctx, bodyKey(p.hash)).Result(); n != 0 {
		t.Error("the body that no mail uses is still there")
	}
	if n, _ := c.ZCard(ctx, intentsKey).Result(); n != 0 {
		t.Error("intents are left")
	}
}

// TestRepair takes away indexes and finds the mail again.
func TestRepair(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		g := newRig(t, r)
		ctx := t.Context()
		g.hold(t, sample("m1", "one\r\n"))
		g.hold(t, sample("m2", "two\r\n"))
		c := g.store.Client()
		c.Del(ctx, timeIndex, dueIndex, rcptIndex(addr("sato@example.jp")), classIndex("suspect"), ruleIndex("defaults.toml:12"), domainIndex("sender.example"))
		c.Do(ctx, "ZADD", timeIndex, 5, "gone")
		c.Set(ctx, usedKey, 123456, 0)
		if _, err := g.rescan(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := g.repair(ctx); err != nil {
			t.Fatal(err)
		}
		for _, q := range []Query{{Rcpt: "sato@example.jp"}, {Class: "suspect"}, {Rule: "defaults.toml:12"}, {From: "@sender.example"}} {
			f := newFilter(q)
			if key, err := g.plan(ctx, f, f.span()); err != nil || key == timeIndex {
				t.Errorf("%+v: goes by %q, %v", q, key, err)
			}
			if got := g.list(t, q); len(got) != 2 {
				t.Errorf("%+v: %+v", q, got)
			}
		}
		if s := g.Stats(ctx); s.Mails != 2 || s.Octets > 1000 || s.Octets == 0 {
			t.Errorf("%+v", s)
		}
	})
}
