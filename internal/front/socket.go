package front

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"sekimori/internal/config"
)

// socket is one listening address.
type socket struct {
	net.Listener
	addr string          // as configured
	conf config.Listener // guarded by Server.mu
}

// wanted is an address that a configuration names.
type wanted struct {
	addr string
	conf config.Listener
}

// match finds the socket of every address that the configuration names; keep[i] belongs to said[i]. missing are the addresses
// that have none.
func match(have []*socket, cfg *config.Config) (keep []*socket, said, missing []wanted) {
	left := slices.Clone(have)
	for _, conf := range cfg.SMTP.Listeners {
		for _, addr := range conf.Listen {
			i := slices.IndexFunc(left, func(l *socket) bool { return l.addr == addr })
			if i < 0 {
				missing = append(missing, wanted{addr, conf})
				continue
			}
			keep, said = append(keep, left[i]), append(said, wanted{addr, conf})
			left = slices.Delete(left, i, i+1)
		}
	}
	return keep, said, missing
}

// Listen opens every configured address. After an error none is open.
func (s *Server) Listen() error {
	_, _, missing := match(nil, s.set.cfg)
	for _, w := range missing {
		l, err := s.listen(w)
		if err != nil {
			s.closeSockets()
			return err
		}
		s.sockets = append(s.sockets, l)
	}
	return nil
}

func (s *Server) listen(w wanted) (*socket, error) {
	ln, err := s.opts.Listen(family(w.addr), w.addr)
	if err != nil {
		return nil, fmt.Errorf("smtp listener: %w", err)
	}
	return &socket{Listener: ln, addr: w.addr, conf: w.conf}, nil
}

// family keeps 0.0.0.0 and [::] apart: "tcp" would listen on both families for either, and the second would fail.
func family(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "tcp"
	}
	switch ip, err := netip.ParseAddr(host); {
	case err != nil:
		return "tcp"
	case ip.Is4():
		return "tcp4"
	default:
		return "tcp6"
	}
}

// Addrs returns the addresses that are listened on.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]net.Addr, 0, len(s.sockets))
	for _, l := range s.sockets {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

func (s *Server) closeSockets() {
	s.mu.Lock()
	all := slices.Clone(s.sockets)
	s.mu.Unlock()
	for _, l := range all {
		_ = l.Close()
	}
}
