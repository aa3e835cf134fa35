package reputation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// stored returns all counts and records of the store: what must be nothing once everything is unlearned.
func (w *world) stored(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	keys := must[[]string](t)(scanAll(t.Context(), w.client))
	for _, key := range keys {
		switch kind := must[string](t)(w.client.Type(t.Context(), key).Result()); kind {
		case "hash":
			fields := must[map[string]string](t)(w.client.HGetAll(t.Context(), key).Result())
			for f, v := range fields {
				all[key+" "+f] = v
			}
		case "set":
			all[key] = fmt.Sprint(slices.Sorted(slices.Values(must[[]string](t)(w.client.SMembers(t.Context(), key).Result()))))
		default:
			all[key] = must[string](t)(w.client.Get(t.Context(), key).Result())
		}
	}
	return all
}

func scanAll(ctx context.Context, c store.Client) ([]string, error) {
	var all []string
	for cursor := uint64(0); ; {
		keys, next, err := c.Scan(ctx, cursor, keyPrefix+"*", 1000).Result()
		if err != nil {
			return nil, err
		}
		if all, cursor = append(all, keys...), next; cursor == 0 {
			slices.Sort(all)
			return slices.Compact(all), nil
		}
	}
}

// onBoth runs a test on the embedded store and on Redis.
func onBoth(t *testing.T, f func(t *testing.T, w *world)) {
	t.Run("embedded", func(t *testing.T) { f(t, newWorld(t)) })
	t.Run("redis", func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: startRedis(t)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		f(t, worldOf(s.Client()))
	})
}

func (w *world) limited(n Limits) *Learner { return w.learner().WithLimits(func() Limits { return n }) }

func address(s string) mail.Address {
	a, _ := mail.ParseAddress(s, false)
	return a
}

func byPerson(c Class, who, fingerprint string, tokens []string) Sample {
	a := address(who)
	return Sample{Class: c, Tokens: tokens, Fingerprint: fingerprint, Source: Person, By: a.Key(), Scopes: []Scope{PersonScope(a), DomainScope(a), Everybody}}
}

func TestPersonTeaches(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, l := t.Context(), w.limited(Limits{Person: 3})
		for i := range 8 {
			got := must[Taught](t)(l.Teach(ctx, byPerson(Ham, "odd@example.jp", fmt.Sprint("m", i), spamTokens(i))))
			if waits := got.Waiting == 1; waits != (i >= 3) || got.Shown != 1 {
				t.Errorf("mail %d: %+v", i, got)
			}
		}
		if n := l.Model().Counts(); n.HamShown != 3 {
			t.Errorf("one person teaches everybody %d mails, not 3", n.HamShown)
		}
		own, err := l.narrow.get(ctx, l, "odd@example.jp")
		if err != nil || own.Counts().HamShown != 8 {
			t.Errorf("for himself: %+v, %v", own.Counts(), err)
		}
		// A second person says the same of a mail that waits: it counts for everybody. So does an administrator's word.
		must[Taught](t)(l.Teach(ctx, byPerson(Ham, "b@example.jp", "m6", spamTokens(6))))
		must[Taught](t)(l.Teach(ctx, Sample{Class: Ham, Tokens: spamTokens(7), Fingerprint: "m7", Source: Admin}))
		if n := l.Model().Counts(); n.HamShown != 5 {
			t.Errorf("with a second person and an administrator everybody has %d mails, not 5", n.HamShown)
		}
		// The other opinion about what he taught himself costs nothing; about what others say it waits.
		must[Taught](t)(l.Teach(ctx, byPerson(Spam, "odd@example.jp", "m0", spamTokens(0))))
		for i := range 3 {
			must[Taught](t)(l.Teach(ctx, byPerson(Spam, "odd@example.jp", fmt.Sprint("x", i), spamTokens(100+i))))
		}
		if got := must[Taught](t)(l.Teach(ctx, byPerson(Spam, "odd@example.jp", "m7", spamTokens(7)))); got.Waiting != 1 {
			t.Errorf("one person overrules an administrator: %+v", got)
		}
		for _, f := range []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "x0", "x1", "x2"} {
			must[[]Lesson](t)(l.Unlearn(ctx, nil, f))
		}
		if left := w.stored(t); len(left) != 0 {
			t.Errorf("after everything is unlearned there is %v", left)
		}
	})
}

func TestAutoGivesWay(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, l := t.Context(), w.limited(Limits{Auto: AutoLimits{Daily: 10, Sender: 10}})
		auto := Sample{Class: Spam, Tokens: spamTokens(1), Fingerprint: "m", Source: Auto}
		must[Taught](t)(l.Teach(ctx, auto))
		if n := l.Model().Counts(); n.SpamShown != 1 {
			t.Fatalf("%+v", n)
		}
		got := must[Taught](t)(l.Teach(ctx, byPerson(Ham, "a@example.jp", "m", spamTokens(1))))
		if n := l.Model().Counts(); n != (Counts{}) || got.Moved != 1 || got.Waiting != 1 {
			t.Errorf("after a release: %+v, %+v", n, got)
		}
		known := must[[]Lesson](t)(l.Known(ctx, "m"))
		if len(known) != 1 || known[0].Scope != "a@example.jp" || known[0].Class != Ham {
			t.Errorf("%+v", known)
		}
		if err := l.Restore(ctx, byPerson(Ham, "a@example.jp", "m", spamTokens(1)), got.Before); err != nil || l.Model().Counts().SpamShown != 1 {
			t.Errorf("after it is undone: %+v, %v", l.Model().Counts(), err)
		}
		must[Taught](t)(l.Teach(ctx, Sample{Class: Spam, Tokens: spamTokens(1), Fingerprint: "m", Source: Admin}))
		if got := must[Taught](t)(l.Teach(ctx, Sample{Class: Ham, Tokens: spamTokens(1), Fingerprint: "m", Source: Auto})); got.Moved+got.Shown != 0 {
			t.Errorf("auto-learning overrules an administrator: %+v", got)
		}
		must[[]Lesson](t)(l.Unlearn(ctx, nil, "m"))
		if left := w.stored(t); len(left) != 0 {
			t.Errorf("%v", left)
		}
	})
}

// What is taken away is what was added, whatever the tokens of the mail are by then: another version makes others, and a copy that a
// person hands in has other fields on top.
func TestUnlearnExactly(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, l := t.Context(), w.learner()
		must[Taught](t)(l.Teach(ctx, byPerson(Spam, "a@example.jp", "other", spamTokens(1))))
		before := w.stored(t)
		must[Taught](t)(l.Teach(ctx, byPerson(Spam, "b@example.jp", "m", []string{"both", "pills", "メール", "a\nb", ""})))
		taken := must[[]Lesson](t)(w.learner().Unlearn(ctx, []string{"v2:both", "v2:pills"}, "m"))
		if after := w.stored(t); len(taken) != 3 || !maps.Equal(after, before) {
			t.Errorf("%v were taken; it was\n%v, is\n%v", taken, before, after)
		}
		// One scope alone.
		must[Taught](t)(l.Teach(ctx, byPerson(Spam, "b@example.jp", "m", spamTokens(2))))
		taken = must[[]Lesson](t)(l.Unlearn(ctx, nil, "m", "b@example.jp"))
		if known := must[[]Lesson](t)(l.Known(ctx, "m")); len(taken) != 1 || len(known) != 2 || known[0].Scope != Everybody || known[1].Scope != "@example.jp" {
			t.Errorf("%v, %v", taken, known)
		}
		// In the month in which it was learned, with the months passed meanwhile.
		w.set(w.clock().AddDate(0, 2, 0))
		must[[]Lesson](t)(l.Unlearn(ctx, nil, "m"))
		if after := w.stored(t); !maps.Equal(after, before) {
			t.Errorf("after two months it was\n%v, is\n%v", before, after)
		}
		// A record of the version before, which kept no tokens.
		w.client.Set(ctx, recordKey("old"), "spam "+monthOf(w.clock())+" 1", 0)
		w.client.HSet(ctx, hashKey(Everybody, Spam, monthOf(w.clock())), tokenShown, 1, tokenMail, 1, "x", 1)
		must[[]Lesson](t)(l.Unlearn(ctx, []string{"x"}, "old"))
		if after := w.stored(t); !maps.Equal(after, before) {
			t.Errorf("an old record: it was\n%v, is\n%v", before, after)
		}
	})
}

// Several hosts learn the same mails at once, as different persons say different things of them and take them back: every mail counts
// once, and in the end the counts are those of the records.
func TestSeveralNodes(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var group sync.WaitGroup
		for node := range 4 {
			group.Go(func() {
				l, r := w.limited(Limits{Person: 5, Campaign: 6}), rand.New(rand.NewPCG(uint64(node), 7))
				for range 60 {
					i, c := r.IntN(12), []Class{Ham, Spam}[r.IntN(2)]
					f, tokens := fmt.Sprint("m", i), append(spamTokens(i), fmt.Sprint("node", node))
					s := byPerson(c, fmt.Sprintf("p%d@example.jp", r.IntN(3)), f, tokens)
					if r.IntN(4) == 0 {
						s.Source = Admin
					}
					if _, err := l.Teach(t.Context(), s); err != nil {
						t.Error(err)
					}
					if r.IntN(5) == 0 {
						if _, err := l.Unlearn(t.Context(), nil, f); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		group.Wait()
		if x, y := w.counts(t), w.recount(t); !maps.Equal(x, y) {
			t.Errorf("the store counts\n%v\nthe records say\n%v", x, y)
		}
		l := w.learner()
		for i := range 12 {
			must[[]Lesson](t)(l.Unlearn(t.Context(), nil, fmt.Sprint("m", i)))
		}
		if left := w.stored(t); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

// counts are the counts of the store, by key and field.
func (w *world) counts(t *testing.T) map[string]string {
	all := w.stored(t)
	maps.DeleteFunc(all, func(key, _ string) bool {
		return strings.HasPrefix(key, keyPrefix+"seen:") || strings.HasPrefix(key, keyPrefix+"of:")
	})
	return all
}

// recount makes them anew from the records.
func (w *world) recount(t *testing.T) map[string]string {
	t.Helper()
	ch := newChange("")
	for key, text := range w.stored(t) {
		f, ok := strings.CutPrefix(key, keyPrefix+"seen:")
		if !ok {
			continue
		}
		r := must[record](t)(parseRecord(text))
		for _, e := range r.Entries {
			ch.models[e.Scope] = NewModel()
			tokens := must[[]string](t)(r.counted(nil))
			ch.contribute(e, f, tokens, 1)
		}
	}
	all := map[string]string{}
	for key, h := range ch.hashes {
		for f, n := range h {
			all[key+" "+f] = fmt.Sprint(n)
		}
	}
	return all
}

func TestCampaign(t *testing.T) {
	w := newWorld(t)
	l := w.limited(Limits{Campaign: 10})
	r := rand.New(rand.NewPCG(1, 2))
	text := func(n int, prefix string) []string {
		words := make([]string, n)
		for i := range words {
			words[i] = fmt.Sprint(prefix, i)
		}
		return words
	}
	learned, alike := 0, 0
	for i := range 200 {
		// The model is to learn each of them, were it not for the limit: what is spam for it changes with every mail.
		m := append(text(150, "campaign"), text(12, fmt.Sprint("salt", i, "x", r.IntN(1000)))...)
		l.Model().learn(Ham, m, 3)
		got := must[Taught](t)(l.Teach(t.Context(), Sample{Class: Spam, Tokens: m, Fingerprint: fmt.Sprint("c", i), Source: Admin}))
		learned, alike = learned+got.Learned, alike+got.Alike
	}
	if learned < 10 || learned > 30 || learned+alike != 200 {
		t.Errorf("of 200 near copies %d are learned and %d are not", learned, alike)
	}
	if n := l.Model().Counts(); n.SpamShown != 200 {
		t.Errorf("%+v", n)
	}
	// Mails that share the usual words of a language only are no campaign.
	learned = 0
	for i := range 100 {
		m := append(text(40, "the"), text(120, fmt.Sprint("topic", i, "x"))...)
		l.Model().learn(Ham, m, 3)
		learned += must[Taught](t)(l.Teach(t.Context(), Sample{Class: Spam, Tokens: m, Fingerprint: fmt.Sprint("t", i), Source: Admin})).Learned
	}
	if learned < 98 {
		t.Errorf("of 100 different mails only %d are learned", learned)
	}
	// Short mails are alike when they say the same.
	if a, b := campaignOf([]string{"buy", "now", "from:x"}), campaignOf([]string{"now", "from:y", "buy"}); !slices.Equal(a, b) {
		t.Errorf("%v %v", a, b)
	}
	if a, b := campaignOf([]string{"buy", "now"}), campaignOf([]string{"buy", "later"}); slices.Equal(a, b) {
		t.Errorf("%v", a)
	}
	if c := campaignOf([]string{"from:x"}); c != nil {
		t.Errorf("%v", c)
	}
}

func TestVocabulary(t *testing.T) {
	m := NewModel()
	for i := range 100 {
		m.learn(Spam, []string{"pills", "the", fmt.Sprint("rare", i)}, 1)
		m.learn(Ham, []string{"minutes", "the", fmt.Sprint("once", i)}, 1)
	}
	before := m.Score([]string{"pills", "the"})
	small := m.capped(20)
	if ham, spam := small.Tokens(); ham+spam > 22 {
		t.Errorf("%d and %d tokens", ham, spam)
	}
	if after := small.Score([]string{"pills", "the"}); after.Z != before.Z || small.Counts() != m.Counts() {
		t.Errorf("%+v, before %+v", after, before)
	}
	if w := small.Score([]string{"minutes"}); w.Kept != 1 {
		t.Errorf("%+v", w)
	}
	if m.capped(0) != m || m.capped(10_000) != m {
		t.Error("a model that is small enough is made anew")
	}
}

// The models of persons are read when they are needed, follow what others learn, and those not needed for longest go.
func TestFor(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, teacher, l := t.Context(), w.limited(Limits{}), w.learner()
		for i := range 30 {
			must[bool](t)(teacher.Learn(ctx, Spam, append(spamTokens(i), "sale"), fmt.Sprint("s", i)))
			must[bool](t)(teacher.Learn(ctx, Ham, hamTokens(i), fmt.Sprint("h", i)))
		}
		for i := range 12 {
			must[Taught](t)(teacher.Teach(ctx, byPerson(Ham, "a@example.jp", fmt.Sprint("a", i), []string{"sale", "shop", fmt.Sprint("a", i)})))
		}
		if err := l.Load(ctx); err != nil {
			t.Fatal(err)
		}
		mail := []string{"sale", "shop"}
		a, b := must[Mix](t)(l.For(ctx, address("A@example.jp"))), must[Mix](t)(l.For(ctx, address("b@example.jp")))
		if len(a.Scopes()) != 1 || len(b.Scopes()) != 0 {
			t.Errorf("%v %v", a.Scopes(), b.Scopes())
		}
		if x, y := a.Score(mail).Z, b.Score(mail).Z; x >= y || y != l.Model().Score(mail).Z {
			t.Errorf("for a %v, for b %v", x, y)
		}
		// A delta of another process reaches what is held.
		before := a.narrow[0].model.Counts()
		d := delta{Node: "x", Scoped: map[Scope]map[Class]map[string]int{"a@example.jp": {Ham: {tokenShown: 1, tokenMail: 1, "sale": 1}}}}
		l.narrow.follow(d.Scoped, false)
		if after := a.narrow[0].model.Counts(); after.HamLearned != before.HamLearned+1 {
			t.Errorf("%+v, before %+v", after, before)
		}
		scopes := l.Scopes()
		if len(scopes) != 1 || scopes[0] != (ScopeStats{"a@example.jp", 13, 0, true}) {
			t.Errorf("%+v", scopes)
		}
		for _, h := range l.narrow.held {
			h.tokens, l.narrow.tokens = mostNarrow+1, mostNarrow+1
		}
		if _, err := l.narrow.get(ctx, l, "b@example.jp"); err != nil || len(l.narrow.held) != 1 || l.narrow.held["b@example.jp"] == nil {
			t.Errorf("%v, held: %v", err, l.narrow.held)
		}
		// The store is gone: what is not held is missing, everybody's model counts.
		stopped, cancel := context.WithCancel(ctx)
		cancel()
		x, err := l.For(stopped, address("a@example.jp"))
		if err == nil || !strings.Contains(err.Error(), "a@example.jp") || x.Score(mail).Z != l.Model().Score(mail).Z {
			t.Errorf("%v", err)
		}
	})
}

// Learners are killed in the middle, by the end of their connections and of the store's process: what counts is what the records say, and
// who gives the same mails again comes to the same counts as who was never interrupted.
func TestKilledWhileLearning(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	r := newDurableRedis(t)
	samples := func(yield func(Sample) bool) {
		for i := range 400 {
			if !yield(byPerson(Spam, fmt.Sprintf("p%d@example.jp", i%3), fingerprint(i), append(spamTokens(i), hamTokens(i)...))) {
				return
			}
		}
	}
	limits := Limits{Person: 1000}
	for round := range 4 {
		w := worldOf(r.open(t))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for s := range samples {
				if _, err := w.limited(limits).Teach(ctx, s); err != nil {
					return
				}
			}
		}()
		waitFor(t, func() bool { n, _ := w.client.DBSize(t.Context()).Result(); return n > int64(10+60*round) })
		r.kill(t)
		cancel()
		<-done
		r.start(t)
	}
	w := worldOf(r.open(t))
	if x, y := w.counts(t), w.recount(t); len(x) == 0 || !maps.Equal(x, y) {
		t.Errorf("after kill -9 the store counts\n%v\nthe records say\n%v", x, y)
	}
	p, err := w.limited(limits).LearnAll(t.Context(), samples, nil)
	if err != nil || p.Known == 0 || p.Shown == 0 || p.Known+p.Shown != 400 {
		t.Errorf("given again: %+v, %v", p, err)
	}
	if x, y := w.counts(t), w.recount(t); !maps.Equal(x, y) {
		t.Errorf("in the end the store counts\n%v\nthe records say\n%v", x, y)
	}
	if n := must[[]MonthStats](t)(w.learner().Months(t.Context(), Everybody)); len(n) != 1 || n[0].SpamShown != 400 {
		t.Errorf("%+v", n)
	}
}

// durableRedis is a server that syncs every write before it answers.
type durableRedis struct {
	dir string
	cmd *exec.Cmd
}

func newDurableRedis(t *testing.T) *durableRedis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("SEKIMORI_REQUIRE_REAL") == "1" {
			t.Fatal("SEKIMORI_REQUIRE_REAL=1, but there is no redis-server on PATH")
		}
		t.Skip("no redis-server on PATH")
	}
	r := &durableRedis{dir: t.TempDir()}
	r.start(t)
	t.Cleanup(func() { r.kill(t) })
	return r
}

func (r *durableRedis) start(t *testing.T) {
	t.Helper()
	sock := filepath.Join(r.dir, "redis.sock")
	_ = os.Remove(sock)
	r.cmd = exec.Command("redis-server", "--port", "0", "--unixsocket", sock, "--dir", r.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		c, err := net.Dial("unix", sock)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func (r *durableRedis) kill(t *testing.T) {
	t.Helper()
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

func (r *durableRedis) open(t *testing.T) store.Client {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: "unix://" + filepath.Join(r.dir, "redis.sock")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	waitFor(t, func() bool { return s.Client().Ping(t.Context()).Err() == nil })
	return s.Client()
}
