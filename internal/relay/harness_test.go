package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// fakeServer is a scripted backend. It takes a mail only at a complete final dot.
type fakeServer struct {
	ehlo   []string
	banner string
	// on answers a command; "" means the usual answer. The answers "!drop" and "!hang" close the connection and go silent;
	// "!wait 40s 250 ok" answers later.
	on     func(verb, line string) string
	tls    *tls.Config
	lmtp   bool
	onData func() // called at the first octet behind DATA
	cut    int    // octets of data after which the connection is dropped; 0: never
	stall  int    // octets of data after which nothing is read any more
	refuse error  // of dialing
	user   string // who may log in, with the password "open sesame"; "" refuses everybody
	lie    bool   // the server's last SCRAM message is wrong
	mute   bool   // the server leaves out its last SCRAM message
	proxy  bool   // a PROXY header comes first
	forget bool   // after XCLIENT the extension is not offered any more, as Postfix does for clients that may not use it
	most   int    // connections at a time; above it the banner is 421; 0: any number

	mu        sync.Mutex
	mails     []received
	log       []string // every command
	conns     int
	open      int
	peak      int
	headers   []string // PROXY headers
	asked     int
	truncated int
}

type received struct {
	from  string
	rcpts []string
	data  string
	tls   bool
}

func (s *fakeServer) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.conns++
	client, server := net.Pipe()
	go s.serve(server)
	return addressed{client}, nil
}

// addressed is a pipe that says where it leads.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25} }

type fakeConn struct {
	s    *fakeServer
	nc   net.Conn
	r    *bufio.Reader
	mail received
	told bool // XCLIENT was said
}

func (s *fakeServer) serve(nc net.Conn) {
	c := &fakeConn{s: s, nc: nc, r: bufio.NewReaderSize(nc, 128<<10)}
	defer func() { c.nc.Close() }()
	if s.proxy && !c.header() {
		return
	}
	banner := s.banner
	if !s.enter() {
		c.say("421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel")
		return
	}
	defer s.leave()
	if banner == "" {
		banner = "220 fake ESMTP"
	}
	if !c.say(banner) {
		return
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		verb, _, _ := strings.Cut(line, " ")
		s.mu.Lock()
		s.log = append(s.log, line)
		on := s.on
		s.mu.Unlock()
		answer := ""
		if on != nil {
			answer = on(verb, line)
		}
		if !c.command(verb, line, answer) {
			return
		}
	}
}

func (c *fakeConn) say(answer string) bool {
	if answer == "!drop" {
		return false
	}
	if answer == "!hang" {
		io.Copy(io.Discard, c.r)
		return false
	}
	if rest, ok := strings.CutPrefix(answer, "!wait "); ok {
		d, text, _ := strings.Cut(rest, " ")
		wait, _ := time.ParseDuration(d)
		time.Sleep(wait)
		return c.say(text)
	}
	_, err := io.WriteString(c.nc, answer+"\r\n")
	return err == nil
}

func or(answer, usual string) string {
	if answer == "" {
		return usual
	}
	return answer
}

func (c *fakeConn) command(verb, line, answer string) bool {
	switch verb {
	case "EHLO", "LHLO":
		lines := append([]string{"fake"}, c.s.ehlo...)
		if c.told && c.s.forget {
			lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "XCLIENT") })
		}
		for i := range lines[:len(lines)-1] {
			lines[i] = "250-" + lines[i]
		}
		lines[len(lines)-1] = "250 " + lines[len(lines)-1]
		return c.say(or(answer, strings.Join(lines, "\r\n")))
	case "STARTTLS":
		if !c.say(or(answer, "220 go")) || answer != "" {
			return answer != ""
		}
		tc := tls.Server(c.nc, c.s.tls)
		if tc.Handshake() != nil {
			return false
		}
		c.nc, c.r = tc, bufio.NewReaderSize(tc, 128<<10)
		return true
	case "MAIL":
		_, encrypted := c.nc.(*tls.Conn)
		c.mail = received{from: line, tls: encrypted}
		return c.say(or(answer, "250 2.1.0 ok"))
	case "RCPT":
		answer = or(answer, "250 2.1.5 ok")
		if strings.HasPrefix(answer, "250") {
			c.mail.rcpts = append(c.mail.rcpts, strings.Trim(strings.TrimPrefix(line, "RCPT TO:"), "<>"))
		}
		return c.say(answer)
	case "DATA":
		if len(c.mail.rcpts) == 0 {
			return c.say(or(answer, "554 5.5.1 no valid recipients"))
		}
		return c.say(or(answer, "354 go on")) && (answer != "" || c.data())
	case "RSET":
		c.mail = received{}
		return c.say(or(answer, "250 ok"))
	case "AUTH":
		return c.auth(line, answer)
	case "XCLIENT":
		c.mail, c.told = received{}, true
		return c.say(or(answer, "220 fake ESMTP again"))
	case "XFORWARD":
		return c.say(or(answer, "250 ok"))
	case "BDAT":
		return c.chunk(line, answer)
	case "QUIT":
		c.say(or(answer, "221 bye"))
		return false
	}
	return c.say("500 what")
}

func (c *fakeConn) data() bool {
	var b strings.Builder
	for n := 0; ; {
		line, err := c.r.ReadString('\n')
		if n == 0 && c.s.onData != nil {
			c.s.onData()
		}
		n += len(line)
		if err != nil || c.s.cut > 0 && n >= c.s.cut {
			c.s.mu.Lock()
			c.s.truncated++
			c.s.mu.Unlock()
			return false
		}
		if c.s.stall > 0 && n >= c.s.stall {
			time.Sleep(time.Hour)
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	c.mail.data = b.String()
	return c.took()
}

// took answers for a complete mail.
func (c *fakeConn) took() bool {
	answers := 1
	if c.s.lmtp {
		answers = len(c.mail.rcpts)
	}
	took := false
	for i := range answers {
		answer := ""
		if c.s.on != nil {
			answer = c.s.on(".", c.mail.rcpts[i])
		}
		answer = or(answer, "250 2.0.0 taken")
		if !took && (strings.Contains(answer, "250") || answer == "!drop") {
			took = true
			c.s.mu.Lock()
			c.s.mails = append(c.s.mails, c.mail)
			c.s.mu.Unlock()
		}
		if !c.say(answer) {
			return false
		}
	}
	c.mail = received{}
	return true
}

func (s *fakeServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *fakeServer) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

func (s *fakeServer) said(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, l := range s.log {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

var pipelining = []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
