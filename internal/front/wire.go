package front

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
)

const (
	inputSize  = 2048 // of the command buffer: small, because most connections wait most of the time
	outputSize = 4096 // from here on replies are written without waiting for the end of a pipelined group
	writeWait  = 2 * time.Minute
	lingerWait = 500 * time.Millisecond
)

var errClosed = errors.New("front: the connection is closed")

// wire is the net.Conn that go-smtp talks through. Read gives one checked command line at a time; Write collects the
// reply to it. A read or write error is final: every later read says io.EOF and every later write is swallowed, so that
// what is left of a message never becomes a command.
type wire struct {
	srv      *Server
	set      *setup
	raw      net.Conn // the TCP connection
	conn     net.Conn // raw, or TLS over it
	listener string
	id       string
	client   netip.AddrPort // from a PROXY header; zero without
	session  *mail.Session  // never changed once the gate has seen it
	visit    Visit
	early    bool
	start    time.Time
	deadline time.Time // of the whole connection
	ctx      context.Context
	cancel   context.CancelFunc

	in       []byte // octets read and not yet used are in[pos:]
	pos      int
	out      []byte // replies not yet written
	reply    []byte // what go-smtp has said to the present command
	override string // said instead of reply; "-" says nothing
	verb     string // of the present command
	line     []byte // handed to go-smtp, not yet taken
	dead     bool
	closing  bool // after the present reply
	polite   bool // the client said QUIT
	greeted  bool

	tally   tally
	tx      *transaction
	closers []func()
	once    sync.Once

	mu      sync.Mutex // idle, against the drain
	idle    bool
	expired bool // the drain has asked an idle connection to end
}

func newWire(s *Server, set *setup, c net.Conn, listener string) *wire {
	w := &wire{srv: s, set: set, raw: c, conn: c, listener: listener, id: s.opts.NewID(), start: time.Now()}
	w.session = &mail.Session{ID: w.id, Client: endpoint(c.RemoteAddr()).Addr(), Listener: listener}
	if life := set.cfg.SMTP.Lifetime.D(); life > 0 {
		w.deadline = w.start.Add(life)
	}
	w.ctx, w.cancel = context.WithCancel(s.base)
	return w
}

func (w *wire) onClose(f func()) { w.closers = append(w.closers, f) }

// unread puts octets back in front of the input.
func (w *wire) unread(b []byte) {
	if len(b) > 0 {
		w.in, w.pos = append(append([]byte{}, b...), w.in[w.pos:]...), 0
	}
}

// Read implements net.Conn for go-smtp.
func (w *wire) Read(p []byte) (n int, err error) {
	defer func() {
		// A panic here would be outside of go-smtp's own recover and end the process.
		if r := recover(); r != nil {
			w.srv.panicked(w, r)
			w.dead = true
			n, err = 0, io.EOF
		}
	}()
	if len(w.line) == 0 {
		w.settle()
		w.line = w.next()
	}
	if len(w.line) == 0 {
		return 0, io.EOF
	}
	n = copy(p, w.line)
	w.line = w.line[n:]
	return n, nil
}

// Write implements net.Conn for go-smtp. What it says is completed and sent when the command is finished.
func (w *wire) Write(p []byte) (int, error) {
	if !w.dead {
		w.reply = append(w.reply, p...)
	}
	return len(p), nil
}

// Close implements net.Conn. It is called in the connection's goroutine, more than once.
func (w *wire) Close() error {
	w.once.Do(func() {
		w.settle()
		w.flush()
		w.abandon("the connection ended")
		w.cancel()
		if w.visit != nil {
			w.visit.Close()
		}
		w.linger()
		_ = w.conn.Close()
		w.in, w.out, w.reply = nil, nil, nil
		w.dead = true
		for i := len(w.closers) - 1; i >= 0; i-- {
			w.closers[i]()
		}
	})
	return nil
}

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return w.raw.LocalAddr() }

// RemoteAddr implements net.Conn. It is the client that a balancer named.
func (w *wire) RemoteAddr() net.Addr {
	if w.client.IsValid() {
		return net.TCPAddrFromAddrPort(w.client)
	}
	return w.raw.RemoteAddr()
}

// SetDeadline implements net.Conn. Deadlines are the wire's own.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// input returns octets that were read and not used, reading some when there are none. waiting says that between two
// commands nothing is under way, so that the drain may end it.
func (w *wire) input(waiting bool) ([]byte, error) {
	if w.pos < len(w.in) {
		return w.in[w.pos:], nil
	}
	return w.more(waiting)
}

// more reads behind what is there. It replaces a buffer that grew beyond the usual size once that is used up.
func (w *wire) more(waiting bool) ([]byte, error) {
	if w.pos == len(w.in) {
		w.pos = 0
		if w.in = w.in[:0]; cap(w.in) != inputSize {
			w.in = make([]byte, 0, inputSize)
		}
	} else if w.pos > 0 {
		w.in = w.in[:copy(w.in, w.in[w.pos:])]
		w.pos = 0
	}
	if len(w.in) == cap(w.in) {
		return w.in, nil
	}
	n, err := w.readInto(w.in[len(w.in):cap(w.in)], waiting)
	w.in = w.in[:len(w.in)+n]
	return w.in, err
}

// readInto reads from the network, with everything said before sent first. A time-out says so to the client. Every error
// is final.
func (w *wire) readInto(p []byte, waiting bool) (int, error) {
	w.flush()
	if w.dead {
		return 0, errClosed
	}
	until := time.Now().Add(w.set.cfg.SMTP.IdleTimeout.D())
	if !w.deadline.IsZero() && w.deadline.Before(until) {
		until = w.deadline
	}
	if waiting && !w.setIdle(until) {
		return 0, w.end(mail.Transient(421, 3, 2, "shutting down, try again later"), "drain")
	}
	if !waiting {
		_ = w.raw.SetReadDeadline(until)
	}
	n, err := w.conn.Read(p)
	if waiting {
		w.setBusy()
	}
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded) && w.srv.draining.Load() && waiting:
		return 0, w.end(mail.Transient(421, 3, 2, "shutting down, try again later"), "drain")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, w.end(mail.Transient(421, 4, 2, "time-out, closing the connection"), "timeout")
	case err == nil:
		err = io.ErrNoProgress
	}
	w.dead = true
	return 0, err
}

// setIdle marks the connection as one that the drain may end; false means that it has begun.
func (w *wire) setIdle(until time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.expired || w.srv.draining.Load() {
		return false
	}
	w.idle = true
	_ = w.raw.SetReadDeadline(until)
	return true
}

func (w *wire) setBusy() {
	w.mu.Lock()
	w.idle = false
	w.mu.Unlock()
}

// nudge is called by the drain: a connection that waits for a command ends now, another one before its next command.
func (w *wire) nudge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expired = true
	if w.idle {
		_ = w.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// cut ends the connection from outside; its goroutine sees errors.
func (w *wire) cut() {
	w.cancel()
	_ = w.raw.Close()
}

// end says a last reply and closes the dialogue.
func (w *wire) end(r mail.Reply, why string) error {
	if !w.dead {
		w.say(r)
		w.flush()
		w.dead, w.closing = true, true
	}
	if why != "drain" {
		w.refused(why, r)
	}
	return errClosed
}

// say appends a reply of ours, named after the transaction or the connection.
func (w *wire) say(r mail.Reply) {
	w.out = append(w.out, withID(r.String(), w.currentID())...)
	w.out = append(w.out, "\r\n"...)
}

func (w *wire) currentID() string {
	if w.tx != nil {
		return w.tx.id
	}
	return w.id
}

// flush writes what was said.
func (w *wire) flush() {
	if w.dead || len(w.out) == 0 {
		return
	}
	_ = w.raw.SetWriteDeadline(time.Now().Add(writeWait))
	if _, err := w.conn.Write(w.out); err != nil {
		w.dead = true
	}
	if w.out = w.out[:0]; cap(w.out) > outputSize || w.tx == nil {
		w.out = nil // idle connections keep no buffer
	}
}

// linger lets a client that we hang up on read our last reply: closing a socket with unread input would reset it.
func (w *wire) linger() {
	half, ok := w.raw.(interface{ CloseWrite() error })
	if !w.closing || w.polite || !ok || half.CloseWrite() != nil {
		return
	}
	_ = w.raw.SetReadDeadline(time.Now().Add(lingerWait))
	_, _ = io.CopyN(io.Discard, w.raw, 1<<20)
}

// secure replaces the clear connection by one over TLS. On an error the connection is dead (never: goes on in clear text).
func (w *wire) secure(cfg *tls.Config) error {
	until := time.Now().Add(min(30*time.Second, w.set.cfg.SMTP.IdleTimeout.D()))
	_ = w.raw.SetDeadline(until)
	c := tls.Server(w.raw, cfg)
	if err := c.HandshakeContext(w.ctx); err != nil {
		w.dead = true
		return err
	}
	_ = w.raw.SetDeadline(time.Time{})
	state := c.ConnectionState()
	next := *w.session
	next.TLS, next.Helo, next.Esmtp = &state, "", false
	next.Verified = verified(cfg.ClientCAs, state.PeerCertificates, w.srv.now())
	w.conn, w.session, w.greeted = c, &next, false
	w.in, w.pos = nil, 0
	return nil
}

// refused tells of a connection that ends because of us.
func (w *wire) refused(why string, r mail.Reply) {
	w.srv.watch.Refusal("connection", why)
	x := Refusal{Where: "connection", Why: why, Session: w.session, Reply: r.String()}
	if w.tx != nil {
		x.ID, x.From = w.tx.id, w.tx.from.String()
	}
	w.srv.watch.Refused(x)
}

// turnAway says a reply instead of the banner and logs it.
func (w *wire) turnAway(r mail.Reply, why string) {
	w.say(r)
	w.refused(why, r)
	w.srv.log.Info("connection refused", "id", w.id, "client", w.session.Client.String(), "listener", w.listener,
		"why", why, "reply", strings.TrimSpace(string(w.out)))
	until := time.Now().Add(refuseWait)
	_ = w.raw.SetWriteDeadline(until)
	_, _ = w.raw.Write(w.out)
	w.out, w.dead = nil, true
}
