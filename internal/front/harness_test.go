package front

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/recipients"
)

// world is a server with everything around it scripted. Its maps are filled in before the first connection.
type world struct {
	t   testing.TB
	cfg *config.Config
	srv *Server

	atRcpt   map[string]mail.Verdict // by recipient
	atData   map[string]mail.Verdict
	suspects bool
	refusal  mail.Reply
	onData   func()
	findings []mail.Finding

	answers  map[string]Answer // of the relay; default: delivered
	relayErr error
	queueErr error
	stageErr error
	taken    []Envelope // what was staged and taken back
	holdErr  error
	endsErr  error
	direct   []string // ends that stand written down
	steps    []string // of everything that a mail is given to, in order
	utf8     bool
	full     error
	ways     func(*Options)  // puts real parts in the place of scripted ones
	down     map[string]bool // recipients whose backends are down, with on_backend_down = "defer"
	source   recipients.Source
	drop     *worldDrop

	mu        sync.Mutex
	ids       int
	delivered []Envelope
	queued    []Envelope
	held      []Held
	records   []Record
	refusals  []string
	open      int
	sessions  []mail.Session
	clients   []mail.Session // behind relays
	visits    int
	temps     int
	log       bytes.Buffer
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, atRcpt: map[string]mail.Verdict{}, atData: map[string]mail.Verdict{}, answers: map[string]Answer{},
		cfg: &config.Config{
			Hostname: "mx.example.jp",
			SMTP: config.SMTP{
				MaxMessageSize: 4 << 20, MaxRecipients: 100, MaxConnections: 100, MaxConnectionsPerClient: 50, MaxErrors: 20,
				MaxFailedRecipients: 20, IdleTimeout: config.Duration(time.Minute), Lifetime: config.Duration(time.Hour),
			},
			Domains: []config.Domain{{Names: []string{"example.jp", "例え.jp"}, Recipients: "any"}, {Names: []string{"example.net"}, Recipients: "any"}},
		},
	}
	w.drop = &worldDrop{w: w}
	return w
}

// start makes the server; the configuration is not changed afterwards.
func (w *world) start() *world {
	w.t.Helper()
	o := Options{
		Config: w.cfg, Recipients: w.directory(w.cfg), Gate: w, Relay: (*worldRelay)(w), Keeper: (*worldKeeper)(w), Spool: (*worldSpool)(w), Ends: (*worldEnds)(w), Bounceless: w.bounceless, Parse: mime.Parse,
		NewID: w.newID, Log: slog.New(slog.NewTextHandler(lockedWriter{w}, nil)), Observer: (*worldObserver)(w),
		Now: func() time.Time { return time.Date(2026, 11, 20, 5, 32, 0, 0, time.UTC) },
	}
	if w.drop != nil {
		o.Drop = w.drop
	}
	if w.ways != nil {
		w.ways(&o)
	}
	srv, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv = srv
	srv.startProtocol()
	w.t.Cleanup(w.stop)
	return w
}

// directory knows the recipients of a configuration. "ldap:" is the world's own source.
func (w *world) directory(cfg *config.Config) *recipients.Directory {
	w.t.Helper()
	d, err := recipients.New(recipients.Options{
		Config: cfg, Random: func(int) int { return 0 },
		Open: func(*config.Config, string, string) (recipients.Source, recipients.Timing, error) {
			return w.source, recipients.Timing{}, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = w.srv.Shutdown(ctx)
}

func (w *world) bounceless(from mail.Address, _ mail.Origin, _ *mail.Message) string {
	if from.Domain == "confirmed.example" {
		return ""
	}
	return "not confirmed"
}

func (w *world) step(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps = append(w.steps, what)
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("id%d", w.ids)
}

type lockedWriter struct{ w *world }

func (l lockedWriter) Write(p []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

// Accept makes the world a Gate.
func (w *world) Accept(_ context.Context, s *mail.Session) Visit {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.visits++
	return &worldVisit{w: w, s: s}
}

type worldVisit struct {
	w *world
	s *mail.Session
}

func (v *worldVisit) Suspect(context.Context) bool      { return v.w.suspects }
func (v *worldVisit) Refuse(context.Context) mail.Reply { return v.w.refusal }

func (v *worldVisit) Helo(s *mail.Session) {
	v.s = s
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	v.w.sessions = append(v.w.sessions, *s)
}

func (v *worldVisit) Close() {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	v.w.visits--
}

func (v *worldVisit) Begin(id string, from mail.Address, p mail.Params) Judging {
	return &worldJudging{w: v.w, tx: mail.Transaction{
		Session: v.s, ID: id, From: from, Params: p,
		Outcomes: []mail.Outcome{{Check: "test", Result: mail.Result{Findings: v.w.findings}}},
		Facts:    map[string]any{"rdns.name": "client.example."},
	}}
}

type worldJudging struct {
	w  *world
	tx mail.Transaction
}

func (j *worldJudging) Rcpt(_ context.Context, r mail.Address, _ []mail.Address) mail.Verdict {
	return j.w.atRcpt[r.Key()]
}

func (j *worldJudging) Client(s *mail.Session) {
	j.tx.Session = s
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	j.w.clients = append(j.w.clients, *s)
}
func (j *worldJudging) Accept(r mail.Address)          { j.tx.Rcpts = append(j.tx.Rcpts, r) }
func (j *worldJudging) Transaction() *mail.Transaction { return &j.tx }

func (j *worldJudging) Conclude(_ context.Context, m *mail.Message) []mail.Verdict {
	if j.w.onData != nil {
		j.w.onData()
	}
	j.tx.Message = m
	var all []mail.Verdict
	for _, r := range j.tx.Rcpts {
		v := j.w.atData[r.Key()]
		v.Rcpt = r
		all = append(all, v)
	}
	return all
}

type worldRelay world

func (r *worldRelay) Down(a mail.Address) bool { return r.down[a.Key()] }

func (r *worldRelay) Route(rcpts []mail.Address) [][]mail.Address {
	var order []string
	groups := map[string][]mail.Address{}
	for _, a := range rcpts {
		if groups[a.Domain] == nil {
			order = append(order, a.Domain)
		}
		groups[a.Domain] = append(groups[a.Domain], a)
	}
	var all [][]mail.Address
	for _, d := range order {
		all = append(all, groups[d])
	}
	return all
}

func (r *worldRelay) Deliver(_ context.Context, e Envelope) ([]Answer, error) {
	(*world)(r).step("deliver")
	if r.relayErr != nil {
		return nil, r.relayErr
	}
	e.Content = mail.Content{e.Content.Bytes()}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Answer
	taken := e
	taken.Rcpts = nil
	for _, a := range e.Rcpts {
		answer, ok := r.answers[a.Key()]
		if !ok {
			answer.State = Delivered
		}
		answer.Rcpt = a
		all = append(all, answer)
		if answer.State == Delivered {
			taken.Rcpts = append(taken.Rcpts, a)
		}
	}
	if len(taken.Rcpts) > 0 {
		r.delivered = append(r.delivered, taken)
	}
	return all, nil
}

func (r *worldRelay) Queue(_ context.Context, e Envelope) error {
	if r.queueErr != nil {
		return r.queueErr
	}
	e.Content = mail.Content{e.Content.Bytes()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queued = append(r.queued, e)
	return nil
}

// Stage notes what is staged when it is committed.
func (r *worldRelay) Stage(_ context.Context, e Envelope) (Staged, error) {
	(*world)(r).step("stage")
	if r.stageErr != nil {
		return nil, r.stageErr
	}
	e.Content = mail.Content{e.Content.Bytes()}
	return &worldStaged{r, e}, nil
}

type worldStaged struct {
	r *worldRelay
	e Envelope
}

func (s *worldStaged) Commit() {
	(*world)(s.r).step("commit")
	_ = s.r.Queue(context.Background(), s.e)
}

func (s *worldStaged) Discard() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.r.taken = append(s.r.taken, s.e)
	s.r.steps = append(s.r.steps, "discard")
}

func (r *worldRelay) UTF8() bool { return r.utf8 }

type worldKeeper world

func (k *worldKeeper) Hold(_ context.Context, h Held) error {
	(*world)(k).step("hold")
	if k.holdErr != nil {
		return k.holdErr
	}
	h.Body = mail.Content{h.Body.Bytes()}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = append(k.held, h)
	return nil
}

type worldSpool world

func (s *worldSpool) Room() error { return s.full }

func (s *worldSpool) Temp(int64) (Temp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.temps++
	return &worldTemp{}, nil
}

type worldTemp struct{ bytes.Buffer }

func (t *worldTemp) Map() ([]byte, error) { return t.Bytes(), nil }
func (t *worldTemp) Close() error         { return nil }

type worldObserver world

func (o *worldObserver) Connections(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = n
}

func (o *worldObserver) Refused(Refusal) {}

func (o *worldObserver) Refusal(where, why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refusals = append(o.refusals, where+" "+why)
}

func (o *worldObserver) Concluded(r Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records = append(o.records, r)
}

func (w *world) sawRefusal(s string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.refusals, s)
}

func (w *world) took() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.delivered) + len(w.queued) + len(w.held)
}

// pipeEnd is one end of a net.Pipe with an address.
type pipeEnd struct {
	net.Conn
	remote net.Addr
}

func (p pipeEnd) RemoteAddr() net.Addr { return p.remote }

// client is the other end. What the server says is read along, so that writing to it never waits for being read.
type client struct {
	t     testing.TB
	conn  net.Conn
	lines chan string
}

func (w *world) dial(from string) *client { return w.dialTo(from, config.Listener{}, "") }

// dialTo connects; first is what the client says at once, before any banner.
func (w *world) dialTo(from string, l config.Listener, first string) *client {
	near, far := net.Pipe()
	c := newClient(w.t, near)
	if first != "" {
		c.send(first)
	}
	remote := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 40000))
	w.srv.take(pipeEnd{far, remote}, &socket{Listener: testListener{}, conf: l})
	return c
}

func newClient(t testing.TB, conn net.Conn) *client {
	c := &client{t: t, conn: conn}
	c.read(conn)
	return c
}

func (c *client) read(r io.Reader) {
	lines := make(chan string, 10000)
	c.lines = lines
	go func() {
		defer close(lines)
		br := bufio.NewReader(r)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			lines <- strings.TrimRight(line, "\r\n")
		}
	}()
}

// send writes raw octets without waiting for them to be read.
func (c *client) send(raw string) {
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.WriteString(c.conn, raw) }()
	_ = done
}

// write writes raw octets, all of them or an error.
func (c *client) write(raw string) error {
	_, err := io.WriteString(c.conn, raw)
	return err
}

// line returns the next line, or EOF.
func (c *client) line() string {
	select {
	case l, ok := <-c.lines:
		if !ok {
			return "EOF"
		}
		return l
	case <-time.After(20 * time.Minute): // of a bubble's clock
		return "NOTHING"
	}
}

// reply returns the last line of the next reply.
func (c *client) reply() string {
	for {
		if l := c.line(); len(l) < 4 || l[3] != '-' {
			return l
		}
	}
}

// want sends a command and compares the start of the reply.
func (c *client) want(send, reply string) string {
	c.t.Helper()
	if send != "" {
		if err := c.write(send + "\r\n"); err != nil && reply != "EOF" {
			c.t.Fatalf("%q: %v", send, err)
		}
	}
	got := c.reply()
	if !strings.HasPrefix(got, reply) {
		c.t.Fatalf("after %q: %q, want %q", send, got, reply)
	}
	return got
}

func (c *client) hello() *client {
	c.t.Helper()
	c.want("", "220 mx.example.jp ESMTP")
	c.want("EHLO client.example", "250 ")
	return c
}

func (c *client) envelope(rcpts ...string) *client {
	c.t.Helper()
	c.want("MAIL FROM:<a@sender.example>", "250 2.1.0")
	for _, r := range rcpts {
		c.want("RCPT TO:<"+r+">", "250 2.1.5")
	}
	return c
}

var errTest = errors.New("out of order")

const plainMail = "From: a@sender.example\r\nTo: x@example.jp\r\nSubject: hello\r\n\r\nText\r\n"

// testListener is a listener of which only the name is asked.
type testListener struct{ net.Listener }

func (testListener) Addr() net.Addr { return &net.UnixAddr{Name: "test"} }
