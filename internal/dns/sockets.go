package dns

import (
	"context"
	"net"
	"net/netip"
)

// spareSockets is how many idle sockets are kept for one server.
const spareSockets = 32

// sockets makes the UDP sockets for one server. They are used again only when the server is on loopback: there nobody can
// forge an answer from outside, so that nothing is lost by a port that stays the same, and a socket costs as much as the
// question. For any other server every question has a port of its own (RFC 5452).
type sockets struct {
	addr  string
	spare chan net.Conn // nil: none is kept
}

func newSockets(addr netip.AddrPort) *sockets {
	s := &sockets{addr: addr.String()}
	if addr.Addr().Unmap().IsLoopback() {
		s.spare = make(chan net.Conn, spareSockets)
	}
	return s
}

func (s *sockets) take(ctx context.Context) (net.Conn, error) {
	select {
	case c := <-s.spare:
		return c, nil
	default:
	}
	var d net.Dialer
	return d.DialContext(ctx, "udp", s.addr)
}

// give takes a socket back. One that did not hear its answer is closed, so that a late answer meets nobody.
func (s *sockets) give(c net.Conn, clean bool) {
	if clean {
		select {
		case s.spare <- c:
			return
		default:
		}
	}
	_ = c.Close()
}

// close frees what is spare.
func (s *sockets) close() {
	for {
		select {
		case c := <-s.spare:
			_ = c.Close()
		default:
			return
		}
	}
}
