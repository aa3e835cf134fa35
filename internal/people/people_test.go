package people

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/internal/text"
)

func addr(s string) mail.Address {
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		panic(err)
	}
	return a
}

func names(list []mail.Address) string {
	var s []string
	for _, a := range list {
		s = append(s, a.String())
	}
	return strings.Join(s, " ")
}

// stand is a Recipients of a few addresses at example.jp.
type stand map[string][]mail.Address

func (s stand) Whose(a mail.Address) ([]mail.Address, string, bool) {
	if a.Domain != "example.jp" {
		return nil, "", false
	}
	lang := ""
	if a.Local == "smith" {
		lang = "en"
	}
	if to := s[a.Key()]; to != nil {
		return to, lang, true
	}
	return []mail.Address{a}, lang, true
}

func configuration(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.toml", []byte(`
[http]
public_url = "https://guard.example.jp"
[digest]
enabled = true
[[digest.shared]]
mailbox = "info@example.jp"
owners = ["taro@example.jp", "smith@example.jp"]
delegates = ["hanako@example.jp"]
[[digest.shared]]
mailbox = "fax@example.jp"
delegates = ["hanako@example.jp"]
[[domain]]
names = ["example.jp"]
recipients = "any"
backends = ["smtp://192.0.2.1:25"]
[domain.digest]
schedule = "daily 07:30"
`), config.Options{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDirectory(t *testing.T) {
	cfg := configuration(t)
	rcpts := stand{"t.yamada@example.jp": {addr("taro@example.jp")}, "all@example.jp": {addr("taro@example.jp"), addr("info@example.jp"), addr("ken@example.jp")}}
	st := openStore(t, config.Redis{})
	d := NewDirectory(func() *config.Config { return cfg }, func() Recipients { return rcpts }, st)
	for box, want := range map[string]string{
		"taro@example.jp":     "taro@example.jp",
		"T.Yamada@example.jp": "taro@example.jp",
		"info@example.jp":     "taro@example.jp smith@example.jp",
		"FAX@example.jp":      "hanako@example.jp",
		"all@example.jp":      "taro@example.jp smith@example.jp ken@example.jp",
		"x@elsewhere.example": "",
	} {
		if got := names(d.Readers(addr(box))); got != want {
			t.Errorf("%s is read by %q, want %q", box, got, want)
		}
	}
	p, ok := d.Person(t.Context(), addr("t.yamada@example.jp"))
	if !ok || p.Address != addr("taro@example.jp") || p.Lang != text.Ja || names(p.All()) != "taro@example.jp info@example.jp" {
		t.Errorf("%+v %v", p, ok)
	}
	if p, _ = d.Person(t.Context(), addr("hanako@example.jp")); names(p.Boxes) != "info@example.jp fax@example.jp" || names(p.Told) != "fax@example.jp" {
		t.Errorf("a delegate: %+v", p)
	}
	if p, _ = d.Person(t.Context(), addr("smith@example.jp")); p.Lang != text.En {
		t.Errorf("the directory's language: %+v", p)
	}
	if err := st.SetLang(t.Context(), addr("smith@example.jp"), text.Ja); err != nil {
		t.Fatal(err)
	}
	if p, _ = d.Person(t.Context(), addr("smith@example.jp")); p.Lang != text.Ja {
		t.Errorf("the chosen language: %+v", p)
	}
	for _, none := range []string{"info@example.jp", "all@example.jp", "x@elsewhere.example"} {
		if p, ok := d.Person(t.Context(), addr(none)); ok {
			t.Errorf("%s is %+v", none, p)
		}
	}
	z, o := d.Schedule(addr("taro@example.jp"), config.Schedule{})
	if z.String() != "daily 07:30" || o.From != "sekimori@example.jp" {
		t.Errorf("%s %+v", z, o)
	}
	if z, _ = d.Schedule(addr("taro@example.jp"), config.Schedule{Kind: "hourly"}); z.Kind != "hourly" {
		t.Errorf("chosen: %s", z)
	}
	off := *cfg
	off.Digest.Enabled = false
	cfg = &off
	if z, _ = d.Schedule(addr("taro@example.jp"), config.Schedule{Kind: "hourly"}); !z.Off() {
		t.Errorf("digests are off, and yet %s", z)
	}
}

func TestMarks(t *testing.T) {
	for _, words := range [][][2]string{firstWords[:], secondWords[:]} {
		seen := map[string]bool{}
		for _, w := range words {
			if w[0] == "" || w[1] == "" || seen[w[0]] || seen[w[1]] {
				t.Errorf("%v stands twice, or lacks a language", w)
			}
			seen[w[0]], seen[w[1]] = true, true
		}
	}
	if n := len(firstWords) * len(secondWords); n < 10000 {
		t.Errorf("only %d marks: one in so many guesses is right", n)
	}
	seen := map[Mark]bool{}
	for range 200 {
		m, err := NewMark(nil)
		if err != nil || m.IsZero() || ParseMark(m.String()) != m || m.Words(text.Ja) == "" || m.Words(text.En) == "" {
			t.Fatalf("%v %v", m, err)
		}
		seen[m] = true
	}
	if len(seen) < 180 {
		t.Errorf("200 draws gave %d marks", len(seen))
	}
	if m, err := NewMark(bytes.NewReader([]byte{0, 0, 0, 0, 0, 0, 0, 0})); err != nil || m.Words(text.Ja) != "青いもみじ" || m.Words(text.En) != "blue maple" {
		t.Errorf("%q %v", m.Words(text.Ja), err)
	}
	if _, err := NewMark(bytes.NewReader(nil)); err == nil {
		t.Error("a mark without randomness")
	}
	for _, s := range []string{"", "1", "0.1", "1.9999", "x.y"} {
		if !ParseMark(s).IsZero() {
			t.Errorf("%q is a mark", s)
		}
	}
}

func openStore(t testing.TB, r config.Redis) *Store {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{Redis: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return NewStore(st.Client(), time.Now, nil)
}

// startRedis starts a real redis-server in a private folder.
func startRedis(t testing.TB) config.Redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	at := l.Addr().String()
	_, port, _ := net.SplitHostPort(at)
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if c, err := net.Dial("tcp", at); err == nil {
			_ = c.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return config.Redis{URL: "redis://" + at + "/0", Timeout: config.Duration(5 * time.Second)}
}

func everywhere(t *testing.T, f func(t *testing.T, s *Store)) {
	t.Run("embedded", func(t *testing.T) { f(t, openStore(t, config.Redis{})) })
	t.Run("redis", func(t *testing.T) { f(t, openStore(t, startRedis(t))) })
}

func TestChoices(t *testing.T) {
	everywhere(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		taro, hanako := addr("Taro@example.jp"), addr("hanako@example.jp")
		weekly := config.Schedule{Kind: "weekly", Days: []time.Weekday{time.Monday}, Times: []int{540}}
		if err := errors.Join(s.SetLang(ctx, taro, text.En), s.SetSchedule(ctx, taro, weekly)); err != nil {
			t.Fatal(err)
		}
		if err := s.SetLang(ctx, taro, "fr"); err == nil {
			t.Error("French was taken")
		}
		states, err := s.Get(ctx, []mail.Address{hanako, addr("taro@example.jp")})
		if err != nil || states[0].Lang != "" || !states[0].Schedule.IsZero() || states[1].Lang != text.En || states[1].Schedule.String() != "weekly mon 09:00" {
			t.Fatalf("%+v %v", states, err)
		}
		changed, v, err := s.Changed(ctx, 0)
		if err != nil || names(changed) != "taro@example.jp" || v != 2 {
			t.Errorf("changed: %v %d %v", changed, v, err)
		}
		if changed, v, _ = s.Changed(ctx, v); len(changed) != 0 || v != 2 {
			t.Errorf("changed again: %v %d", changed, v)
		}
		marks, err := s.Marks(ctx, []mail.Address{taro, hanako})
		if err != nil || marks[0].IsZero() || marks[1].IsZero() {
			t.Fatalf("%v %v", marks, err)
		}
		if again, _ := s.Marks(ctx, []mail.Address{hanako, taro}); again[1] != marks[0] || again[0] != marks[1] {
			t.Error("a mark has changed by itself")
		}
		for range 5 { // once in 10,000 the new mark is the old one
			if m, err := s.RenewMark(ctx, taro); err != nil {
				t.Fatal(err)
			} else if m != marks[0] {
				marks[0] = Mark{}
			}
		}
		if !marks[0].IsZero() {
			t.Error("a renewed mark is the old one")
		}
		if all, err := s.All(ctx); err != nil || names(all) != "taro@example.jp" {
			t.Errorf("all: %v %v", all, err)
		}
		if err := errors.Join(s.Ask(ctx, taro), s.Ask(ctx, taro), s.Ask(ctx, hanako)); err != nil {
			t.Fatal(err)
		}
		asked, err := s.Asked(ctx, 10, time.Minute)
		if err != nil || len(asked) != 2 {
			t.Errorf("asked: %v %v", asked, err)
		}
		if again, err := s.Asked(ctx, 10, time.Minute); err != nil || len(again) != 0 {
			t.Errorf("given to two: %v %v", again, err)
		}
		if gone, err := s.Asked(ctx, 10, -time.Minute); err != nil || len(gone) != 0 {
			t.Errorf("given to two: %v %v", gone, err)
		}
		// Asked again meanwhile: that stands. The other is answered.
		time.Sleep(2 * time.Millisecond)
		if err := errors.Join(s.Ask(ctx, taro), s.Answered(ctx, asked)); err != nil {
			t.Fatal(err)
		}
		states, err = s.Get(ctx, []mail.Address{taro, hanako})
		if err != nil || states[0].Asked.IsZero() || !states[1].Asked.IsZero() {
			t.Errorf("%+v %v", states, err)
		}
		if err := s.Forget(ctx, taro); err != nil {
			t.Fatal(err)
		}
		if states, _ := s.Get(ctx, []mail.Address{taro}); states[0].Lang != "" || !states[0].Mark.IsZero() {
			t.Errorf("not forgotten: %+v", states[0])
		}
	})
}

// TestSlots goes through every step of a slot, and through those that are not allowed.
func TestSlots(t *testing.T) {
	everywhere(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		now := time.Now()
		s.now = func() time.Time { return now }
		taro := addr("taro@example.jp")
		take := func(node string, due int64) Taken {
			t.Helper()
			got, err := s.Take(ctx, []Claim{{taro, due, node, 2 * time.Minute}})
			if err != nil {
				t.Fatal(err)
			}
			return got[0]
		}
		a := take("a", 1000)
		if !a.Mine || a.Slot.State != Claimed || a.Slot.Node != "a" {
			t.Fatalf("%+v", a)
		}
		if b := take("b", 1000); b.Mine || b.Slot.Node != "a" {
			t.Fatalf("claimed twice: %+v", b)
		}
		now = now.Add(time.Minute)
		if again := take("a", 1000); !again.Mine {
			t.Fatalf("not given back to its node: %+v", again)
		}
		// The older claim of the same node is void.
		if _, ok, err := s.Hand(ctx, taro, a.Slot, []string{"m1"}); ok || err != nil {
			t.Fatalf("handed over with an old claim: %v", err)
		}
		now = now.Add(3 * time.Minute)
		b := take("b", 1000)
		if !b.Mine {
			t.Fatalf("a lapsed claim was not given: %+v", b)
		}
		handing, ok, err := s.Hand(ctx, taro, b.Slot, []string{"m1", "m2"})
		if !ok || err != nil || handing.State != Handing {
			t.Fatalf("%+v %v %v", handing, ok, err)
		}
		now = now.Add(24 * time.Hour)
		for _, node := range []string{"a", "b"} {
			if x := take(node, 1000); x.Mine || x.Slot.State != Handing || len(x.IDs) != 2 {
				t.Fatalf("%s was given what is being handed over: %+v", node, x)
			}
		}
		back, ok, err := s.Back(ctx, taro, handing)
		if !ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
		if _, ok, _ := s.Back(ctx, taro, handing); ok {
			t.Error("taken back twice")
		}
		if handing, ok, err = s.Hand(ctx, taro, back, []string{"m3"}); !ok || err != nil {
			t.Fatalf("%v %v", ok, err)
		}
		// A later slot does not overtake what is just being handed over; afterwards it goes on, and tells what stood there.
		if x := take("a", 2000); x.Mine {
			t.Fatalf("overtaken: %+v", x)
		}
		now = now.Add(handLapse + time.Second)
		later := take("a", 2000)
		if !later.Mine || later.Before != handing && later.Before.String() != handing.String() || !slices.Equal(later.IDs, []string{"m3"}) {
			t.Fatalf("%+v", later)
		}
		if err := s.Done(ctx, taro, handing, 1); err != nil { // too late: it changes nothing
			t.Fatal(err)
		}
		if x := take("b", 1500); x.Mine {
			t.Fatalf("an earlier slot was given: %+v", x)
		}
		if err := s.Done(ctx, taro, later.Slot, 3); err != nil {
			t.Fatal(err)
		}
		states, err := s.Get(ctx, []mail.Address{taro})
		if st := states[0]; err != nil || st.Slot.State != Sent || st.Slot.Due != 2000 || st.Count != 3 || st.Sent.IsZero() {
			t.Fatalf("%+v %v", states, err)
		}
		if x := take("b", 2000); x.Mine || x.Slot.State != Sent {
			t.Fatalf("given again: %+v", x)
		}
		if err := s.Failed(ctx, taro, "550 5.1.1 no such user"); err != nil {
			t.Fatal(err)
		}
		if states, _ = s.Get(ctx, []mail.Address{taro}); states[0].Fail != "550 5.1.1 no such user" || states[0].FailedAt.IsZero() {
			t.Errorf("%+v", states)
		}
	})
}

// TestSlotsOnce lets many nodes claim the slots of many persons at once: each is given once.
func TestSlotsOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, s *Store) {
		const persons, nodes = 50, 8
		var claims [nodes][]Claim
		for n := range nodes {
			for p := range persons {
				claims[n] = append(claims[n], Claim{mail.Address{Local: "p" + string(rune('0'+p/10)) + string(rune('0'+p%10)), Domain: "example.jp"}, 1000, string(rune('a' + n)), time.Minute})
			}
		}
		var mu sync.Mutex
		given := map[mail.Address]int{}
		var wg sync.WaitGroup
		for n := range nodes {
			wg.Go(func() {
				got, err := s.Take(context.WithoutCancel(t.Context()), claims[n])
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for i, x := range got {
					if x.Mine {
						given[claims[n][i].Person]++
					}
				}
			})
		}
		wg.Wait()
		if len(given) != persons {
			t.Errorf("%d of %d persons were claimed", len(given), persons)
		}
		for a, n := range given {
			if n != 1 {
				t.Errorf("%s was given %d times", a, n)
			}
		}
	})
}
