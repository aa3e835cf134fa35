package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// forgetting is a store with every kind of mail that sato has a part in, and a mail of ito alone.
type forgetting struct {
	*rig
	who  []mail.Address
	ends ended
}

const campaign = "the same text for many\r\n"

func newForgetting(t *testing.T, r config.Redis, change ...func(*Options)) *forgetting {
	t.Helper()
	e := ended{map[string]int{}}
	f := &forgetting{who: []mail.Address{addr("sato@example.jp")}, ends: e}
	f.rig = newRig(t, r, append(change, func(o *Options) { o.Recorder = e })...)
	put := func(id, text string, owners map[string][]mail.Address, rcpts ...string) {
		h := sample(id, text)
		h.Subject, h.Owners = "SUBJECT-"+id, owners
		h.Rcpts = nil
		for _, a := range rcpts {
			h.Rcpts = append(h.Rcpts, addr(a))
		}
		f.hold(t, h)
	}
	put("alone", "ALONE TEXT\r\n", nil, "Sato@example.jp")
	put("campaign", campaign, nil, "sato@example.jp")
	put("ito", campaign, nil, "ito@example.jp")
	put("shared", "shared text\r\n", nil, "sato@example.jp", "ito@example.jp")
	put("alias", "alias text\r\n", map[string][]mail.Address{"s@example.jp": {addr("sato@example.jp")}}, "s@example.jp")
	put("group", "group text\r\n", map[string][]mail.Address{"all@example.jp": {addr("sato@example.jp"), addr("ito@example.jp")}}, "all@example.jp")
	put("past", "past text\r\n", nil, "sato@example.jp")
	put("waiting", "waiting text\r\n", nil, "sato@example.jp")
	ctx := t.Context()
	if _, err := f.Delete(ctx, "past", nil, "sato@example.jp"); err != nil {
		t.Fatal(err)
	}
	f.clock.add(2 * time.Hour)
	f.Tick(ctx)
	if _, _, err := f.Raw(ctx, "past"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("the octets of what was deleted: %v", err)
	}
	if err := f.Announce(ctx, []Told{{Person: f.who[0], Addr: f.who[0], IDs: []string{"alone", "group", "past"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Decide(ctx, "waiting", nil, Decision{By: "sato@example.jp", Due: f.clock.now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *forgetting) all(t *testing.T) map[string]Kept {
	t.Helper()
	found := map[string]Kept{}
	if err := f.EachOf(t.Context(), f.who, nil, func(k Kept) error { found[k.ID] = k; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

func (f *forgetting) forgetAll(t *testing.T) map[string]Fate {
	t.Helper()
	fates := map[string]Fate{}
	for id := range f.all(t) {
		fate, err := f.Forget(t.Context(), id, f.who, "command:root")
		if err != nil {
			t.Fatal(id, err)
		}
		fates[id] = fate
	}
	if err := f.ForgetPlaces(t.Context(), f.who); err != nil {
		t.Fatal(err)
	}
	return fates
}

// kept sees that nobody else has lost anything.
func (f *forgetting) kept(t *testing.T) {
	t.Helper()
	for id, text := range map[string]string{"ito": campaign, "shared": "shared text\r\n", "group": "group text\r\n"} {
		raw, done, err := f.Raw(t.Context(), id)
		if err != nil || !bytes.HasSuffix(raw.Bytes(), []byte(text)) {
			t.Fatalf("%s: %q %v", id, raw.Bytes(), err)
		}
		done()
		if i, err := f.Show(t.Context(), id); err != nil || i.Subject != "SUBJECT-"+id {
			t.Errorf("%+v %v", i, err)
		}
	}
	if got := f.list(t, Query{Rcpt: "ito@example.jp"}); len(got) != 3 {
		t.Errorf("ito has %d mails", len(got))
	}
}

// gone sees that nothing is left but what stays for seven days, and after these nothing at all.
func (f *forgetting) gone(t *testing.T) {
	t.Helper()
	if got := f.list(t, Query{Rcpt: "sato@example.jp", All: true}); len(got) != 0 {
		t.Errorf("%d mails are found: %v", len(got), got)
	}
	dump := f.everything(t)
	for _, id := range []string{"alone", "campaign", "alias", "past", "waiting"} {
		for _, word := range []string{"SUBJECT-" + id, headKey(id)} {
			if bytes.Contains(dump, []byte(word)) {
				t.Errorf("%s is still there", word)
			}
		}
		if _, _, err := f.Raw(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("the octets of %s: %v", id, err)
		}
		if left := f.store.Client().PTTL(t.Context(), mailKey(id)).Val(); left <= 0 || left > forgottenFor+3*time.Hour { // the clock was moved by two
			t.Errorf("%s is known for %s", id, left)
		}
	}
	for _, word := range []string{"q:i:rcpt:sato", "q:i:new:sato", "r:sato@", "a:sato"} {
		if bytes.Contains(dump, []byte(word)) {
			t.Errorf("%s is still there", word)
		}
	}
	f.clock.add(forgottenFor + time.Minute)
	f.Tick(t.Context())
	fields := f.store.Client().HGetAll(t.Context(), mailKey("shared")).Val()
	fields["m"] = string(must(f.codec.open([]byte(fields["m"]), placeMeta("shared"))))
	if text := fmt.Sprint(fields); strings.Contains(strings.ToLower(text), "sato") || !strings.Contains(text, "SUBJECT-shared") {
		t.Error(text)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

var wantFates = map[string]Fate{
	"alone": FateForgotten, "campaign": FateForgotten, "alias": FateForgotten, "past": FateForgotten, "waiting": FateForgotten,
	"shared": FateShared, "group": FateShared,
}

func TestForget(t *testing.T) {
	for name, change := range map[string][]func(*Options){"plain": nil, "encrypted": {encrypted("k1")}} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, r config.Redis) {
				f := newForgetting(t, r, change...)
				before := f.all(t)
				if len(before) != len(wantFates) || !before["group"].Behind || before["group"].Told.IsZero() || before["past"].Octets || !before["alone"].Octets {
					t.Fatalf("%v", slices.Sorted(maps.Keys(before)))
				}
				shared := before["shared"]
				if p := shared.Private(f.who); !shared.Shared || len(p.Rcpts) != 1 || len(p.States) != 1 || p.Owners != nil {
					t.Errorf("%+v", p)
				}
				if got := f.forgetAll(t); !maps.Equal(got, wantFates) {
					t.Errorf("%v", got)
				}
				for id, k := range f.all(t) {
					if !k.Forgotten {
						t.Errorf("%s is still found", id)
					}
				}
				f.forgetAll(t) // once more changes nothing
				f.Tick(t.Context())
				// The serve has written the ends down of what was held, also of what waited to be released.
				for _, want := range []string{
					"alone Sato@example.jp", "campaign sato@example.jp", "alias s@example.jp", "shared sato@example.jp", "waiting sato@example.jp",
				} {
					if f.ends.ends[want+" deleted forget command:root"] == 0 {
						t.Errorf("the end of %s is not written down: %v", want, f.ends.ends)
					}
				}
				if len(f.out.mail) != 0 {
					t.Errorf("%d mails were released", len(f.out.mail))
				}
				states, err := f.States(t.Context(), map[string][]string{"alone": {"sato@example.jp"}, "past": {"sato@example.jp"}, "shared": {"sato@example.jp"}})
				if err != nil || states["alone"]["sato@example.jp"].State != StateDeleted || states["past"]["sato@example.jp"].By != "the recipient" ||
					states["shared"]["sato@example.jp"].State != StateDeleted {
					t.Errorf("for the ledgers: %v %v", states, err)
				}
				f.kept(t)
				used := f.recounted(t)
				if used["r:ito@example.jp"] == "" {
					t.Errorf("%v", used)
				}
				f.gone(t)
			})
		})
	}
}

// recounted sees that a whole repair counts what is there as it was counted before.
func (f *forgetting) recounted(t *testing.T) map[string]string {
	t.Helper()
	ctx := t.Context()
	before := f.store.Client().Get(ctx, usedKey).Val()
	f.clock.add(repairEvery)
	f.Tick(ctx)
	if after := f.store.Client().Get(ctx, usedKey).Val(); after != before {
		t.Errorf("%s octets were counted, %s there are", before, after)
	}
	return f.store.Client().HGetAll(ctx, usedByKey).Val()
}

// dying is a context that ends after it was asked so often, as the process that a store is asked by may be killed.
type dying struct {
	context.Context
	left int
	over chan struct{}
}

func (d *dying) Done() <-chan struct{} {
	if d.left--; d.left == 0 {
		close(d.over)
	}
	return d.over
}

func (d *dying) Err() error {
	if d.left <= 0 {
		return context.Canceled
	}
	return nil
}

// TestForgetKilled stops Forget at each step, and does it again: as if it had not been stopped.
func TestForgetKilled(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		f := newForgetting(t, r)
		stopped := 0
		for id := range wantFates {
			for n := 1; ; n++ {
				_, err := f.Forget(&dying{t.Context(), n, make(chan struct{})}, id, f.who, "command:root")
				if err == nil {
					break
				}
				if stopped++; n > 1000 {
					t.Fatalf("%s: never done: %v", id, err)
				}
			}
		}
		if stopped < 4*len(wantFates) {
			t.Errorf("it was stopped only %d times", stopped)
		}
		f.forgetAll(t)
		f.Tick(t.Context())
		f.kept(t)
		f.gone(t)
	})
}

// TestForgetLeaving: what is on its way out is not forgotten before it has left.
func TestForgetLeaving(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		f := newForgetting(t, r)
		if _, err := f.Release(t.Context(), "alone", nil, "admin"); err != nil {
			t.Fatal(err)
		}
		if fate, err := f.Forget(t.Context(), "alone", f.who, "x"); fate != FateLeaving || err != nil {
			t.Fatal(fate, err)
		}
		f.Tick(t.Context())
		f.out.only(t)
		if fate, err := f.Forget(t.Context(), "alone", f.who, "x"); fate != FateForgotten || err != nil {
			t.Fatal(fate, err)
		}
		if got := f.state(t, "alone"); got != "released " {
			t.Error(got)
		}
	})
}

// TestForgetWithoutKey: what cannot be read can be forgotten, and counts until then.
func TestForgetWithoutKey(t *testing.T) {
	everywhere(t, func(t *testing.T, r config.Redis) {
		f := newForgetting(t, r, encrypted("k1"))
		used := f.recounted(t)
		total := f.store.Client().Get(t.Context(), usedKey).Val()
		f.reopen(t, encrypted("k2"))
		if again := f.recounted(t); !maps.Equal(again, used) || used["r:sato@example.jp"] == "" {
			t.Errorf("without the key %v, with it %v", again, used)
		}
		if now := f.store.Client().Get(t.Context(), usedKey).Val(); now != total {
			t.Errorf("%s octets, were %s", now, total)
		}
		all := f.all(t)
		for _, id := range []string{"alone", "shared", "group", "alias"} {
			if !errors.Is(all[id].Unread, ErrKey) {
				t.Errorf("%s: %v", id, all[id].Unread)
			}
		}
		got := f.forgetAll(t)
		for id, want := range map[string]Fate{"alone": FateForgotten, "campaign": FateForgotten, "past": FateForgotten, "shared": FateUnread, "group": FateUnread} {
			if got[id] != want {
				t.Errorf("%s: %q, not %q", id, got[id], want)
			}
		}
		f.Tick(t.Context())
		for id := range f.all(t) {
			if fields := f.store.Client().HGetAll(t.Context(), mailKey(id)).Val(); id == "alone" && strings.Contains(fields["m"], "k1") {
				t.Error("what nobody can read is still there")
			}
		}
		f.reopen(t, encrypted("k2", "k1"))
		f.kept(t)
		if got := f.state(t, "shared"); got != "deleted held " {
			t.Error(got)
		}
	})
}
