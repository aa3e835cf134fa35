package front

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

const (
	proxyHeaderWait = 5 * time.Second        // for a balancer's header, which is sent at once
	suspectWait     = 250 * time.Millisecond // at most, for the connect checks to say whether a pause is due
	refuseWait      = time.Second            // for a refused client to take its 421
)

// handover is the listener that go-smtp accepts from: connections that have passed the connect stage.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

// give passes a connection on and reports whether it was taken.
func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

// acceptLoop takes connections from one socket until it is closed. Nothing in it waits for a client.
func (s *Server) acceptLoop(l *socket) {
	var pause time.Duration
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors and the like: connections that end make room again.
			if pause = min(max(2*pause, 5*time.Millisecond), time.Second); s.log != nil {
				s.log.Error("smtp: accept failed", "err", err, "retry_ms", pause.Milliseconds())
			}
			select {
			case <-s.base.Done():
				return
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		s.take(c, l)
	}
}

// take starts a connection, or turns it away when there are too many.
func (s *Server) take(c net.Conn, l *socket) {
	set, conf := s.present(l)
	w := newWire(s, set, c, l.Addr().String())
	if !s.limits.enter() {
		// Written at once into an empty socket buffer: it does not hold up the next client.
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		w.turnAway(mail.Transient(421, 7, 0, "too many connections, try again later"), "limit_total")
		_ = c.Close()
		s.letGo(set)
		return
	}
	w.onClose(func() { s.letGo(set) })
	w.onClose(s.limits.leave)
	if !s.enter(w) {
		_ = w.Close()
		return
	}
	w.onClose(func() { s.leave(w) })
	go s.meet(w, conf)
}

// meet is the connect stage: everything before the banner. Then go-smtp goes on with the connection.
func (s *Server) meet(w *wire, conf config.Listener) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(w, p)
			_ = w.Close()
		}
	}()
	if s.admit(w, conf) && s.pass.give(w) {
		return
	}
	_ = w.Close()
}

// admit reports whether the client gets a banner.
func (s *Server) admit(w *wire, conf config.Listener) bool {
	if !s.identify(w, conf) {
		return false
	}
	sess := w.session
	if conf.Purpose == "internal" && !sess.Trusted {
		w.turnAway(mail.Permanent(554, 7, 1, "this address serves our own servers only"), "not_internal")
		return false
	}
	if !sess.Trusted && !sess.Relayed() {
		if !s.limits.enterClient(sess.Client) {
			w.turnAway(mail.Transient(421, 7, 0, "too many connections from your address"), "limit_client")
			return false
		}
		w.onClose(func() { s.limits.leaveClient(sess.Client) })
	}
	w.visit = w.set.gate.Accept(w.ctx, sess)
	if !s.listenFirst(w) {
		return false
	}
	if r, ok := w.visit.(Refuser); ok && !sess.Trusted && !sess.Relayed() {
		ctx, stop := context.WithTimeout(w.ctx, suspectWait)
		defer stop()
		if reply := r.Refuse(ctx); !reply.IsZero() {
			w.turnAway(reply, "policy")
			return false
		}
	}
	return true
}

// identify finds out who the client is and makes the session.
func (s *Server) identify(w *wire, conf config.Listener) bool {
	client, local := endpoint(w.raw.RemoteAddr()), endpoint(w.raw.LocalAddr())
	sess := &mail.Session{
		ID: w.id, Client: client.Addr(), Port: client.Port(), Local: local, Listener: w.listener, Start: s.now(),
	}
	w.session = sess
	if within(conf.ProxyProtocolFrom, sess.Client) {
		_ = w.raw.SetReadDeadline(time.Now().Add(proxyHeaderWait))
		p, err := readProxyHeader(w.raw)
		if err != nil {
			s.log.Warn("smtp: a listed balancer sent no usable PROXY header", "id", w.id, "balancer", sess.Client.String(), "err", clean(err.Error()))
			s.watch.Refusal("connection", "proxy_header")
			return false
		}
		if p.client.IsValid() {
			sess.Proxy = sess.Client
			sess.Client, sess.Port = p.client, p.port
			w.client = netip.AddrPortFrom(p.client, 0)
		}
		if p.local.IsValid() {
			sess.Local = p.local
		}
		w.unread(p.rest)
	}
	if conf.Purpose == "internal" { // from one's own servers only: nobody relays for others there
		sess.Trusted = within(w.set.cfg.SMTP.MyNetworks, sess.Client)
	} else {
		Trust(&w.set.cfg.SMTP, sess)
	}
	return true
}

// listenFirst finds clients that talk before the banner (RFC 5321 section 3.1). It looks at octets that are there
// already; only for a client on which a connect check found something does it wait for some.
func (s *Server) listenFirst(w *wire) bool {
	if w.session.Trusted || w.session.Relayed() {
		return true
	}
	early, alive := w.peek()
	if !alive {
		return false
	}
	pause := w.set.cfg.SMTP.EarlyTalkerPause.D()
	if !early && pause > 0 && s.suspect(w) {
		if early, alive = w.await(pause); !alive {
			return false
		}
	}
	w.early = early
	return true
}

func (s *Server) suspect(w *wire) bool {
	ctx, stop := context.WithTimeout(w.ctx, suspectWait)
	defer stop()
	return w.visit.Suspect(ctx)
}

func endpoint(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	// Pipes and unix sockets, in tests: they come from this machine.
	return netip.AddrPortFrom(netip.IPv6Loopback(), 0)
}
