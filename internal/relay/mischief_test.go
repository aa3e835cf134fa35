package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// mischief is a backend that commits one fault at one step of its first connection, and then listens to what is still said to it there.
// After a refusal that leaves the connection as it was (goesOn) the dialogue goes on. Its other connections are as they should be.
type mischief struct {
	row    mishap
	offers []string
	tls    *tls.Config
	addr   string // of the listener; "": pipes

	mu     sync.Mutex
	conns  int
	mails  int    // that were complete; those of a broken answer as well
	before int    // octets of the mail that came before a fault in its middle
	after  string // what came behind the fault
	ended  chan struct{}
}

// listen serves on loopback until the function that it returns is called.
func (s *mischief) listen() (func(), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.addr = l.Addr().String()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_ = nc.(*net.TCPConn).SetReadBuffer(32 << 10) // so that the end of a large mail cannot be on its way at the fault
			s.serve(nc)
		}
	}()
	return func() { _ = l.Close() }, nil
}

func (s *mischief) dial(context.Context, string, string) (net.Conn, error) {
	if s.addr == "" {
		near, far := net.Pipe()
		s.serve(far)
		return addressed{near}, nil
	}
	nc, err := net.Dial("tcp", s.addr)
	if err == nil {
		err = nc.(*net.TCPConn).SetWriteBuffer(32 << 10)
	}
	return nc, err
}

func (s *mischief) serve(nc net.Conn) {
	s.mu.Lock()
	s.conns++
	c := &mischiefConn{s: s, nc: nc, r: bufio.NewReader(nc), faulty: s.conns == 1}
	s.mu.Unlock()
	first := c.faulty
	go func() {
		c.dialogue()
		_ = nc.Close()
		if first {
			close(s.ended)
		}
	}()
}

type mischiefConn struct {
	s      *mischief
	nc     net.Conn
	r      *bufio.Reader
	faulty bool // the fault is to come
	heard  bool // it was committed: what is said now is noted
	nobody bool // the recipient was refused
}

// dialogue returns when the client has closed the connection.
func (c *mischiefConn) dialogue() {
	if !c.answer("banner", "220 scripted ESMTP") {
		return
	}
	for {
		line, err := c.r.ReadString('\n')
		if c.heard {
			c.s.mu.Lock()
			c.s.after += line
			c.s.mu.Unlock()
		}
		if err != nil || !c.command(strings.TrimSpace(line)) {
			return
		}
	}
}

func (c *mischiefConn) command(line string) bool {
	verb, _, _ := strings.Cut(line, " ")
	switch verb {
	case "EHLO":
		return c.answer(verb, "250-scripted\r\n250-"+strings.Join(append(c.s.offers, "8BITMIME"), "\r\n250-")+"\r\n250 HELP")
	case "STARTTLS":
		refused := c.faulty && c.s.row.step == verb && c.s.row.refusal()
		return c.answer(verb, "220 go") && (refused || c.encrypt())
	case "AUTH":
		return c.answer(verb, "235 2.7.0 welcome")
	case "XCLIENT":
		return c.answer(verb, "220 scripted ESMTP")
	case "RCPT":
		c.nobody = c.faulty && c.s.row.step == verb && c.s.row.refusal()
		return c.answer(verb, "250 2.1.5 ok")
	case "DATA":
		if c.nobody {
			return c.answer(verb, "554 5.5.1 no valid recipients")
		}
		return c.answer(verb, "354 go on") && c.body()
	case "BDAT":
		var n int
		if _, err := fmt.Sscanf(line, "BDAT %d LAST", &n); err != nil {
			return false
		}
		return c.chunk(n)
	}
	return c.answer(verb, "250 2.0.0 ok") && verb != "QUIT" // MAIL, RSET
}

// answer says what is usual, or commits the fault. false: the connection is at its end.
func (c *mischiefConn) answer(step, usual string) bool {
	if !c.faulty || step != c.s.row.step {
		_, err := io.WriteString(c.nc, usual+"\r\n")
		return err == nil
	}
	c.faulty = false
	say := map[string]string{
		"garbage": "what is this\r\n", "long": "250 " + strings.Repeat("x", 5000) + "\r\n", "half": "25", "extra": usual + "\r\n250 2.0.0 one more\r\n",
		"4xx": "451 4.3.0 later\r\n", "5xx": "554 5.7.1 no\r\n", "421": "421 4.3.2 closing\r\n",
	}[c.s.row.what]
	if step == "body" || step == "chunk" {
		say = strings.TrimPrefix(say, usual+"\r\n")
	}
	_, _ = io.WriteString(c.nc, say) // one write: what belongs together comes together
	switch c.s.row.what {
	case "extra":
		c.heard = true
		if step != "body" && step != "chunk" {
			return true // whoever goes on gets every answer one too late
		}
	case "close", "half":
		if tcp, ok := c.nc.(*net.TCPConn); ok {
			_ = tcp.CloseWrite() // to the client it is closed; we hear what it writes
		}
	case "stall":
		if step == "body" || step == "chunk" {
			time.Sleep(20 * time.Minute) // and reads nothing
		}
	case "4xx", "5xx":
		if c.s.row.goesOn() {
			return true
		}
	}
	rest, _ := io.ReadAll(c.r)
	c.s.mu.Lock()
	c.s.after += string(rest)
	c.s.mu.Unlock()
	return false
}

// encrypt is the handshake. A fault in it comes behind the client's first record.
func (c *mischiefConn) encrypt() bool {
	if c.faulty && c.s.row.step == "TLS" && c.s.row.what != "extra" {
		head, err := c.r.Peek(5)
		if err == nil {
			_, err = c.r.Discard(5 + int(head[3])<<8 + int(head[4]))
		}
		return err == nil && c.answer("TLS", "")
	}
	tc := tls.Server(c.nc, c.s.tls)
	if tc.Handshake() != nil {
		return false
	}
	c.nc, c.r = tc, bufio.NewReader(tc)
	if c.faulty && c.s.row.step == "TLS" {
		c.faulty, c.heard = false, true
		_, _ = io.WriteString(tc, "250 2.0.0 one more\r\n")
	}
	return true
}

func (c *mischiefConn) body() bool {
	if c.faulty && c.s.row.step == "body" {
		return c.middle(largeMail / 4)
	}
	for line := ""; line != ".\r\n"; {
		var err error
		if line, err = c.r.ReadString('\n'); err != nil {
			return false
		}
	}
	return c.took("dot")
}

func (c *mischiefConn) chunk(n int) bool {
	if c.faulty && c.s.row.step == "chunk" {
		return c.middle(largeMail / 4)
	}
	if _, err := c.r.Discard(n); err != nil {
		return false
	}
	return c.took("last chunk")
}

func (c *mischiefConn) middle(n int) bool {
	got, err := c.r.Discard(n)
	c.s.mu.Lock()
	c.s.before = got
	c.s.mu.Unlock()
	return err == nil && c.answer(c.s.row.step, "")
}

// took answers for a complete mail. It is ours unless a refusal is what we say.
func (c *mischiefConn) took(step string) bool {
	w := c.s.row.what
	if !c.faulty || step != c.s.row.step || w != "4xx" && w != "5xx" && w != "421" {
		c.s.mu.Lock()
		c.s.mails++
		c.s.mu.Unlock()
	}
	return c.answer(step, "250 2.0.0 taken")
}
