package history

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkStory is what an event costs: on the mail's path it is put into the queue (which b.Loop waits for now and then).
func BenchmarkStory(b *testing.B) {
	w, err := Open(filepath.Join(b.TempDir(), "history"), Options{Queue: 1 << 16})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	b.ReportAllocs()
	e := event(1)
	n := 0
	for b.Loop() {
		c := *e
		w.Story(&c)
		if n++; n%(1<<15) == 0 {
			_ = w.Flush()
		}
	}
	_ = w.Flush()
	if w.Stats().LostStories > 0 {
		b.Fatal("lost")
	}
}

// BenchmarkSearch looks for one of a million mails.
func BenchmarkSearch(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "history")
	const n = 1_000_000
	c := newClock()
	w, err := Open(dir, Options{Now: c.now, Queue: 1 << 16})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for i := range n {
		c.add(time.Second)
		w.Story(event(i))
		if i%(1<<15) == 0 {
			_ = w.Flush()
		}
	}
	_ = w.Flush()
	_ = w.Close()
	took := time.Since(began)
	w, _ = Open(dir, Options{Now: c.now})
	size := w.Stats().Octets
	_ = w.Close()
	r, err := OpenReader(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	e := event(345_678)
	for name, q := range map[string]Query{
		"id": {ID: e.ID}, "sender": {Sender: e.From}, "message-id": {MessageID: e.MessageID}, "subject": {Subject: "注文345678の確認"},
		"client": {Client: netip.PrefixFrom(e.Client, 32)}, "nobody": {Sender: "nobody@nowhere.example"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			found := 0
			for b.Loop() {
				a, err := r.Stories(q, 20)
				if err != nil {
					b.Fatal(err)
				}
				found = len(a.Stories)
			}
			b.ReportMetric(float64(found), "found")
			b.ReportMetric(float64(size)/n, "octets/mail")
			b.ReportMetric(float64(took.Nanoseconds())/n, "ns/mail-written")
		})
	}
}
