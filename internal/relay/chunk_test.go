package relay

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

var chunking = append([]string{"CHUNKING", "BINARYMIME"}, pipelining...)

func chunksOf(b *config.Backend) { b.Chunking = true }

func TestChunking(t *testing.T) {
	for name, ehlo := range map[string][]string{"pipelined": chunking, "one by one": {"CHUNKING"}} {
		t.Run(name, func(t *testing.T) {
			s := &fakeServer{ehlo: ehlo}
			run(t, []*fakeServer{s}, func(w *world) {
				w.restart(chunksOf)
				for range 3 {
					w.want("states", w.deliver("one", "x@example.jp", "y@example.jp"), "delivered, delivered")
				}
				env := envelope("two", "x@example.jp")
				env.Content = mail.Content{[]byte("Subject: no end of line\r\n\r\n.\r\n.a")}
				if _, err := w.relay.Deliver(context.Background(), env); err != nil {
					t.Fatal(err)
				}
				got := s.got()
				w.wantInt("mails", len(got), 4)
				w.want("data", got[0].data, octets)
				w.want("the same octets without a line end", got[3].data, string(env.Content.Bytes()))
				w.wantInt("connections", s.conns, 1)
				w.wantInt("DATA or RSET", s.said("DATA")+s.said("RSET"), 0)
				w.wantInt("BINARYMIME", s.said("MAIL FROM:<a@sender.test> BODY=BINARYMIME"), 0)
				w.want("queue", w.queued(), "")
			})
		})
	}
	s := &fakeServer{ehlo: chunking}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(b *config.Backend) { b.Chunking = false })
		w.want("switched off", w.deliver("one", "x@example.jp"), "delivered")
		w.wantInt("BDAT", s.said("BDAT"), 0)
	})
}

// TestChunkForNobody: with every recipient refused no octet is sent, and the connection is used again.
func TestChunkForNobody(t *testing.T) {
	s := &fakeServer{ehlo: chunking, on: answerRcpt(map[string]string{"gone": "550 5.1.1 no such user"})}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(chunksOf)
		w.want("refused", w.deliver("r", "gone@example.jp"), "refused 550 5.1.1 no such user")
		w.wantInt("BDAT", s.said("BDAT"), 0)
		w.want("next", w.deliver("s", "x@example.jp"), "delivered")
		w.want("on the same connection", s.commands("RSET", "BDAT"), "RSET\nBDAT 52 LAST")
		w.wantInt("connections", s.conns, 1)
	})
}

// TestChunkMixed: those who were not accepted are safe before the first octet.
func TestChunkMixed(t *testing.T) {
	s := &fakeServer{ehlo: chunking, on: answerRcpt(map[string]string{"busy": "450 4.2.1 later", "gone": "550 5.1.1 no such user"})}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(chunksOf)
		before := ""
		s.set(func() { s.onData = func() { before = w.queued() } })
		w.want("states", w.deliver("m", "ok@example.jp", "busy@example.jp", "gone@example.jp"), "delivered, queued, queued")
		w.want("spooled before the first octet", before, "m queued busy=waiting gone=failed")
	})
}

func TestLastChunk(t *testing.T) {
	for _, c := range []struct {
		verb, answer, state, queue string
		duplicates, conns          int
		next                       string // what is said for the next mail on the same connection
	}{
		{".", "554 5.7.1 virus", "refused 554 5.7.1 virus", "", 0, 1, "RSET\nBDAT 52 LAST"},
		{".", "452 4.3.1 full", "queued", "d queued x=waiting", 0, 1, "RSET\nBDAT 52 LAST"},
		{".", "421 4.3.2 closing", "queued", "d queued x=waiting", 0, 2, "BDAT 52 LAST"},
		{".", "!drop", "queued", "d queued x=waiting", 1, 2, ""},
		{"BDAT", "502 5.5.1 what is BDAT", "queued", "d queued x=waiting", 0, 2, "DATA"},
	} {
		first := true
		s := &fakeServer{ehlo: chunking}
		s.on = func(verb, _ string) string {
			if verb == c.verb && first {
				first = false
				return c.answer
			}
			return ""
		}
		run(t, []*fakeServer{s}, func(w *world) {
			w.restart(chunksOf)
			w.want(c.answer, w.deliver("d", "x@example.jp"), c.state)
			w.want(c.answer, w.queued(), c.queue)
			w.wantInt("possible duplicates", int(w.relay.Counters.Duplicates.Load()), c.duplicates)
			if c.next == "" {
				return
			}
			s.set(func() { s.log = nil })
			w.want("next", w.deliver("e", "x@example.jp"), "delivered")
			w.want("next", s.commands("RSET", "BDAT", "DATA"), c.next)
			w.wantInt("connections", s.conns, c.conns)
		})
	}
}

func TestChunkLate(t *testing.T) {
	s := &fakeServer{ehlo: chunking, on: dotOnce("!wait 40s 250 ok")}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(chunksOf)
		w.want("state", w.deliver("l", "x@example.jp"), "queued")
		w.want("queue", w.queued(), "l inflight x=inflight")
		time.Sleep(time.Minute)
		w.want("queue", w.queued(), "")
		w.wantInt("mails", len(s.got()), 1)
	})
}

func TestChunkCutIsNeverDelivered(t *testing.T) {
	s := &fakeServer{ehlo: chunking}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(chunksOf)
		s.set(func() { s.cut = 50000 })
		env := envelope("big", "x@example.jp")
		env.Content = mail.Content{bytes.Repeat([]byte("0123456789 0123456789\r\n"), 20000)}
		answers, err := w.relay.Deliver(context.Background(), env)
		if err != nil || answers[0].State != Queued {
			t.Fatal(answers, err)
		}
		synctest.Wait()
		w.wantInt("mails", len(s.got()), 0)
		w.wantInt("RSET or QUIT", s.said("RSET")+s.said("QUIT"), 0)
		w.wantInt("possible duplicates", int(w.relay.Counters.Duplicates.Load()), 0)
		s.set(func() { s.cut = 0 })
		time.Sleep(10 * time.Minute)
		w.wantInt("mails", len(s.got()), 1)
	})
}

func TestChunkLMTP(t *testing.T) {
	s := &fakeServer{ehlo: chunking, lmtp: true, on: func(verb, line string) string {
		if verb == "." && strings.HasPrefix(line, "over") {
			return "552 5.2.2 over quota"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(chunksOf)
		w.want("states", w.deliver("l", "x@example.jp", "over@example.jp"), "delivered, queued")
		synctest.Wait()
		w.wantInt("failed", len(w.failed), 1)
		w.want("next", w.deliver("m", "x@example.jp"), "delivered")
		w.want("said", s.commands("BDAT", "RSET"), "BDAT 52 LAST\nRSET\nBDAT 52 LAST")
	})
}
