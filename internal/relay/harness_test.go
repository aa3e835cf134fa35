package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
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
	onData func()    // called at the first octet behind DATA
	cut    int       // octets of data after which the connection is dropped; 0: never
	stall  int       // octets of data after which nothing is read any more
	refuse error     // of dialing
	idle   chan bool // closed: idle connections are dropped

	mu        sync.Mutex
	mails     []received
	log       []string // every command
	conns     int
	truncated int
}

type received struct {
	from  string
	rcpts []string
	data  string
}

func (s *fakeServer) dial(ctx context.Context) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.conns++
	client, server := net.Pipe()
	go s.serve(server)
	return client, nil
}

type fakeConn struct {
	s    *fakeServer
	nc   net.Conn
	r    *bufio.Reader
	mail received
}

func (s *fakeServer) serve(nc net.Conn) {
	c := &fakeConn{s: s, nc: nc, r: bufio.NewReaderSize(nc, 128<<10)}
	defer func() { c.nc.Close() }()
	banner := s.banner
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
		c.mail = received{from: line}
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
	case "QUIT":
		c.say("221 bye")
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

// world is a relay with its backends inside a synctest bubble.
type world struct {
	t       *testing.T
	relay   *Relay
	spool   *spool.Spool
	cfg     *config.Config
	servers map[string]*fakeServer // by host:port
	free    int64
	stop    func()

	mu     sync.Mutex
	failed []Failure
}

// run makes the world of the given backends (s1.test:25 and so on, of the domain example.jp) and runs test in it.
func run(t *testing.T, servers []*fakeServer, test func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, servers: map[string]*fakeServer{}, free: 1 << 40}
		w.cfg = &config.Config{Hostname: "mx.test"}
		d := config.Domain{Names: []string{"example.jp"}}
		for i, s := range servers {
			ip := fmt.Sprintf("192.0.2.%d", i+1)
			scheme := "smtp"
			if s.lmtp {
				scheme = "lmtp"
			}
			d.Backends = append(d.Backends, config.Backend{URL: scheme + "://" + ip + ":25", Priority: i, Weight: 1, TLS: config.BackendTLS{Mode: "none"}})
			w.servers[ip+":25"] = s
		}
		w.cfg.Domains = []config.Domain{d}
		w.start(dir)
		test(w)
		w.end()
	})
}

func (w *world) start(dir string) {
	w.t.Helper()
	var err error
	w.spool, err = spool.Open(dir, spool.Options{DiskReserve: 1000, FreeDisk: func(string) (int64, error) { return w.free, nil }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.relay, err = New(Options{
		Config: w.cfg, Spool: w.spool, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
		Rand: func() float64 { return 0.5 },
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			if s := w.servers[addr]; s != nil {
				return s.dial(ctx)
			}
			return nil, errors.New("no route to " + addr)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.relay.OnFailed = func(_ context.Context, f Failure) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failed = append(w.failed, f)
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.relay.Run(ctx); close(done) }()
	w.stop = func() { cancel(); <-done }
	synctest.Wait()
}

// end closes everything, at once.
func (w *world) end() {
	w.stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.relay.Close(ctx)
	w.spool.Close()
	time.Sleep(2 * time.Hour) // lets the scripted servers end
}

const octets = "From: a@b\r\nSubject: \x93\xfa\x96{\r\n\r\n.dot\r\n..\r\nline\r\n.\r\nend\r\n"

func envelope(id string, rcpts ...string) Envelope {
	env := Envelope{ID: id, From: mail.Address{Local: "a", Domain: "sender.test"}, Content: mail.Content{[]byte(octets[:11]), []byte(octets[11:])}, EightBit: true}
	for _, r := range rcpts {
		var a mail.Address
		a.UnmarshalText([]byte(r))
		env.Rcpts = append(env.Rcpts, a)
	}
	return env
}

// deliver delivers and returns the states as one string.
func (w *world) deliver(id string, rcpts ...string) string {
	w.t.Helper()
	answers, err := w.relay.Deliver(context.Background(), envelope(id, rcpts...))
	if err != nil {
		return "error: " + err.Error()
	}
	var states []string
	for i, a := range answers {
		if a.Rcpt.String() != rcpts[i] {
			w.t.Errorf("answer %d is for %s", i, a.Rcpt)
		}
		s := a.State
		if a.State == Refused {
			s += " " + a.Reply.String()
		}
		states = append(states, s)
	}
	return strings.Join(states, ", ")
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (w *world) wantInt(what string, got, want int) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

// queued returns the spool's entries as "id state rcpt=status …".
func (w *world) queued() string {
	list, err := w.spool.List(spool.KindQueue)
	if err != nil {
		w.t.Error(err)
	}
	var lines []string
	for _, e := range list {
		l := e.ID + " " + e.State
		for _, c := range e.Rcpts {
			l += " " + c.Addr.Local + "=" + c.Status
		}
		lines = append(lines, l)
	}
	return strings.Join(lines, "; ")
}
