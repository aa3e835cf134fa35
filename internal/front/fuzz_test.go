package front

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// script is a connection on which the client says something and hangs up.
type script struct {
	io.Reader
	said strings.Builder
}

func (s *script) Write(p []byte) (int, error) { return s.said.Write(p) }
func (s *script) Close() error                { return nil }
func (s *script) LocalAddr() net.Addr         { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25), Port: 25} }

func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4000} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// play runs a whole connection and waits for its end.
func (w *world) play(said io.Reader) string {
	s := &script{Reader: said}
	x := newWire(w.srv, w.srv.set, s, "test")
	x.session = &mail.Session{ID: x.id, Client: netip.MustParseAddr("192.0.2.1")}
	if !w.srv.limits.enter() || !w.srv.enter(x) {
		w.t.Fatal("not let in")
	}
	done := make(chan struct{})
	x.onClose(func() { close(done) }) // runs last
	x.onClose(w.srv.limits.leave)
	x.onClose(func() { w.srv.leave(x) })
	x.visit = w.srv.opts.Gate.Accept(x.ctx, x.session)
	if !w.srv.pass.give(x) {
		w.t.Fatal("not taken")
	}
	<-done
	return s.said.String()
}

// FuzzSession: whatever a client says, nothing panics, every reply is well-formed, and no mail is taken for anyone but our
// recipients, from an address that did not pass the strict reading, or without an end.
func FuzzSession(f *testing.F) {
	head := "EHLO client.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<x@example.jp>\r\n"
	f.Add([]byte(head + "DATA\r\n" + plainMail + ".\r\nQUIT\r\n"))
	f.Add([]byte(head + "BDAT 5\r\nhelloBDAT 2 LAST\r\n\r\nRSET\r\n"))
	f.Add([]byte(head + "DATA\r\na\n.\r\n" + evil + ".\r\n"))
	f.Add([]byte(head + "RCPT TO:<\"ceo@internal.corp> NOTIFY=NEVER\"@example.jp>\r\nRCPT TO:<postmaster>\r\n"))
	f.Add([]byte("STARTTLS\r\nVRFY x\r\nHELO [192.0.2.1]\r\nNOOP\r\nMAIL FROM:<> SIZE=1 BODY=8BITMIME\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		w := newWorld(t)
		w.cfg.Domains = []config.Domain{{Names: []string{"example.jp"}, Recipients: "any"}}
		w.start()
		answer := w.play(strings.NewReader(string(said)))
		for line := range strings.SplitSeq(strings.TrimSuffix(answer, "\r\n"), "\r\n") {
			if len(line) < 4 || line[0] < '2' || line[0] > '5' || (line[3] != ' ' && line[3] != '-') || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("reply %q", line)
			}
		}
		if strings.Contains(w.logged(), "panic") {
			t.Error(w.logged())
		}
		for _, e := range w.delivered {
			if strings.Count(string(said), "\r\n.\r\n") == 0 && !strings.Contains(strings.ToUpper(string(said)), "LAST") {
				t.Error("a mail without an end")
			}
			for _, r := range e.Rcpts {
				if back, err := mail.ParseAddress(r.String(), true); err != nil || back.Domain != "example.jp" {
					t.Errorf("recipient %q", r)
				}
			}
			if _, err := mail.ParseAddress(e.From.String(), true); err != nil && !e.From.IsNull() {
				t.Errorf("sender %q", e.From)
			}
		}
		if w.visits != 0 || w.srv.limits.total != 0 {
			t.Error("something was not given back")
		}
		w.stop()
	})
}

// BenchmarkSession is a connection with one mail of 4 KB, with everything around it scripted.
func BenchmarkSession(b *testing.B) {
	text := "EHLO client.example\r\nMAIL FROM:<a@sender.example>\r\nRCPT TO:<x@example.jp>\r\nDATA\r\n" + plainMail +
		strings.Repeat("A line of text as it stands in a mail of today, more or less.\r\n", 64) + ".\r\nQUIT\r\n"
	w := newWorld(b).start()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w.play(strings.NewReader(text))
		w.delivered, w.records = w.delivered[:0], w.records[:0]
		w.log.Reset()
	}
}

// BenchmarkTransaction is one more mail on an open connection.
func BenchmarkTransaction(b *testing.B) {
	w := newWorld(b)
	w.start()
	one := "MAIL FROM:<a@sender.example>\r\nRCPT TO:<x@example.jp>\r\nDATA\r\n" + plainMail +
		strings.Repeat("A line of text as it stands in a mail of today, more or less.\r\n", 64) + ".\r\n"
	b.ReportAllocs()
	b.SetBytes(int64(len(one)))
	for n := 0; n < b.N; n += 1000 {
		w.play(io.MultiReader(strings.NewReader("EHLO client.example\r\n"), strings.NewReader(strings.Repeat(one, min(1000, b.N-n)))))
		w.delivered, w.records = nil, nil
		w.log.Reset()
	}
}
