package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/mail"
)

// TestSlotOfQuit: a connection that says QUIT keeps its slot until the server has let it go, or a second has passed.
func TestSlotOfQuit(t *testing.T) {
	for answer, want := range map[string]time.Duration{"": 0, "!wait 300ms 221 bye": 300 * time.Millisecond, "!hang": time.Second} {
		s := &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
			if verb == "QUIT" {
				return answer
			}
			return ""
		}}
		run(t, []*fakeServer{s}, func(w *world) {
			w.want("state", w.deliver("m", "x@example.jp"), "delivered")
			p := w.relay.backends()[0].(*smtpBackend).pool
			p.mu.Lock()
			p.limit = 1
			p.mu.Unlock()
			begun := time.Now()
			c, err := p.get(context.Background(), begun.Add(time.Minute), true, mail.Client{})
			if c != nil || err != nil {
				t.Fatal(c, err)
			}
			if got := time.Since(begun); got != want {
				t.Errorf("%q: the slot was free after %v, want %v", answer, got, want)
			}
			synctest.Wait()
			if busy, idle, waiting := p.counts(); busy != 1 || idle+waiting != 0 {
				t.Error(busy, idle, waiting)
			}
			p.forgo()
		})
	}
}
