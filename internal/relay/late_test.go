package relay

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/spool"
)

// dotOnce answers the first final dot with one thing and later ones as usual.
func dotOnce(answer string) func(verb, line string) string {
	var later atomic.Bool
	return func(verb, _ string) string {
		if verb == "." && !later.Swap(true) {
			return answer
		}
		return ""
	}
}

func TestLateAnswer(t *testing.T) {
	for _, c := range []struct {
		answer        string
		mails, failed int
		duplicates    int
	}{
		{"!wait 40s 250 ok", 1, 0, 0},
		{"!wait 9m 250 ok", 1, 0, 0},
		{"!wait 40s 550 5.7.1 virus", 0, 1, 0},
		{"!wait 40s 451 4.3.0 later", 1, 0, 0},
		{"!wait 40s !drop", 1, 0, 1},
		{"!wait 11m 250 ok", 2, 0, 1},
	} {
		s := &fakeServer{ehlo: pipelining, on: dotOnce(c.answer)}
		run(t, []*fakeServer{s}, func(w *world) {
			start := time.Now()
			w.want(c.answer, w.deliver("l", "x@example.jp", "y@example.jp"), "queued, queued")
			if d := time.Since(start); d != 15*time.Second {
				t.Errorf("%s: the client waited %v", c.answer, d)
			}
			w.want(c.answer, w.queued(), "l inflight x=inflight y=inflight")
			time.Sleep(30 * time.Minute)
			w.want(c.answer, w.queued(), "")
			w.wantInt(c.answer+": mails", len(s.got()), c.mails)
			w.wantInt(c.answer+": failed", len(w.failed), c.failed)
			w.wantInt(c.answer+": duplicates", int(w.relay.Counters.Duplicates.Load()), c.duplicates)
			all, flying := w.relay.QueueLen()
			w.wantInt("queue", all+flying, 0)
			if c.failed > 0 {
				w.wantInt("failed together", len(w.failed[0].Rcpts), 2)
			}
		})
	}
}

func TestLateAndNoRoom(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: dotOnce("!wait 40s 250 ok")}
	run(t, []*fakeServer{s}, func(w *world) {
		w.free = 10
		time.Sleep(2 * time.Second)
		w.want("the client waits on", w.deliver("l", "x@example.jp"), "delivered")
		w.wantInt("mails", len(s.got()), 1)
	})
}

func TestInflightAfterCrash(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: dotOnce("!hang")}
	run(t, []*fakeServer{s}, func(w *world) {
		w.want("states", w.deliver("l", "x@example.jp"), "queued")
		dir := w.spool.Dir()
		w.stop()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.relay.Close(ctx)
		w.want("stays", w.queued(), "l inflight x=inflight")
		w.spool.Close()
		w.start(dir)
		time.Sleep(2 * time.Second)
		w.wantInt("mails", len(s.got()), 1)
		w.want("queue", w.queued(), "")
		w.wantInt("possible duplicates", int(w.relay.Counters.Duplicates.Load()), 1)
	})
}

func TestQueueDrainsAfterRestart(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "450 4.2.0 later"})}
	run(t, []*fakeServer{s}, func(w *world) {
		for _, id := range []string{"a", "b", "c"} {
			w.want("states", w.deliver(id, "x@example.jp"), "queued")
		}
		dir := w.spool.Dir()
		w.stop()
		w.relay.Close(context.Background())
		w.spool.Close()
		s.set(func() { s.on = nil })
		w.start(dir)
		w.wantInt("mails", len(s.got()), 3)
		w.want("queue", w.queued(), "")
	})
}

func TestLifetimeEnds(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "450 4.2.0 later"})}
	run(t, []*fakeServer{s}, func(w *world) {
		env := envelope("e", "x@example.jp")
		env.Meta = func() []byte { return []byte(`{"score":1}`) }
		if _, err := w.relay.Deliver(context.Background(), env); err != nil {
			t.Fatal(err)
		}
		time.Sleep(119 * time.Hour)
		w.wantInt("failed", len(w.failed), 0)
		n := s.said("MAIL")
		if n < 200 || n > 280 {
			t.Errorf("%d attempts in five days", n)
		}
		time.Sleep(2 * time.Hour)
		w.want("queue", w.queued(), "")
		w.wantInt("failed", len(w.failed), 1)
		w.want("reply", w.failed[0].Rcpts[0].Reply.String(), "554 5.4.7 delivery time expired; last: 450 4.2.0 later")
		if !strings.Contains(string(w.failed[0].Entry.Meta), `"score"`) {
			t.Errorf("meta is %s", w.failed[0].Entry.Meta)
		}
	})
}

func TestRetryRequest(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"x": "450 4.2.0 later"})}
	run(t, []*fakeServer{s}, func(w *world) {
		w.deliver("q1", "x@example.jp")
		w.deliver("q2", "x@example.jp")
		s.set(func() { s.on = nil })
		r, err := spool.OpenReadOnly(w.spool.Dir())
		if err != nil {
			t.Fatal(err)
		}
		items, err := List(r, time.Now())
		if err != nil || len(items) != 2 || items[0].Reason != "450 4.2.0 later" || items[0].Attempts != 1 {
			t.Error(items, err)
		}
		RequestRetry(w.spool.Dir(), time.Now(), "q2")
		time.Sleep(2 * time.Second)
		w.want("one", w.queued(), "q1 queued x=waiting")
		RequestRetry(w.spool.Dir(), time.Now(), "all")
		time.Sleep(2 * time.Second)
		w.want("all", w.queued(), "")
	})
}

func TestSeveralSetsAreSpooled(t *testing.T) {
	s, other := &fakeServer{ehlo: pipelining}, &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		dir := w.spool.Dir()
		w.stop()
		w.relay.Close(context.Background())
		w.spool.Close()
		w.servers["192.0.2.9:25"] = other
		w.cfg.Domains[0].Routes = append(w.cfg.Domains[0].Routes, routeTo("smtp://192.0.2.9:25", "ml-*@example.jp", "edi@example.jp"))
		w.start(dir)
		w.want("states", w.deliver("m", "x@example.jp", "ml-a@example.jp", "y@example.jp"), "queued, queued, queued")
		synctest.Wait()
		time.Sleep(time.Second)
		w.want("queue", w.queued(), "")
		w.want("first", strings.Join(s.got()[0].rcpts, " "), "x@example.jp y@example.jp")
		w.want("second", strings.Join(other.got()[0].rcpts, " "), "ml-a@example.jp")
		w.want("one set", w.deliver("n", "EDI@example.jp", "ML-b@example.jp"), "delivered, delivered")
	})
}

func TestLMTPAnswersPerRecipient(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, lmtp: true, on: func(verb, line string) string {
		if verb == "." && line == "over@example.jp" {
			return "552 5.2.2 over quota"
		}
		if verb == "." && line == "busy@example.jp" {
			return "451 4.2.0 locked"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.want("states", w.deliver("l", "x@example.jp", "over@example.jp", "busy@example.jp"), "delivered, queued, queued")
		synctest.Wait()
		w.want("queue", w.queued(), "l queued x=delivered over=failed busy=waiting")
		w.wantInt("failed", len(w.failed), 1)
		w.wantInt("LHLO", s.said("LHLO"), 1)
		w.wantInt("connections", s.conns, 1)
	})
}

// TestCloseDuringHandshake closes the relay while a probe waits for a banner that never comes.
func TestCloseDuringHandshake(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
		if verb == "EHLO" {
			return "!hang"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		time.Sleep(2 * time.Second) // the first probe hangs
		start := time.Now()
		w.stop()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = w.relay.Close(ctx)
		if d := time.Since(start); d > 6*time.Second {
			t.Errorf("the relay took %v to close", d)
		}
		w.stop = func() {}
	})
}
