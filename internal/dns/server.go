package dns

import (
	"context"
	"sync"
	"time"

	miekg "github.com/miekg/dns"
)

// server is one configured server and what is known of its health. A question that gets no answer may be the fault of a
// far domain, so silence alone does not condemn a server: halfway through its time a question that hears nothing has the
// server asked for the root's NS records, which every resolver knows. Only when that is not answered either is the
// server down, and is asked again and again by probes alone. So a dead server costs one time-out, and a slow domain
// cannot switch the DNS off.
type server struct {
	addr    string
	sockets *sockets

	mu       sync.Mutex
	down     bool
	watched  bool      // a probe is under way or waits for its next turn
	answered time.Time // when it last answered anything
}

// Between two probes of a silent server.
const (
	probeFirst = 500 * time.Millisecond
	probeMost  = 10 * time.Second
)

func (s *server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *server) heard() {
	s.mu.Lock()
	s.answered = time.Now()
	s.mu.Unlock()
}

// suspect has a server probed that has been silent since a question was sent.
func (r *resolver) suspect(s *server, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watched || s.answered.After(since) {
		return
	}
	s.watched = true
	go r.watch(s, 0)
}

// refused notes that nothing listens at a server's port.
func (r *resolver) refused(s *server) {
	s.mu.Lock()
	start := !s.watched
	s.watched = true
	s.mu.Unlock()
	r.mark(s, true)
	if start {
		go r.watch(s, probeFirst)
	}
}

// watch probes a server until it answers.
func (r *resolver) watch(s *server, pause time.Duration) {
	for r.ctx.Err() == nil {
		if pause > 0 {
			t := time.NewTimer(pause)
			select {
			case <-t.C:
			case <-r.ctx.Done():
				t.Stop()
				return
			}
		}
		if r.probe(s) {
			break
		}
		r.mark(s, true)
		pause = min(max(2*pause, probeFirst), probeMost)
	}
	s.mu.Lock()
	s.watched = false
	s.mu.Unlock()
	r.mark(s, false)
}

func (r *resolver) mark(s *server, down bool) {
	s.mu.Lock()
	changed := s.down != down
	s.down = down
	s.mu.Unlock()
	if !changed || r.ctx.Err() != nil {
		return
	}
	if down {
		r.o.Log.Warn("dns server does not answer", "server", s.addr)
	} else {
		r.o.Log.Info("dns server answers again", "server", s.addr)
	}
	if r.o.OnServer != nil {
		r.o.OnServer(s.addr, !down)
	}
}

func (r *resolver) probe(s *server) bool {
	ctx, cancel := context.WithTimeout(r.ctx, r.o.Timeout/2)
	defer cancel()
	q, err := newQuery(question{".", miekg.TypeNS}, false)
	if err != nil {
		return false
	}
	_, err = q.udp(ctx, s.sockets, r.o.Timeout/2, nil)
	if err == nil {
		s.heard()
	}
	return err == nil
}
