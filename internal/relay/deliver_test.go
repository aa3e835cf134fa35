package relay

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func answerRcpt(table map[string]string) func(verb, line string) string {
	return func(verb, line string) string {
		if verb != "RCPT" {
			return ""
		}
		for local, answer := range table {
			if strings.Contains(line, "<"+local+"@") {
				return answer
			}
		}
		return ""
	}
}

func TestDeliverNow(t *testing.T) {
	for name, ehlo := range map[string][]string{"pipelined": pipelining, "one by one": {"8BITMIME", "SIZE 1000000"}} {
		t.Run(name, func(t *testing.T) {
			s := &fakeServer{ehlo: ehlo}
			run(t, []*fakeServer{s}, func(w *world) {
				for range 3 {
					w.want("states", w.deliver("one", "x@example.jp", "y@example.jp"), "delivered, delivered")
				}
				got := s.got()
				w.wantInt("mails", len(got), 3)
				w.want("data", got[0].data, octets)
				w.want("rcpts", strings.Join(got[2].rcpts, " "), "x@example.jp y@example.jp")
				w.wantInt("connections", s.conns, 1)
				w.wantInt("RSET", s.said("RSET"), 0)
				w.want("queue", w.queued(), "")
				if !strings.Contains(got[0].from, "BODY=8BITMIME") {
					t.Errorf("MAIL was %q", got[0].from)
				}
			})
		})
	}
}

func TestNullSenderAndCarrierAddress(t *testing.T) {
	s := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		env := envelope("n", "a..b@example.jp")
		env.From.Local, env.From.Domain = "", ""
		if _, err := w.relay.Deliver(context.Background(), env); err != nil {
			t.Fatal(err)
		}
		w.wantInt("quoted", s.said(`RCPT TO:<"a..b"@example.jp>`), 1)
		w.wantInt("null", s.said("MAIL FROM:<>"), 1)
		env = envelope("inject", "x@example.jp\r\nRCPT TO:<y@evil.test>")
		answers, err := w.relay.Deliver(context.Background(), env)
		if err != nil || answers[0].State == Delivered {
			t.Errorf("an address with a line end: %v %v", answers, err)
		}
		w.wantInt("mails", len(s.got()), 1)
	})
}

func TestRecipientsAnsweredApart(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"busy": "450 4.2.1 later", "gone": "550 5.1.1 no such user"})}
	run(t, []*fakeServer{s}, func(w *world) {
		before := ""
		s.onData = func() { before = w.queued() }
		w.want("states", w.deliver("m", "ok@example.jp", "busy@example.jp", "gone@example.jp"), "delivered, queued, queued")
		w.want("spooled before the first octet", before, "m queued busy=waiting gone=failed")
		synctest.Wait()
		w.wantInt("failures", len(w.failed), 1)
		f := w.failed[0].Rcpts
		w.want("failed", f[0].Addr.String()+" "+f[0].Reply.String(), "gone@example.jp 550 5.1.1 no such user")
		s.set(func() { s.on = nil; s.onData = nil })
		time.Sleep(5 * time.Minute)
		w.want("queue", w.queued(), "")
		w.wantInt("mails", len(s.got()), 2)
		w.want("second", strings.Join(s.got()[1].rcpts, " "), "busy@example.jp")
		w.want("same octets", s.got()[1].data, octets)
	})
}

func TestAllRefused(t *testing.T) {
	for _, ehlo := range [][]string{pipelining, nil} {
		s := &fakeServer{ehlo: ehlo, on: answerRcpt(map[string]string{"gone": "550-5.1.1 no such\r\n550 5.1.1 user"})}
		run(t, []*fakeServer{s}, func(w *world) {
			w.want("states", w.deliver("r", "gone@example.jp"), "refused 550 5.1.1 no such user")
			w.want("next on the same connection", w.deliver("s", "x@example.jp"), "delivered")
			w.wantInt("connections", s.conns, 1)
			w.wantInt("RSET", s.said("RSET"), 1)
			w.want("queue", w.queued(), "")
		})
	}
}

func TestGoAheadForNobody(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: func(verb, line string) string {
		switch verb {
		case "RCPT":
			return "550 5.1.1 no"
		case "DATA":
			return "354 go on"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.want("states", w.deliver("r", "gone@example.jp"), "refused 550 5.1.1 no")
		synctest.Wait()
		w.wantInt("mails", len(s.got()), 0)
		s.set(func() { s.on = nil })
		w.want("next", w.deliver("s", "x@example.jp"), "delivered")
		w.wantInt("connections", s.conns, 2)
	})
}

func TestFinalDot(t *testing.T) {
	for _, c := range []struct{ answer, state, queue string }{
		{"554 5.7.1 virus", "refused 554 5.7.1 virus", ""},
		{"452 4.3.1 full", "queued", "d queued x=waiting"},
		{"421 4.3.2 closing", "queued", "d queued x=waiting"},
		{"!drop", "queued", "d queued x=waiting"},
		{"354 what", "queued", "d queued x=waiting"},
		{"nonsense", "queued", "d queued x=waiting"},
	} {
		s := &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
			if verb == "." {
				return c.answer
			}
			return ""
		}}
		run(t, []*fakeServer{s}, func(w *world) {
			w.want(c.answer, w.deliver("d", "x@example.jp"), c.state)
			w.want(c.answer, w.queued(), c.queue)
			w.wantInt("possible duplicates", int(w.relay.Counters.Duplicates.Load()), map[string]int{"!drop": 1, "354 what": 1, "nonsense": 1}[c.answer])
		})
	}
}

func TestUnwellBackendQueues(t *testing.T) {
	for _, c := range []struct{ verb, answer string }{
		{"EHLO", "554 no"},
		{"EHLO", "!hang"},
		{"EHLO", "!drop"},
		{"MAIL", "550 5.7.1 who are you"},
		{"MAIL", "451 4.3.0 later"},
		{"MAIL", "!hang"},
		{"RCPT", "!drop"},
		{"RCPT", "421 4.3.2 closing"},
		{"DATA", "451 no"},
		{"DATA", "554 no"},
		{"DATA", "!hang"},
		{"MAIL", strings.Repeat("2", 5000)},
		{"RCPT", "hello"},
	} {
		s := &fakeServer{ehlo: pipelining}
		run(t, []*fakeServer{s}, func(w *world) {
			s.set(func() {
				s.on = func(verb, _ string) string {
					if verb == c.verb {
						return c.answer
					}
					return ""
				}
			})
			time.Sleep(time.Minute) // the probed connection is gone
			start := time.Now()
			w.want(c.verb+" "+c.answer, w.deliver("u", "x@example.jp"), "queued")
			if d := time.Since(start); d > 15*time.Second {
				t.Errorf("%v: took %v", c, d)
			}
			w.wantInt("mails", len(s.got()), 0)
			w.wantInt("QUIT behind an error", s.said("QUIT"), 1) // the idle one
			s.set(func() { s.on = nil })
			time.Sleep(10 * time.Minute)
			w.wantInt("mails", len(s.got()), 1)
			w.want("queue", w.queued(), "")
		})
	}
}

func TestSizeIsAboutTheMail(t *testing.T) {
	s := &fakeServer{ehlo: []string{"PIPELINING", "SIZE 10"}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.want("announced", w.deliver("z", "x@example.jp"), "refused 552 5.3.4 the message is larger than the mail server accepts")
		w.wantInt("MAIL", s.said("MAIL"), 0)
	})
	s = &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
		if verb == "MAIL" {
			return "552 5.3.4 too big"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.want("said", w.deliver("z", "x@example.jp"), "refused 552 5.3.4 too big")
	})
}

func TestTruncatedMailIsNeverDelivered(t *testing.T) {
	big := strings.Repeat("0123456789abcdef0123456789abcdef\r\n", 20000)
	for name, s := range map[string]*fakeServer{
		"dropped": {ehlo: pipelining, cut: 100000},
		"stalled": {ehlo: pipelining, stall: 100000},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, []*fakeServer{s}, func(w *world) {
				env := envelope("big", "x@example.jp")
				env.Content[1] = []byte(big)
				start := time.Now()
				answers, err := w.relay.Deliver(context.Background(), env)
				if err != nil || answers[0].State != Queued || time.Since(start) > 15*time.Second {
					t.Fatal(answers, err, time.Since(start))
				}
				synctest.Wait()
				w.wantInt("mails", len(s.got()), 0)
				w.wantInt("RSET or QUIT", s.said("RSET")+s.said("QUIT"), 0)
				w.wantInt("possible duplicates", int(w.relay.Counters.Duplicates.Load()), 0)
				s.set(func() { s.cut, s.stall = 0, 0 })
				time.Sleep(10 * time.Minute)
				w.wantInt("mails", len(s.got()), 1)
				w.want("octets", s.got()[0].data, string(env.Content.Bytes()))
			})
		})
	}
}

func TestStalePooledConnection(t *testing.T) {
	idle := false
	s := &fakeServer{ehlo: pipelining}
	for _, how := range []string{"!drop", "421 4.4.2 timeout"} {
		run(t, []*fakeServer{s}, func(w *world) {
			w.want("first", w.deliver("a", "x@example.jp"), "delivered")
			used := s.said("MAIL")
			s.set(func() {
				s.on = func(verb, _ string) string {
					if verb == "MAIL" && !idle {
						idle = true
						return how
					}
					return ""
				}
			})
			idle = false
			w.want("second", w.deliver("b", "x@example.jp"), "delivered")
			w.wantInt("MAIL", s.said("MAIL"), used+2)
			w.wantInt("stale", int(w.relay.Counters.Stale.Load()), 1)
			w.want("queue", w.queued(), "")
			if !w.relay.Backends()[0].Up {
				t.Error("a stale connection must not count as death")
			}
		})
	}
}

func TestDeadBackend(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, refuse: errors.New("connection refused")}
	run(t, []*fakeServer{s}, func(w *world) {
		start := time.Now()
		for _, id := range []string{"a", "b", "c"} {
			w.want("while dead", w.deliver(id, "x@example.jp"), "queued")
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("took %v", d)
		}
		time.Sleep(10 * time.Minute)
		w.wantInt("mails", len(s.got()), 0)
		s.set(func() { s.refuse = nil })
		time.Sleep(75 * time.Second)
		w.wantInt("mails", len(s.got()), 3)
		w.want("queue", w.queued(), "")
		w.want("alive", w.deliver("d", "x@example.jp"), "delivered")
	})
}

func TestFailover(t *testing.T) {
	for name, first := range map[string]*fakeServer{
		"refused": {refuse: errors.New("connection refused")},
		"421":     {banner: "421 4.3.2 busy"},
		"hung":    {banner: "!hang"},
	} {
		t.Run(name, func(t *testing.T) {
			second := &fakeServer{ehlo: pipelining}
			run(t, []*fakeServer{first, second}, func(w *world) {
				w.want("states", w.deliver("f", "x@example.jp"), "delivered")
				w.wantInt("mails", len(second.got()), 1)
				w.wantInt("mails", len(first.got()), 0)
				w.want("queue", w.queued(), "")
			})
		})
	}
}

func TestPoolLimit(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
		if verb == "." {
			return "!wait 1s 250 ok"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		p := w.relay.backends()[0].(*smtpBackend).pool
		p.max, p.limit = 2, 2
		done := make(chan string)
		for _, id := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x") {
			go func() { done <- w.deliver(id, "x@example.jp") }()
		}
		states := map[string]int{}
		for range 24 {
			states[<-done]++
		}
		if s.conns > 2 || states["delivered"] != 24 {
			t.Error(s.conns, states)
		}
		time.Sleep(time.Minute)
		w.wantInt("mails", len(s.got()), 24)
		w.want("queue", w.queued(), "")
	})
}

func TestSpoolFull(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: answerRcpt(map[string]string{"busy": "450 later"})}
	run(t, []*fakeServer{s}, func(w *world) {
		w.free = 10
		time.Sleep(2 * time.Second)
		if got := w.deliver("f", "x@example.jp", "busy@example.jp"); !strings.HasPrefix(got, "error") {
			t.Error(got)
		}
		synctest.Wait()
		w.wantInt("nothing irreversible was done", len(s.got()), 0)
		w.want("needs no room", w.deliver("g", "x@example.jp"), "delivered")
	})
}

func TestCancelledClient(t *testing.T) {
	s := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		s.set(func() { s.onData = cancel })
		answers, err := w.relay.Deliver(ctx, envelope("c", "x@example.jp"))
		if err != nil || answers[0].State != Delivered {
			t.Error(answers, err)
		}
	})
}

// TestAnswerTooMany: a backend that says one reply too many in front of the mail has not answered the mail with it.
func TestAnswerTooMany(t *testing.T) {
	s := &fakeServer{ehlo: pipelining, on: func(verb, _ string) string {
		if verb == "DATA" {
			return "354 go on\r\n250 2.0.0 taken"
		}
		return ""
	}}
	run(t, []*fakeServer{s}, func(w *world) {
		w.want("states", w.deliver("m", "x@example.jp"), "queued")
		w.wantInt("delivered", int(w.relay.Counters.Delivered.Load()), 0)
		w.wantInt("possible duplicates", int(w.relay.Counters.Duplicates.Load()), 0)
		s.set(func() { s.on = nil })
		time.Sleep(10 * time.Minute)
		w.wantInt("mails", len(s.got()), 1)
		w.want("queue", w.queued(), "")
	})
}
