package front

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/recipients"
)

// Options is what the front is made of. All but Share, Observer, Now and Poll must be set.
type Options struct {
	Config *config.Config
	Gate   Gate
	Relay  Relay
	Keeper Keeper
	Spool  Spool
	Ends   Ends
	// Bounceless says why no report of a failure may go to a sender, "" when one may: bounce.Refusal.
	Bounceless func(from mail.Address, o mail.Origin, m *mail.Message) string
	// Recipients knows who is ours; its owner keeps it up to date.
	Recipients *recipients.Directory
	// Share counts in the store that all hosts share; nil: each counts for itself.
	Share Share
	// Drop learns what is handed in to learning addresses; nil: nothing is.
	Drop     Drop
	Parse    func(raw []byte) *mail.Message // mime.Parse
	NewID    func() string                  // short, unique, of letters, digits and hyphens
	Log      *slog.Logger
	Observer Observer
	Now      func() time.Time
	Poll     time.Duration // how often certificate files are looked at; default 5s
	// Listen opens an address; default net.Listen. A service manager may have opened it already.
	Listen func(network, addr string) (net.Listener, error)
	// Closed is Change.Closed of the first configuration.
	Closed func()
}

// Server is port 25. It is made by New, opened by Listen and run by Serve.
type Server struct {
	opts    Options
	log     *slog.Logger
	watch   Observer
	now     func() time.Time
	harvest *harvest
	limits  *limiter
	smtp    *smtp.Server
	pass    *handover

	base     context.Context // of everything a connection asks for; ends when the drain does
	cancel   context.CancelFunc
	draining atomic.Bool
	conns    sync.WaitGroup
	stopped  chan struct{}  // closed by Shutdown
	run      sync.WaitGroup // what Serve started; grows under mu while running
	mu       sync.Mutex     // guards what follows
	open     map[*wire]struct{}
	sockets  []*socket
	set      *setup // for new connections
	running  bool
}

// New makes a server. Its error names a certificate file that does not load.
func New(o Options) (*Server, error) {
	if o.Config == nil || o.Gate == nil || o.Relay == nil || o.Keeper == nil || o.Spool == nil || o.Ends == nil || o.Bounceless == nil || o.Recipients == nil || o.Parse == nil ||
		o.NewID == nil || o.Log == nil {
		return nil, errors.New("front: an option is missing")
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll <= 0 {
		o.Poll = 5 * time.Second
	}
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	s := &Server{
		opts: o, log: o.Log, watch: o.Observer, now: o.Now,
		limits: newLimiter(o.Config.SMTP.MaxConnections, o.Config.SMTP.MaxConnectionsPerClient),
		pass:   newHandover(), open: map[*wire]struct{}{}, stopped: make(chan struct{}),
		harvest: newHarvest(o.Share, o.Log, o.Now),
	}
	var err error
	if s.set, err = s.newSetup(Change{Config: o.Config, Gate: o.Gate, Recipients: o.Recipients, Closed: o.Closed}); err != nil {
		return nil, err
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.smtp = newProtocol(s)
	return s, nil
}

// Serve takes connections until ctx ends or Shutdown is called; it does not wait for those that are open.
func (s *Server) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.startProtocol()
	s.mu.Lock()
	s.running = true
	s.run.Go(func() { s.reloadLoop(ctx) })
	s.run.Go(func() { s.harvest.run(ctx) })
	for _, l := range s.sockets {
		s.run.Go(func() { s.acceptLoop(l) })
	}
	s.mu.Unlock()
	select {
	case <-s.stopped:
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
	s.closeSockets()
	stop()
	s.run.Wait()
	return nil
}

// startProtocol lets go-smtp take what the listeners hand over. It ends with the handover.
func (s *Server) startProtocol() {
	s.conns.Go(func() {
		if err := s.smtp.Serve(s.pass); err != nil && !errors.Is(err, net.ErrClosed) {
			s.log.Error("smtp: the protocol loop ended", "err", err)
		}
	})
}

// Shutdown drains: nothing is accepted any more, connections between two transactions or before DATA are told 421, and
// what is in DATA is brought to its end. When ctx ends first, the rest is cut off, unacknowledged, and its error is
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining.Swap(true) {
		close(s.stopped)
	}
	s.mu.Unlock()
	s.closeSockets()
	_ = s.pass.Close()
	for _, w := range s.openWires() {
		w.nudge()
	}
	done := make(chan struct{})
	go func() { defer close(done); s.conns.Wait() }()
	select {
	case <-done:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	for _, w := range s.openWires() {
		w.cut()
	}
	// What waited for the network ends now; what hangs elsewhere must not keep the process.
	select {
	case <-done:
	case <-time.After(time.Second):
	}
	return ctx.Err()
}

func (s *Server) openWires() []*wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*wire, 0, len(s.open))
	for w := range s.open {
		all = append(all, w)
	}
	return all
}

// enter and leave keep the set of connections that the drain has to think of. Once it has begun, enter returns false.
func (s *Server) enter(w *wire) bool {
	s.mu.Lock()
	if s.draining.Load() {
		s.mu.Unlock()
		return false
	}
	s.open[w] = struct{}{}
	n := len(s.open)
	s.conns.Add(1)
	s.mu.Unlock()
	s.watch.Connections(n)
	return true
}

func (s *Server) leave(w *wire) {
	s.mu.Lock()
	delete(s.open, w)
	n := len(s.open)
	s.mu.Unlock()
	s.conns.Done()
	s.watch.Connections(n)
}

// reloadLoop looks at the files that may change while we run.
func (s *Server) reloadLoop(ctx context.Context) {
	t := time.NewTicker(s.opts.Poll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if set := s.current(); set.certs != nil {
				set.certs.reload()
			}
		}
	}
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
