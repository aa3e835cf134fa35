package front

import (
	"errors"

	"sekimori/internal/config"
	"sekimori/internal/recipients"
)

// setup is everything in the front that a configuration decides. It is not changed once it is made; a reload makes the next
// one. A connection keeps the setup it began with to its end, so that a transaction is judged by one policy.
type setup struct {
	cfg    *config.Config
	gate   Gate
	rcpts  *recipients.Directory
	certs  *certificate // nil without TLS
	closed func()       // may be nil

	users   int // connections; guarded by Server.mu, as is the next
	retired bool
}

// Change is what a reload gives the front.
type Change struct {
	Config *config.Config
	Gate   Gate
	// Recipients are those of Config. Who made it runs it, and closes it when Closed is called.
	Recipients *recipients.Directory
	// Closed is called once when no connection uses this configuration and gate any more, after another has taken their
	// place or the change was discarded. It must not block. May be nil.
	Closed func()
}

// Next is a change made ready: all of its files are read and all of its new addresses are open. One of Apply and Discard
// must follow.
type Next struct {
	s      *Server
	set    *setup
	opened []*socket
}

func (s *Server) newSetup(c Change) (*setup, error) {
	set := &setup{cfg: c.Config, gate: c.Gate, rcpts: c.Recipients, closed: c.Closed}
	var err error
	if t := c.Config.SMTP; t.TLSCertFile != "" {
		if set.certs, err = newCertificate(t.TLSCertFile, t.TLSKeyFile, s.log); err != nil {
			return nil, err
		}
		if err = set.certs.ask(t.TLSClientCAFile); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// Prepare reads what a new configuration names and opens the addresses that it adds. Nothing changes for anybody until
// Apply. Its error names the file or the address; then the present configuration stays and Closed is not called.
func (s *Server) Prepare(c Change) (*Next, error) {
	if c.Config == nil || c.Gate == nil || c.Recipients == nil {
		return nil, errors.New("front: a change needs a configuration, a gate and recipients")
	}
	set, err := s.newSetup(c)
	if err != nil {
		return nil, err
	}
	n := &Next{s: s, set: set}
	s.mu.Lock()
	have := s.sockets
	s.mu.Unlock()
	_, _, missing := match(have, set.cfg)
	for _, w := range missing {
		l, err := s.listen(w)
		if err != nil {
			n.closeOpened()
			return nil, err
		}
		n.opened = append(n.opened, l)
	}
	return n, nil
}

// Apply puts the change in force for new connections; it cannot fail. Addresses that are no longer configured are closed,
// those that stay go on without a gap, and so do all open connections.
func (n *Next) Apply() {
	s := n.s
	s.mu.Lock()
	old := s.set
	s.set = n.set
	s.limits.set(n.set.cfg.SMTP.MaxConnections, n.set.cfg.SMTP.MaxConnectionsPerClient)
	all := append(append([]*socket{}, s.sockets...), n.opened...)
	keep, said, _ := match(all, n.set.cfg)
	s.sockets = keep
	kept := map[*socket]bool{}
	for i, l := range keep {
		l.conf, kept[l] = said[i].conf, true
	}
	if s.running && !s.draining.Load() {
		for _, l := range n.opened {
			s.run.Go(func() { s.acceptLoop(l) })
		}
	}
	old.retired = true
	done := old.finished()
	s.mu.Unlock()
	for _, l := range all {
		if !kept[l] || s.draining.Load() {
			_ = l.Close()
		}
	}
	done()
}

// Discard gives up the change.
func (n *Next) Discard() {
	n.closeOpened()
	if n.set.closed != nil {
		n.set.closed()
	}
}

func (n *Next) closeOpened() {
	for _, l := range n.opened {
		_ = l.Close()
	}
}

// Reconfigure is Prepare and Apply.
func (s *Server) Reconfigure(c Change) error {
	n, err := s.Prepare(c)
	if err != nil {
		return err
	}
	n.Apply()
	return nil
}

// present returns the setup for a new connection at l, which gives it back by letGo. conf is what the configuration says of
// the address.
func (s *Server) present(l *socket) (set *setup, conf config.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.users++
	return s.set, l.conf
}

func (s *Server) letGo(set *setup) {
	s.mu.Lock()
	set.users--
	done := set.finished()
	s.mu.Unlock()
	done()
}

// finished returns what is to be called, without the lock, when the setup has no user left.
func (set *setup) finished() func() {
	if !set.retired || set.users > 0 || set.closed == nil {
		return func() {}
	}
	f := set.closed
	set.closed = nil
	return f
}

// current returns the setup that new connections get.
func (s *Server) current() *setup {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}
