package relay

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// chatty is a server on a real socket that says a reply too many at one place.
type chatty struct {
	nc    net.Conn
	r     *bufio.Reader
	extra string // before which octets of the mail it comes: "idle" (before MAIL), "middle" (some were read)
	what  string
	whole chan bool // whether it got a complete mail
}

func (s *chatty) say(lines string) { _, _ = io.WriteString(s.nc, lines) }

// serve answers MAIL and RCPT, and takes a chunk.
func (s *chatty) serve() {
	defer s.nc.Close()
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			s.whole <- false
			return
		}
		var n int
		if _, err := fmt.Sscanf(line, "BDAT %d LAST", &n); err != nil {
			s.say("250 ok\r\n")
			continue
		}
		if s.extra == "middle" {
			_, _ = io.CopyN(io.Discard, s.r, int64(n/4))
			s.say(s.what)
			n -= n / 4
		}
		got, _ := io.CopyN(io.Discard, s.r, int64(n))
		s.whole <- got == int64(n)
		s.say("452 4.3.1 the real answer\r\n")
	}
}

// talk sends a mail that is larger than the buffers of the sockets, so that the extra reply is there before its end is written.
func talk(t *testing.T, encrypted bool, extra, what string) (*exchange, bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(nc, false, time.Now().Add(time.Minute))
	defer c.close()
	c.caps = caps{pipelining: true, chunking: true}
	c.b = &smtpBackend{conf: config.Backend{Chunking: true}, count: &Counters{}}
	if encrypted {
		cert, _ := certificate(t)
		tc := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}})
		go tc.Handshake()
		mine := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true})
		if err := mine.Handshake(); err != nil {
			t.Fatal(err)
		}
		c.attach(mine)
		far = tc
	}
	s := &chatty{nc: far, r: bufio.NewReader(far), extra: extra, what: what, whole: make(chan bool, 1)}
	if extra == "idle" {
		c.pooled = true
		s.say(what)
		for end := time.Now().Add(30 * time.Second); c.unasked() == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
	}
	go s.serve()
	content := mail.Content{bytes.Repeat([]byte("0123456789abcde\n"), 1<<21)} // more than the buffers of the sockets hold
	j := &job{id: "m", rcpts: []mail.Address{{Local: "x", Domain: "example.jp"}}, content: content, size: content.Len()}
	x := c.transact(j, time.Now().Add(30*time.Second))
	c.close()
	return x, <-s.whole
}

// TestUnasked: on real sockets, in clear text and in TLS, what the server says before it can have been caused is no answer to the
// mail, which then is not finished; a refusal in the middle of the mail is one. A server that waits for the end is heard.
func TestUnasked(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		x, _ := talk(t, encrypted, "idle", "250 2.0.0 late\r\n")
		if !x.stale || x.sent {
			t.Errorf("encrypted %v: a reply on an idle connection: %v", encrypted, x.err)
		}
		x, whole := talk(t, encrypted, "middle", "250 2.0.0 taken\r\n")
		if !errors.Is(x.err, errUnasked) || x.sent || whole {
			t.Errorf("encrypted %v: a 250 in the middle of the mail: sent %v, %v; the server has all of it: %v", encrypted, x.sent, x.err, whole)
		}
		x, whole = talk(t, encrypted, "middle", "552 5.3.4 too big\r\n")
		if x.err != nil || x.sent || whole || !x.half || x.answers[0].state != refused {
			t.Errorf("encrypted %v: a refusal in the middle: %+v, %v; the server has all of it: %v", encrypted, x.answers, x.err, whole)
		}
		x, whole = talk(t, encrypted, "", "")
		if x.err != nil || !x.sent || !whole {
			t.Errorf("encrypted %v: nothing unasked: %v; the server has all of it: %v", encrypted, x.err, whole)
		}
	}
}
