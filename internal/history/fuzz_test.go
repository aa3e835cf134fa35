package history

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sample returns a segment with a footer, and a tail.
func sample(f *testing.F) (seg, tail []byte) {
	dir := filepath.Join(f.TempDir(), "history")
	c := newClock()
	w, err := Open(dir, Options{Block: 2 << 10, Now: c.now, FlushEvery: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	var l files
	for i := 0; i < 20 || len(l.tails) == 0; i++ {
		w.Story(event(i))
		_ = w.Flush()
		l, _ = filesOf(dir, "2026-11-20", Stories)
	}
	tail, _ = os.ReadFile(l.tails[0])
	c.add(24 * time.Hour)
	w.Story(event(20))
	_ = w.Flush()
	_ = w.Close()
	seg, err = os.ReadFile(l.segments[0])
	if err != nil || len(tail) == 0 {
		f.Fatal(err)
	}
	return seg, tail
}

// FuzzRead reads whatever stands in the files of a day: it must neither panic nor run on.
func FuzzRead(f *testing.F) {
	seg, tail := sample(f)
	f.Add(seg, tail)
	f.Add(seg[:len(seg)/2], tail[:len(tail)/2])
	f.Add([]byte("SKHB"), []byte("SKHT\x01\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, seg, tail []byte) {
		dir := t.TempDir()
		day := filepath.Join(dir, "2026-11-20")
		if err := os.Mkdir(day, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{segmentName(dir, "2026-11-20", Stories, 1): seg, tailName(dir, "2026-11-20", Stories, 99): tail} {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := OpenReader(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n := 0
		for range r.Search(Query{}) {
			if n++; n > 1_000_000 {
				t.Fatal("no end")
			}
		}
		_, _ = r.Period(Stories)
		_, _ = r.Stories(Query{Sender: "user1@sender1.example"}, 5)
		c := newClock()
		w, err := Open(dir, Options{Now: c.now, FlushEvery: time.Hour})
		if err != nil {
			return // of a later version
		}
		w.Story(event(7777))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		found := false
		for e, err := range r.Search(Query{ID: event(7777).ID}) {
			found = found || err == nil && e.MessageID == event(7777).MessageID
		}
		if !found {
			t.Fatal("what was written behind it is not found")
		}
	})
}

// FuzzTold: an answer from elsewhere is taken only within the bounds, and can then be joined with others.
func FuzzTold(f *testing.F) {
	asks := []Ask{{Query: Query{Sender: "a@shop.test"}, Most: 3, Whole: true}, {Query: Query{ID: "m1"}, Most: 5}, {Facts: "m1"}}
	good := Told{Answers: []Found{
		{Stories: []Story{{ID: "m1", Events: []*Event{{Kind: KindMail, ID: "m1", From: "a@shop.test", Rcpts: []Rcpt{{Addr: "b@example.test"}}}}}}},
		{Events: []*Event{{Kind: KindRcpt, ID: "m1-2", From: "a@shop.test", Reply: "450 x", Rcpts: []Rcpt{{Addr: "b@example.test"}}}}},
		{Facts: []Record{{ID: "m1", Data: []byte("x")}}},
	}}
	raw, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	packed, err := Pack(&good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, packed)
	f.Add([]byte(`{"answers":[{"stories":[{"id":"","events":[null]}]},{},{}]}`), []byte{0x28, 0xb5, 0x2f, 0xfd})
	f.Fuzz(func(t *testing.T, raw, packed []byte) {
		var told Told
		_ = Unpack(packed, &told)
		told = Told{}
		if json.Unmarshal(raw, &told) != nil || told.Check(asks) != nil {
			return
		}
		list, _ := JoinStories([]From{{"mx1", told.Answers[0]}, {"mx2", told.Answers[0]}}, 3)
		events := JoinEvents([]From{{"mx1", told.Answers[1]}})
		for i := range list {
			list[i].Add(events)
			_ = list[i].Attempts(3)
		}
		for _, s := range Attach(list, events) {
			if len(s.Events) == 0 {
				t.Error("a story without events")
			}
		}
		if _, err := Pack(&told); err != nil && !errors.Is(err, ErrBounds) {
			t.Error(err)
		}
	})
}
