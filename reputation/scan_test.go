package reputation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// scanned is a client whose answers to HSCAN are changed.
type scanned struct {
	store.Client
	answer func(key string, cursor uint64, cmd *store.ScanCmd)
}

func (s scanned) HScan(ctx context.Context, key string, cursor uint64, match string, count int64) *store.ScanCmd {
	cmd := s.Client.HScan(ctx, key, cursor, match, count)
	s.answer(key, cursor, cmd)
	return cmd
}

// TestScanTwice: what a hash returns twice counts once, and what stands in two months is added.
func TestScanTwice(t *testing.T) {
	w := newWorld(t)
	key, before := hashKey(Everybody, Spam, monthBefore(w.clock(), 0)), hashKey(Everybody, Spam, monthBefore(w.clock(), 1))
	for _, k := range []string{key, before} {
		must[int64](t)(w.client.HSet(t.Context(), k, "a", 1).Result())
	}
	w.client = scanned{w.client, func(k string, cursor uint64, cmd *store.ScanCmd) {
		switch {
		case k == key && cursor == 0:
			cmd.SetVal([]string{"a", "1", "b", "2", tokenMail, "7"}, 5)
		case k == key && cursor == 5:
			cmd.SetVal([]string{"b", "2", "c", "3", "a", "1", "gone", "0", "odd", "x"}, 9)
		case k == key && cursor == 9:
			cmd.SetVal([]string{"c", "3", tokenMail, "7", tokenShown, "8"}, 0)
		case k == before:
			cmd.SetVal([]string{"a", "10"}, 0)
		}
	}}
	l := w.learner()
	if err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := dump(l.Model()), fmt.Sprintf("[ham shown 0 spam %q 7 spam \"a\" 11 spam \"b\" 2 spam \"c\" 3 spam shown 8]", tokenMail); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// TestScanFails: when a page does not come the model stays as it was, and nothing goes on reading.
func TestScanFails(t *testing.T) {
	w := newWorld(t)
	l := w.learner()
	for i := range 30 {
		must[bool](t)(l.Learn(t.Context(), Spam, spamTokens(i), fmt.Sprint("s", i)))
		must[bool](t)(l.Learn(t.Context(), Ham, hamTokens(i), fmt.Sprint("h", i)))
	}
	before, broken := dump(l.Model()), errors.New("broken")
	var running atomic.Int64
	for _, ends := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		l.client = scanned{w.client, func(key string, cursor uint64, cmd *store.ScanCmd) {
			running.Add(1)
			defer running.Add(-1)
			switch {
			case strings.Contains(key, string(Ham)):
				cmd.SetVal([]string{fmt.Sprint("x", cursor), "1"}, cursor+1) // without end
			case ends:
				cancel()
			default:
				cmd.SetErr(broken)
			}
		}}
		if err := l.Load(ctx); err == nil || !ends && !errors.Is(err, broken) || ends && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		cancel()
		if n := running.Load(); n != 0 {
			t.Errorf("%d still read", n)
		}
		if got := dump(l.Model()); got != before {
			t.Errorf("the model is now %s, not %s", got, before)
		}
	}
}

// TestNoPauseWhileLoading: while a load waits for the store, all that a mail asks of the memory is answered, by the models of before.
func TestNoPauseWhileLoading(t *testing.T) {
	w := newWorld(t)
	l := w.learner().WithWatch(NewBayesWatch(w.client, func() DriftLimits { return DriftLimits{} }, w.clock))
	person := []Scope{Everybody, "a@example.jp"}
	for i := range 30 {
		for c, tokens := range map[Class][]string{Spam: spamTokens(i), Ham: hamTokens(i)} {
			s := sample(c, tokens, fmt.Sprint(c, i))
			s.Scopes = person
			must[Taught](t)(l.Teach(t.Context(), s))
		}
	}
	if err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := l.Model()
	began, release := make(chan struct{}, 100), make(chan struct{})
	l.client = scanned{w.client, func(string, uint64, *store.ScanCmd) {
		began <- struct{}{}
		<-release
	}}
	loaded := make(chan error, 1)
	go func() { loaded <- l.Load(t.Context()) }()
	<-began
	asked := make(chan error, 1)
	go func() {
		x, err := l.For(t.Context(), address("a@example.jp"))
		if err == nil && (len(x.Scopes()) != 1 || x.Score(spamTokens(1)).Z <= 0 || l.Model().Score(spamTokens(1)).Z <= 0 || l.Model() != old || l.Halved()) {
			err = fmt.Errorf("%+v", x)
		}
		l.watch.Passed([]mail.Address{address("a@example.jp")}, "0123456789abcdef0123")
		asked <- err
	}()
	select {
	case err := <-asked:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("a mail waits for the load")
	}
	close(release)
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	if l.Model() == old || dump(l.Model()) != dump(old) {
		t.Error("not loaded anew")
	}
}

// TestFieldSet compares with a map, through several growths.
func TestFieldSet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for _, size := range []int64{0, 1, 1000, 100000} {
		var set fieldSet
		seen := map[string]bool{}
		for range 30 {
			var page, want []string
			for range 500 {
				f, n := fmt.Sprint("f", rnd.IntN(20000)), fmt.Sprint(rnd.IntN(9))
				page = append(page, f, n)
				if !seen[f] {
					seen[f] = true
					want = append(want, f, n)
				}
			}
			if got := set.fresh(page, size); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%d are new, not %d", len(got)/2, len(want)/2)
			}
		}
		if set.taken != len(seen) || 2*set.taken > len(set.slots) {
			t.Errorf("%d taken of %d, in %d slots", set.taken, len(seen), len(set.slots))
		}
	}
}

// TestScanWhileResized: a real Redis gives a hash another size while it is read, and returns fields twice; the counts are right.
func TestScanWhileResized(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{Redis: config.Redis{URL: startRedis(t), Timeout: config.Duration(30 * time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	const stay, leave = 3000, 30000
	key := hashKey(Everybody, Ham, monthBefore(time.Now(), 0))
	set := func(name string, n int, remove bool) {
		pipe := st.Client().Pipeline()
		for i := 0; i < n; i += 1000 {
			var fields []string
			for j := range 1000 {
				fields = append(fields, fmt.Sprint(name, i+j))
			}
			if remove {
				pipe.HDel(t.Context(), key, fields...)
				continue
			}
			var pairs []any
			for j, f := range fields {
				pairs = append(pairs, f, 1+(i+j)%9)
			}
			pipe.HSet(t.Context(), key, pairs...)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	set("stay", stay, false)
	set("leave", leave, false)
	look := make([]string, 20000) // looking for fields moves the hash to its new size
	for i := range look {
		look[i] = fmt.Sprint("stay", i%stay)
	}
	pages, fields := 0, map[string]int{}
	client := scanned{st.Client(), func(_ string, _ uint64, cmd *store.ScanCmd) {
		if pages++; pages < 12 {
			set("leave", leave, pages%2 == 1)
			if err := st.Client().HMGet(t.Context(), key, look...).Err(); err != nil {
				t.Error(err)
			}
		}
		page, _ := cmd.Val()
		for i := 0; i < len(page); i += 2 {
			fields[page[i]]++
		}
	}}
	l := NewLearner(client, time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	twice := 0
	tokens := make([]string, stay)
	for i := range tokens {
		tokens[i] = fmt.Sprint("stay", i)
		if fields[tokens[i]] > 1 {
			twice++
		}
	}
	t.Logf("%d of %d came twice", twice, stay)
	r := l.Model().rates(tokens)
	for i := range tokens {
		if r.n[i] != float64(1+i%9) {
			t.Fatalf("%s counts %v", tokens[i], r.n[i])
		}
	}
}
