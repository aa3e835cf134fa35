package relay

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// from delivers a mail of a client.
func (w *world) from(id string, c mail.Client, rcpts ...string) string {
	w.t.Helper()
	env := envelope(id, rcpts...)
	env.Client = c
	answers, err := w.relay.Deliver(context.Background(), env)
	if err != nil {
		return err.Error()
	}
	return answers[0].State
}

// commands returns what was said that begins with one of the words, in order.
func (s *fakeServer) commands(words ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, l := range s.log {
		for _, w := range words {
			if strings.HasPrefix(l, w) {
				list = append(list, l)
			}
		}
	}
	return strings.Join(list, "\n")
}

var (
	clientA = mail.Client{Addr: netip.MustParseAddr("198.51.100.7"), Port: 4711, Name: "a.example.net", Helo: "helo.example.net", Esmtp: true}
	clientB = mail.Client{Addr: netip.MustParseAddr("2001:db8::9"), Helo: "[weird+=\u00e9]"}
)

func TestXclient(t *testing.T) {
	s := &fakeServer{ehlo: append([]string{"XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR", "AUTH PLAIN"}, pipelining...), user: "gate"}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(b *config.Backend) { loginOf(b); b.Client = "xclient" })
		for _, c := range []mail.Client{clientA, clientA, clientB, {}} {
			w.want("state", w.from("m", c, "x@example.jp"), "delivered")
		}
		w.want("commands", s.commands("XCLIENT", "EHLO", "MAIL", "AUTH"), `EHLO mx.test
AUTH PLAIN AGdhdGUAb3BlbiBzZXNhbWU=
XCLIENT NAME=a.example.net ADDR=198.51.100.7 PORT=4711 PROTO=ESMTP HELO=helo.example.net
EHLO helo.example.net
AUTH PLAIN AGdhdGUAb3BlbiBzZXNhbWU=
MAIL FROM:<a@sender.test> BODY=8BITMIME
MAIL FROM:<a@sender.test> BODY=8BITMIME
XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::9 PROTO=SMTP HELO=[weird+2B+3D+C3+A9]
EHLO mx.test
AUTH PLAIN AGdhdGUAb3BlbiBzZXNhbWU=
MAIL FROM:<a@sender.test> BODY=8BITMIME
EHLO mx.test
AUTH PLAIN AGdhdGUAb3BlbiBzZXNhbWU=
MAIL FROM:<a@sender.test> BODY=8BITMIME`)
		w.wantInt("connections: the mail without a client has its own", s.conns, 2)
	})
}

// TestXclientOnce is Postfix: the extension is gone once it was told of a client. No mail may go as that of another one.
func TestXclientOnce(t *testing.T) {
	s := &fakeServer{ehlo: append([]string{"XCLIENT NAME ADDR HELO"}, pipelining...), forget: true}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(b *config.Backend) { b.Client = "xclient"; b.MaxConnections = 1 })
		for _, c := range []mail.Client{clientA, clientA, clientB, {}, clientA} {
			w.want("state", w.from("m", c, "x@example.jp"), "delivered")
		}
		a, b := "XCLIENT NAME=a.example.net ADDR=198.51.100.7 HELO=helo.example.net\n", "XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::9 HELO=[weird+2B+3D+C3+A9]\n"
		m := "MAIL FROM:<a@sender.test> BODY=8BITMIME\n"
		w.want("commands", s.commands("XCLIENT", "MAIL")+"\n", a+m+m+b+m+m+a+m)
		w.want("warning", w.warning("backend smtp://192.0.2.1:25 XCLIENT"), "")
	})
}

// TestXclientFailures: a server that closes while it waits in the pool costs nobody anything; a refusal queues.
func TestXclientFailures(t *testing.T) {
	offers := append([]string{"XCLIENT NAME ADDR HELO"}, pipelining...)
	for _, c := range []struct{ answer, state string }{
		{"!drop", "queued"},
		{"421 4.3.0 later", "queued"},
		{"550 5.7.0 insufficient authorization", "queued"},
	} {
		s := &fakeServer{ehlo: offers, on: func(verb, _ string) string {
			if verb == "XCLIENT" {
				return c.answer
			}
			return ""
		}}
		run(t, []*fakeServer{s}, func(w *world) {
			w.restart(func(b *config.Backend) { b.Client = "xclient" })
			w.want(c.answer, w.from("m", clientA, "x@example.jp"), c.state)
			w.wantInt("MAIL", s.said("MAIL"), 0)
			w.wantInt("QUIT or RSET", s.said("QUIT")+s.said("RSET"), 0)
			s.set(func() { s.on = nil })
			time.Sleep(10 * time.Minute)
			w.wantInt("mails", len(s.got()), 1)
			w.want("who was kept with the mail", s.commands("XCLIENT")[len(s.commands("XCLIENT"))-len("HELO=helo.example.net"):], "HELO=helo.example.net")
		})
	}
	s := &fakeServer{ehlo: pipelining}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(b *config.Backend) { b.Client = "xclient" })
		w.want("not offered", w.from("m", clientA, "x@example.jp"), "delivered")
		if !strings.Contains(w.warning("backend smtp://192.0.2.1:25 XCLIENT"), "does not offer XCLIENT") {
			t.Error("the administrator is not told")
		}
		s.set(func() { s.ehlo = offers })
		w.want("not offered by the connection that stands", w.from("n", clientA, "x@example.jp"), "delivered")
		time.Sleep(time.Minute)
		w.want("offered", w.from("o", clientA, "x@example.jp"), "delivered")
		w.want("warning", w.warning("backend smtp://192.0.2.1:25 XCLIENT"), "")
		w.want("told", s.commands("XCLIENT", "MAIL"), "MAIL FROM:<a@sender.test> BODY=8BITMIME\nMAIL FROM:<a@sender.test> BODY=8BITMIME\n"+
			"XCLIENT NAME=a.example.net ADDR=198.51.100.7 HELO=helo.example.net\nMAIL FROM:<a@sender.test> BODY=8BITMIME")
	})
}

func TestXforward(t *testing.T) {
	s := &fakeServer{ehlo: append([]string{"XFORWARD NAME ADDR PROTO HELO SOURCE PORT"}, pipelining...)}
	run(t, []*fakeServer{s}, func(w *world) {
		w.restart(func(b *config.Backend) { b.Client = "xforward" })
		w.want("state", w.from("m", clientA, "x@example.jp"), "delivered")
		w.want("state", w.from("n", mail.Client{}, "x@example.jp"), "delivered")
		s.set(func() {
			s.on = func(verb, _ string) string {
				if verb == "XFORWARD" {
					return "550 5.7.0 no"
				}
				return ""
			}
		})
		w.want("refused", w.from("o", clientB, "x@example.jp"), "delivered")
		w.want("commands", s.commands("XFORWARD", "MAIL"), `XFORWARD NAME=a.example.net ADDR=198.51.100.7 PORT=4711 PROTO=ESMTP HELO=helo.example.net
MAIL FROM:<a@sender.test> BODY=8BITMIME
MAIL FROM:<a@sender.test> BODY=8BITMIME
XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::9 PROTO=SMTP HELO=[weird+2B+3D+C3+A9]
MAIL FROM:<a@sender.test> BODY=8BITMIME`)
		w.wantInt("connections", s.conns, 1)
	})
}

// TestProxy: a connection belongs to one client; the probe's says that it is our own.
func TestProxy(t *testing.T) {
	for mode, want := range map[string]string{
		"proxy-v1": "PROXY UNKNOWN\nPROXY TCP4 198.51.100.7 192.0.2.1 4711 25\nPROXY TCP6 2001:db8::9 ::ffff:192.0.2.1 0 25\nPROXY UNKNOWN",
		"proxy":    "2000\n2111c6336407c000020112670019\n212120010db800000000000000000000000900000000000000000000ffffc000020100000019\n2000",
	} {
		s := &fakeServer{ehlo: pipelining, proxy: true}
		run(t, []*fakeServer{s}, func(w *world) {
			w.restart(func(b *config.Backend) { b.Client = mode; b.MaxConnections = 2 })
			for i, c := range []mail.Client{clientA, clientA, clientB, {}} {
				if i == 3 {
					time.Sleep(time.Minute) // the idle ones are gone
				}
				w.want("state", w.from("m", c, "x@example.jp"), "delivered")
			}
			s.set(func() { w.want(mode, strings.Join(s.headers, "\n"), want) })
			if s.peak > 2 {
				t.Errorf("%d connections at a time", s.peak)
			}
			w.wantInt("mails", len(s.got()), 4)
		})
	}
}

func FuzzAttributes(f *testing.F) {
	f.Add("helo.example", "name.example")
	f.Add("a\r\nMAIL FROM:<x>", "+=\x00\xff ")
	f.Fuzz(func(t *testing.T, helo, name string) {
		line := attributeLine("XCLIENT", 0xFF, mail.Client{Addr: clientB.Addr, Helo: helo, Name: name})
		if strings.Count(line, " ") != 4 || strings.Count(line, "=") != 4 || len(line) > 1800 {
			t.Errorf("%q", line)
		}
		for i := range len(line) {
			if line[i] < ' ' || line[i] > '~' {
				t.Errorf("%q", line)
			}
		}
		if h := helloName(mail.Client{Helo: helo}, "mx.test"); strings.ContainsAny(h, " \r\n\x00\t") || h == "" {
			t.Errorf("EHLO %q", h)
		}
	})
}
