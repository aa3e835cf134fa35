package reputation

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/store"
)

var epoch = time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC)

type world struct {
	client store.Client
	now    atomic.Pointer[time.Time]
}

// clock and set guard the time, since the embedded store looks at it by itself once a second.
func (w *world) clock() time.Time { return *w.now.Load() }

func (w *world) set(t time.Time) { w.now.Store(&t) }

func worldOf(client store.Client) *world {
	w := &world{client: client}
	w.set(epoch)
	return w
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := worldOf(nil)
	s, err := store.Open(t.Context(), store.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.client = s.Client()
	return w
}

func (w *world) learner() *Learner {
	return NewLearner(w.client, w.clock, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func sample(c Class, tokens []string, fingerprint string) Sample {
	return Sample{Class: c, Tokens: tokens, Fingerprint: fingerprint}
}

// spamTokens and hamTokens share "both" and differ in the rest.
func spamTokens(i int) []string { return []string{"both", "pills", "offer", fmt.Sprint("s", i)} }

func hamTokens(i int) []string { return []string{"both", "meeting", "minutes", fmt.Sprint("h", i)} }

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// dump returns all that a model holds, to compare two.
func dump(m *Model) string {
	var all []string
	for _, c := range []Class{Ham, Spam} {
		all = append(all, fmt.Sprintf("%s shown %d", c, m.shown[index(c)].Load()))
		words := m.counts.WordsByClass(m.counts.Classes[index(c)])
		tokens := make([]string, 0, len(words)+1)
		for w := range words {
			tokens = append(tokens, w)
		}
		freq := m.counts.WordFrequencies(append(tokens, tokenNever))[index(c)]
		for i, w := range tokens {
			if n := count(freq[i], freq[len(tokens)]); n != 0 {
				all = append(all, fmt.Sprintf("%s %q %v", c, w, n))
			}
		}
	}
	slices.Sort(all)
	return fmt.Sprint(all)
}

func TestLearnLoad(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a := w.learner()
	if a.Model().Loaded() {
		t.Fatal("loaded before Load")
	}
	for i := range 40 {
		must[bool](t)(a.Learn(ctx, Spam, spamTokens(i), fmt.Sprint("s", i)))
		must[bool](t)(a.Learn(ctx, Ham, hamTokens(i), fmt.Sprint("h", i)))
	}
	n := a.Model().Counts()
	if n.SpamShown != 40 || n.HamShown != 40 || n.SpamLearned < 25 || n.HamLearned < 25 {
		t.Fatalf("%+v", n)
	}
	b := w.learner()
	if err := b.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if x, y := dump(a.Model()), dump(b.Model()); x != y {
		t.Fatalf("learned %s\nloaded %s", x, y)
	}
	if s := b.Model().Score(spamTokens(1)); s.Z < 2 || s.Probability < 0.7 || s.Words[0].Token == "both" {
		t.Errorf("%+v", s)
	}
	if s := b.Model().Score(hamTokens(1)); s.Z > -2 {
		t.Errorf("%+v", s)
	}
	if s := b.Model().Score([]string{"both", "unheard"}); s.Z != 0 || s.Kept != 0 {
		t.Errorf("%+v", s)
	}
}

func TestLearnTwice(t *testing.T) {
	w := newWorld(t)
	ctx, l := t.Context(), w.learner()
	must[bool](t)(l.Learn(ctx, Ham, hamTokens(1), "h"))
	if learned := must[bool](t)(l.Learn(ctx, Spam, spamTokens(1), "f")); !learned {
		t.Fatal("the first is not learned")
	}
	before := dump(l.Model())
	if learned := must[bool](t)(l.Learn(ctx, Spam, spamTokens(1), "f")); learned || dump(l.Model()) != before {
		t.Fatal("learned twice")
	}
	must[bool](t)(l.Learn(ctx, Ham, spamTokens(1), "f"))
	if n := l.Model().Counts(); n != (Counts{HamShown: 2, HamLearned: 2}) {
		t.Fatalf("after the class was corrected: %+v", n)
	}
	must[bool](t)(l.Learn(ctx, Spam, spamTokens(1), "f"))
	if dump(l.Model()) != before {
		t.Fatal("correcting back leaves a trace")
	}
	if must[[]Lesson](t)(l.Unlearn(ctx, spamTokens(1), "f")) == nil || must[[]Lesson](t)(l.Unlearn(ctx, hamTokens(1), "h")) == nil {
		t.Fatal("not unlearned")
	}
	if must[[]Lesson](t)(l.Unlearn(ctx, spamTokens(1), "f")) != nil {
		t.Fatal("unlearned twice")
	}
	other := w.learner()
	if err := other.Load(ctx); err != nil {
		t.Fatal(err)
	}
	if n := other.Model().Counts(); n != (Counts{}) || dump(l.Model()) != dump(other.Model()) {
		t.Fatalf("%+v", n)
	}
}

func TestLearnAll(t *testing.T) {
	w := newWorld(t)
	ctx, l := t.Context(), w.learner()
	samples := func(yield func(Sample) bool) {
		for i := range 1000 {
			if !yield(sample(Spam, spamTokens(i), fmt.Sprint("s", i))) || !yield(sample(Ham, hamTokens(i), fmt.Sprint("h", i))) {
				return
			}
			if i%10 == 0 && !yield(sample(Ham, hamTokens(i), fmt.Sprint("h", i))) { // the same file twice
				return
			}
		}
	}
	calls := 0
	p, err := l.LearnAll(ctx, samples, func(Progress, int) { calls++ })
	if err != nil || p.Shown != 2000 || p.Known != 100 || p.Moved != 0 || calls < 10 {
		t.Fatalf("%+v in %d calls, %v", p, calls, err)
	}
	again, err := l.LearnAll(ctx, samples, nil)
	if err != nil || again.Shown != 0 || again.Known != 2100 {
		t.Fatalf("again: %+v, %v", again, err)
	}
	other := w.learner()
	if err := other.Load(ctx); err != nil || dump(other.Model()) != dump(l.Model()) {
		t.Fatalf("the store differs: %v", err)
	}
	if s := l.Stats(); s.SpamShown != 1000 || s.SpamLearned >= 1000 || s.SpamTokens < 3 {
		t.Errorf("%+v", s)
	}
}

// A transaction that fails leaves the model as it was.
func TestLearnFails(t *testing.T) {
	w := newWorld(t)
	l := w.learner()
	must[bool](t)(l.Learn(t.Context(), Spam, spamTokens(1), "a"))
	before := dump(l.Model())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Learn(ctx, Spam, spamTokens(2), "b"); err == nil || dump(l.Model()) != before {
		t.Fatalf("%v, %s", err, dump(l.Model()))
	}
	if err := w.learner().Load(ctx); err == nil {
		t.Fatal("loaded without a store")
	}
}

// The connection is lost before, and after, the store has done a transaction.
func TestConnectionLost(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := newWorld(t)
		ctx := t.Context()
		l := NewLearner(&losing{Client: w.client, after: after, left: 2}, w.clock, slog.New(slog.DiscardHandler))
		must[bool](t)(l.Learn(ctx, Spam, spamTokens(1), "a"))
		must[bool](t)(l.Learn(ctx, Ham, hamTokens(1), "b"))
		if n := l.Model().Counts(); n != (Counts{HamShown: 1, SpamShown: 1, HamLearned: 1, SpamLearned: 1}) {
			t.Errorf("after %v: %+v", after, n)
		}
		l.client.(*losing).left = 1
		if must[[]Lesson](t)(l.Unlearn(ctx, spamTokens(1), "a")) == nil || l.Model().Counts().SpamShown != 0 {
			t.Errorf("after %v: not unlearned, %+v", after, l.Model().Counts())
		}
		other := w.learner()
		if err := other.Load(ctx); err != nil || dump(other.Model()) != dump(l.Model()) {
			t.Errorf("after %v: the store differs: %v", after, err)
		}
	}
}

// losing is a client whose next transactions end with a lost connection.
type losing struct {
	store.Client
	after bool
	left  int
}

func (c *losing) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *store.Cmd {
	if c.left == 0 {
		return c.Client.EvalSha(ctx, sha, keys, args...)
	}
	c.left--
	cmd := &store.Cmd{}
	if c.after {
		if cmd = c.Client.Eval(ctx, learnLua, keys, args...); cmd.Err() != nil {
			return cmd
		}
	}
	cmd.SetErr(io.ErrClosedPipe)
	return cmd
}

func TestMonths(t *testing.T) {
	w := newWorld(t)
	ctx, l := t.Context(), w.learner()
	w.set(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
	must[bool](t)(l.Learn(ctx, Spam, spamTokens(1), "old"))
	w.set(time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC))
	must[bool](t)(l.Learn(ctx, Spam, spamTokens(2), "new"))
	if err := l.reload(ctx); err != nil || l.Model().Counts().SpamShown != 2 {
		t.Fatalf("%+v, %v", l.Model().Counts(), err)
	}
	w.set(w.clock().AddDate(0, 0, 1))
	if err := l.reload(ctx); err != nil || l.Model().Counts().SpamShown != 1 {
		t.Fatalf("after a year: %+v, %v", l.Model().Counts(), err)
	}
	if n, _ := w.client.Exists(ctx, hashKey(Everybody, Spam, "202601"), hashKey(Everybody, Spam, "202612")).Result(); n != 1 {
		t.Errorf("%d hashes are left", n)
	}
	// What has aged out is not taken away a second time, and may be learned again.
	must[[]Lesson](t)(l.Unlearn(ctx, spamTokens(1), "old"))
	if n, _ := w.client.Exists(ctx, hashKey(Everybody, Spam, "202601")).Result(); n != 0 {
		t.Error("unlearning made a hash of the past")
	}
}

func TestDeltas(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	a, b := w.learner(), w.learner()
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	waitFor(t, func() bool {
		n, err := w.client.PubSubNumSub(ctx, channel).Result()
		return a.Model().Loaded() && (err != nil || n[channel] > 0)
	})
	for i := range 5 {
		must[bool](t)(b.Learn(ctx, Spam, spamTokens(i), fmt.Sprint("s", i)))
	}
	must[[]Lesson](t)(b.Unlearn(ctx, spamTokens(3), "s3"))
	waitFor(t, func() bool { return dump(a.Model()) == dump(b.Model()) })
	cancel()
	<-done

	l := w.learner()
	for payload, want := range map[string]bool{
		"{": true, `{"node":"x","reload":true}`: true, `{"node":"x","counts":{"other":{"a":1}}}`: true,
		`{"node":"` + l.node + `","reload":true}`: false, `{"node":"x","counts":{"ham":{"a":1}}}`: false,
	} {
		if got := l.follow(payload); got != want {
			t.Errorf("%s: reload %v", payload, got)
		}
	}
}

// waitFor polls what another goroutine is about to do.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

func BenchmarkScore(b *testing.B) {
	m := NewModel()
	for i := range 30000 {
		c := Ham
		if i%2 == 0 {
			c = Spam
		}
		m.learn(c, []string{fmt.Sprint("token", i), fmt.Sprint("token", i%5000), fmt.Sprint("word", i%700)}, 1)
	}
	var tokens []string
	for i := range 310 {
		tokens = append(tokens, fmt.Sprint("token", i*7), fmt.Sprint("word", i*3))
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Score(tokens[:310])
	}
}
