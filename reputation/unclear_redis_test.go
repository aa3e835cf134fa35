package reputation

import (
	"context"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/store"
)

// TestUnclearChange: a change of which the store said nothing in time, and which it did all the same, is in the models once it is known that
// it may be, here and on other hosts, and is not done twice.
func TestUnclearChange(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: startRedis(t), Timeout: config.Duration(time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := worldOf(s.Client())
	l, other := w.learner(), w.learner()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, x := range []*Learner{l, other} {
		if err := x.Load(ctx); err != nil {
			t.Fatal(err)
		}
		go x.Run(ctx)
	}
	l.script = store.NewScript("for _ = 1, 3e8 do end\n" + learnLua)
	lesson := sample(Spam, spamTokens(1), "1")
	if _, err := l.Teach(ctx, lesson); err == nil || store.IsAnswer(err) {
		t.Fatalf("the store answered in time: %v", err)
	}
	if n := l.Model().Counts().SpamShown; n != 0 {
		t.Errorf("%d mails are counted, although nobody knows", n)
	}
	l.script = store.NewScript(learnLua)
	for end := time.Now().Add(30 * time.Second); l.Model().Counts().SpamShown != 1 || other.Model().Counts().SpamShown != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it is not known after 30 s: %+v, %+v", l.Model().Counts(), other.Model().Counts())
		}
	}
	if p := must[Taught](t)(l.Teach(ctx, lesson)); p.Known != 1 || l.Model().Counts().SpamShown != 1 {
		t.Errorf("the second time: %+v, %+v", p, l.Model().Counts())
	}
}
