package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/store"
)

// world is one store with hosts that have each a history.
type world struct {
	t     *testing.T
	c     store.Client
	keys  *Keys
	hosts []Host
	n     atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	w := &world{t: t, c: st.Client()}
	if w.keys, err = SharedKeys(t.Context(), w.c); err != nil {
		t.Fatal(err)
	}
	return w
}

var begun = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// host makes a host with events, and says that it is there; with answers it also answers until the test ends.
func (w *world) host(name string, answers bool, keys *Keys, events ...*history.Event) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), name)
	h, err := history.Open(dir, history.Options{Now: func() time.Time { return begun }})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events {
		h.Story(e)
	}
	h.Facts(begun, "m1", func(b []byte) []byte { return append(b, "facts of "+name...) })
	if err := h.Close(); err != nil {
		w.t.Fatal(err)
	}
	host := Host{ID: "id-" + name, Name: name, At: time.Now()}
	if err := Say(w.t.Context(), w.c, host); err != nil {
		w.t.Fatal(err)
	}
	w.hosts = append(w.hosts, host)
	if !answers {
		return
	}
	a := &Answerer{
		Client: w.c, ID: host.ID, Keys: func(context.Context) (*Keys, error) { return keys, nil },
		Reader: func() (*history.Reader, error) { return history.OpenReader(dir) }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	done := make(chan struct{})
	ctx, stop := context.WithCancel(w.t.Context())
	go func() { defer close(done); a.Run(ctx) }()
	w.t.Cleanup(func() { stop(); <-done })
}

func (w *world) asker() *Asker {
	return &Asker{Client: w.c, Keys: w.keys, Name: "asker", Now: time.Now, NewID: func() string { return fmt.Sprintf("q%d", w.n.Add(1)) }}
}

func (w *world) ask(within time.Duration, asks ...history.Ask) []Reply {
	w.t.Helper()
	list, err := w.asker().Ask(w.t.Context(), w.hosts, asks, within)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func mailEvent(id string, at time.Duration, kind history.Kind) *history.Event {
	return &history.Event{
		Time: begun.Add(at), Kind: kind, ID: id, From: "a@shop.test", Client: netip.MustParseAddr("192.0.2.1"), Reply: "250 2.0.0 ok",
		Rcpts: []history.Rcpt{{Addr: "taro@example.test"}}, Subject: "請求書", MessageID: "<1@shop.test>",
	}
}

// TestTwoHostsTellOneStory: a mail that was put off by one host, taken by the other and released by the third has one story, in order.
func TestTwoHostsTellOneStory(t *testing.T) {
	w := newWorld(t)
	off := mailEvent("m0", 0, history.KindRcpt)
	off.Reply = "450 4.7.1 later"
	w.host("mx1", true, w.keys, off)
	w.host("mx2", true, w.keys, mailEvent("m1", 6*time.Minute, history.KindMail))
	w.host("console", true, w.keys, &history.Event{Time: begun.Add(time.Hour), Kind: history.KindEnded, ID: "m1", Action: "released", By: "taro@example.test"})
	parts := func(replies []Reply, n int) (from []history.From) {
		t.Helper()
		for _, r := range replies {
			if r.Err != nil {
				t.Fatalf("%s: %v", r.Host.Name, r.Err)
			}
			from = append(from, history.From{Node: r.Host.Name, Found: r.Told.Answers[n]})
		}
		return from
	}
	first := w.ask(20*time.Second, history.Ask{Query: history.Query{Sender: "a@shop.test"}, Most: 20, Whole: true})
	list, more := history.JoinStories(parts(first, 0), 20)
	if len(list) != 2 || more || list[0].ID != "m1" {
		t.Fatalf("%+v %v", list, more)
	}
	asks := append(list[0].Attempts(3), history.Ask{Query: history.Query{ID: "m1"}, Most: 100}, history.Ask{Facts: "m1"})
	second := w.ask(20*time.Second, asks...)
	list[0].Add(history.JoinEvents(parts(second, 1)))
	list = history.Attach(list, history.JoinEvents(parts(second, 0)))
	if len(list) != 1 || len(list[0].Events) != 2 || len(list[0].Before) != 1 {
		t.Fatalf("%+v", list)
	}
	var told []string
	for _, e := range append(list[0].Before, list[0].Events...) {
		told = append(told, e.Node+" "+string(e.Kind))
	}
	if got := strings.Join(told, ", "); got != "mx1 rcpt, mx2 mail, console ended" {
		t.Error(got)
	}
	facts := 0
	for _, r := range second {
		for _, f := range r.Told.Answers[2].Facts {
			if string(f.Data) != "facts of "+r.Host.Name {
				t.Errorf("%s: %q", r.Host.Name, f.Data)
			}
			facts++
		}
	}
	if facts != 3 {
		t.Errorf("%d facts", facts)
	}
	if left, err := w.c.Exists(t.Context(), questionKey("q1"), answerKey("q1"), askedKey).Result(); err != nil || left != 0 {
		t.Errorf("%d keys are left: %v", left, err)
	}
}

// TestSilentHost: a host that says nothing is named, and what the others know is there.
func TestSilentHost(t *testing.T) {
	w := newWorld(t)
	w.host("mx1", true, w.keys, mailEvent("m1", 0, history.KindMail))
	w.host("mx2", false, w.keys, mailEvent("m1", 0, history.KindTry))
	replies := w.ask(1500*time.Millisecond, history.Ask{Query: history.Query{ID: "m1"}, Most: 10, Whole: true})
	if replies[0].Err != nil || len(replies[0].Told.Answers[0].Stories) != 1 {
		t.Errorf("mx1: %+v", replies[0])
	}
	if !errors.Is(replies[1].Err, ErrSilent) || replies[1].Told != nil {
		t.Errorf("mx2: %+v", replies[1])
	}
	// One that has been silent for long is not waited for.
	w.hosts[1].At = time.Now().Add(-time.Hour)
	at := time.Now()
	replies = w.ask(MostWait, history.Ask{Query: history.Query{ID: "m1"}, Most: 10, Whole: true})
	if replies[0].Err != nil || !errors.Is(replies[1].Err, ErrSilent) || time.Since(at) >= MostWait {
		t.Errorf("%+v", replies)
	}
}

// TestOtherKey: a host with another key cannot read the question, and says so.
func TestOtherKey(t *testing.T) {
	w := newWorld(t)
	other, err := ParseKeys("0123456789abcdef0123456789abcdef\n")
	if err != nil {
		t.Fatal(err)
	}
	w.host("mx1", true, other)
	if r := w.ask(20*time.Second, history.Ask{Query: history.Query{ID: "m1"}, Most: 10}); !errors.Is(r[0].Err, ErrKey) {
		t.Errorf("%+v", r)
	}
	both := &Keys{list: append(append([]key{}, other.list...), w.keys.list...)} // while keys are changed
	w.host("mx2", true, both)
	if r := w.ask(20*time.Second, history.Ask{Query: history.Query{ID: "m1"}, Most: 10}); r[1].Err != nil && !errors.Is(r[1].Err, ErrKey) {
		t.Errorf("%+v", r[1])
	}
}

// TestHostileAnswer: what stands in the store as an answer is believed only when the host with the key made it for this question.
func TestHostileAnswer(t *testing.T) {
	w := newWorld(t)
	w.host("mx1", false, w.keys)
	asks := []history.Ask{{Query: history.Query{ID: "m1"}, Most: 2, Whole: true}}
	pack := func(v any) []byte {
		b, err := history.Pack(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := &history.Told{Time: time.Now(), Answers: []history.Found{{Stories: []history.Story{{ID: "m1", Events: []*history.Event{mailEvent("m1", 0, history.KindMail)}}}}}}
	answers := func(f history.Found) []byte {
		return w.keys.seal(pack(&history.Told{Answers: []history.Found{f}}), placeAnswer("hostile", "id-mx1"))
	}
	ofOther := history.Story{ID: "m1", Events: []*history.Event{mailEvent("m2", 0, history.KindMail)}}
	one := history.Story{ID: "m1", Events: []*history.Event{mailEvent("m1", 0, history.KindMail)}}
	cut := w.keys.seal(pack(good), placeAnswer("hostile", "id-mx1"))
	for _, c := range []struct {
		name string
		said []byte
		want error
	}{
		{"good", w.keys.seal(pack(good), placeAnswer("hostile", "id-mx1")), nil},
		{"of another question", w.keys.seal(pack(good), placeAnswer("other", "id-mx1")), ErrForged},
		{"of another host", w.keys.seal(pack(good), placeAnswer("hostile", "id-mx2")), ErrForged},
		{"a question sent back", w.keys.seal(pack(good), placeQuestion("hostile")), ErrForged},
		{"open", pack(good), ErrForged},
		{"cut", cut[:len(cut)-1], ErrForged},
		{"empty", nil, ErrForged},
		{"too large", make([]byte, 4<<20), ErrForged},
		{"an unknown refusal", []byte{0, 'x'}, ErrForged},
		{"not packed", w.keys.seal([]byte(`{"answers":[]}`), placeAnswer("hostile", "id-mx1")), history.ErrBounds},
		{"no JSON", w.keys.seal(pack("x"), placeAnswer("hostile", "id-mx1")), history.ErrBounds},
		{"no answers", w.keys.seal(pack(&history.Told{}), placeAnswer("hostile", "id-mx1")), history.ErrBounds},
		{"of another mail", answers(history.Found{Stories: []history.Story{ofOther}}), history.ErrBounds},
		{"more than asked", answers(history.Found{Stories: []history.Story{one, one, one}}), history.ErrBounds},
		{"a hole", answers(history.Found{Stories: []history.Story{{ID: "m1", Events: []*history.Event{nil}}}}), history.ErrBounds},
		{"something else", answers(history.Found{Events: one.Events}), history.ErrBounds},
		{"facts", answers(history.Found{Facts: []history.Record{{ID: "m1"}}}), history.ErrBounds},
	} {
		told, err := w.asker().read(c.said, "hostile", "id-mx1", asks)
		if !errors.Is(err, c.want) || (told != nil) != (c.want == nil) {
			t.Errorf("%s: %v, %v", c.name, told, err)
		}
	}
}

// TestOldQuestion: a question that somebody puts again later is not answered.
func TestOldQuestion(t *testing.T) {
	w := newWorld(t)
	b, err := history.Pack(Question{Version: version, At: begun, Asks: []history.Ask{{Query: history.Query{ID: "m1"}, Most: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	now := begun
	a := &Answerer{Now: func() time.Time { return now }}
	said := w.keys.seal(b, placeQuestion("old"))
	if _, err := a.question(w.keys, "old", said); err != nil {
		t.Error(err)
	}
	if _, err := a.question(w.keys, "new", said); !errors.Is(err, ErrForged) {
		t.Error(err)
	}
	if now = begun.Add(11 * time.Minute); true {
		if _, err := a.question(w.keys, "old", said); !errors.Is(err, ErrClock) {
			t.Error(err)
		}
	}
	if a.fresh("old"); a.fresh("old") {
		t.Error("a question is answered twice")
	}
}

// TestBounds: who asks too much, or when too many ask, is told.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	w.host("mx1", false, w.keys)
	for _, asks := range [][]history.Ask{nil, {{Most: 5}}, {{Query: history.Query{ID: "m1"}}}, make([]history.Ask, history.MostAsks+1)} {
		if _, err := w.asker().Ask(t.Context(), w.hosts, asks, time.Second); !errors.Is(err, history.ErrBounds) {
			t.Errorf("%d: %v", len(asks), err)
		}
	}
	good := history.Ask{Query: history.Query{ID: "m1"}, Most: 1}
	fill := func(at time.Time) {
		for i := range mostOpen {
			w.c.ZAdd(t.Context(), askedKey, store.Z{Score: float64(at.UnixMilli()), Member: fmt.Sprintf("x%d", i)})
		}
	}
	fill(time.Now())
	if _, err := w.asker().Ask(t.Context(), w.hosts, []history.Ask{good}, 50*time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	fill(time.Now().Add(-time.Hour))
	if _, err := w.asker().Ask(t.Context(), w.hosts, []history.Ask{good}, 50*time.Millisecond); err != nil {
		t.Error(err)
	}
}

func TestHosts(t *testing.T) {
	w := newWorld(t)
	w.host("mx2", false, w.keys)
	w.host("mx1", false, w.keys)
	w.c.HSet(t.Context(), hostsKey, "broken", "{", "nameless", `{"at":"2026-11-20T09:00:00Z"}`)
	list, err := Hosts(t.Context(), w.c)
	if err != nil || len(list) != 2 || list[0].Name != "mx1" || list[0].ID != "id-mx1" || list[1].Silent(time.Now()) {
		t.Errorf("%+v %v", list, err)
	}
	if !list[0].Silent(time.Now().Add(2*time.Minute)) || list[0].Knows(time.Now().Add(time.Hour)) || !list[0].Knows(time.Time{}) {
		t.Error("silence")
	}
	if err := Forget(t.Context(), w.c, "id-mx1"); err != nil {
		t.Fatal(err)
	}
	if list, err := Hosts(t.Context(), w.c); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestKeyFile(t *testing.T) {
	for _, bad := range []string{"", "\n\n", "short\n", "0123456789abcdef\nshort\n"} {
		if _, err := ParseKeys(bad); err == nil || strings.Contains(err.Error(), "short") && bad == "short\n" && strings.Contains(err.Error(), "short\n") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	w := newWorld(t)
	again, err := SharedKeys(t.Context(), w.c)
	if err != nil || again.list[0].id != w.keys.list[0].id {
		t.Errorf("%v", err)
	}
}

// FuzzOpen: nothing that stands in the store opens without the key, and nothing breaks.
func FuzzOpen(f *testing.F) {
	keys, err := ParseKeys("0123456789abcdef0123456789abcdef")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0, 'k'})
	f.Add(append([]byte{1}, make([]byte, 64)...))
	f.Add(append(append([]byte{1}, keys.list[0].id[:]...), make([]byte, 40)...))
	asks := []history.Ask{{Query: history.Query{ID: "m1"}, Most: 2}}
	a := &Asker{Keys: keys}
	b := &Answerer{Now: func() time.Time { return begun }}
	f.Fuzz(func(t *testing.T, said []byte) {
		if told, err := a.read(said, "q", "h", asks); err == nil || told != nil {
			t.Error("an answer was made without the key")
		}
		if q, err := b.question(keys, "q", said); err == nil || q != nil {
			t.Error("a question was made without the key")
		}
	})
}

// TestClockBehind: whether a host is silent is told by the clock of the store, whatever its own says.
func TestClockBehind(t *testing.T) {
	w := newWorld(t)
	for name, at := range map[string]time.Duration{"behind": -8 * time.Minute, "before": 8 * time.Minute} {
		if err := Say(t.Context(), w.c, Host{ID: name, Name: name, At: time.Now().Add(at), Run: "r"}); err != nil {
			t.Fatal(err)
		}
	}
	silent := func() (n int) {
		list, err := Hosts(t.Context(), w.c)
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		for i := range list {
			if list[i].Silent(time.Now()) {
				n++
			}
		}
		return n
	}
	if n := silent(); n != 0 {
		t.Errorf("%d hosts that have just spoken are silent", n)
	}
	for _, id := range []string{"behind", "before"} { // a minute later
		if err := w.c.Del(t.Context(), aliveKey(id)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n := silent(); n != 2 {
		t.Errorf("%d of two are silent", n)
	}
}

// TestTwin: of two processes with one id each sees that the other had the last word.
func TestTwin(t *testing.T) {
	w := newWorld(t)
	if run, err := Other(t.Context(), w.c, "id"); run != "" || err != nil {
		t.Error(run, err)
	}
	for _, run := range []string{"first", "second"} {
		if err := Say(t.Context(), w.c, Host{ID: "id", Name: "mx1", At: time.Now(), Run: run}); err != nil {
			t.Fatal(err)
		}
	}
	if run, err := Other(t.Context(), w.c, "id"); run != "second" || err != nil {
		t.Error(run, err)
	}
}
