package relay

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// The states of an Answer.
const (
	Delivered = "delivered" // the backend has it
	Queued    = "queued"    // it is on our disk, and our responsibility
	Refused   = "refused"   // the backend refused it; nobody has it
)

// Options of New. Config, Spool and Resolver are required.
type Options struct {
	Config   *config.Config
	Spool    *spool.Spool
	Resolver dns.Resolver // resolves the names of backends (dns.backend_servers)
	Log      *slog.Logger
	Now      func() time.Time            // for what stands in the spool; deadlines of connections use the system's clock
	Rand     func() float64              // in [0,1), safe for concurrent use
	Warn     func(cause, message string) // tells the administrator of a state; an empty message ends it; may be nil
	Ledger   *ledger.Ledger              // what becomes of mail in the queue is written there; nil: nowhere
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// Counters count since the start. They are only added to.
type Counters struct {
	Delivered  atomic.Int64 // recipients that a backend took
	Refused    atomic.Int64 // recipients that a backend refused before we acknowledged
	Spooled    atomic.Int64 // mails put into the queue
	Late       atomic.Int64 // mails whose answer to the final dot came after the budget
	Duplicates atomic.Int64 // mails sent again because the connection broke behind the final dot
	Unknown    atomic.Int64 // mails, to be sent once, of which it is not known whether they arrived
	Retries    atomic.Int64 // attempts from the queue
	Failed     atomic.Int64 // recipients given up after we acknowledged
	Expired    atomic.Int64 // of these: by the queue's lifetime
	Stale      atomic.Int64 // pooled connections that the server had closed
	Deaths     atomic.Int64 // times a backend was found dead
	Notices    atomic.Int64 // reports to senders that were put into the queue
	Shrunk     atomic.Int64 // times a backend had too many connections of ours
}

// Relay delivers mail to the backends. Safe for concurrent use.
type Relay struct {
	Counters *Counters
	// OnFailed takes over recipients that failed after the acknowledgement and says what became of them; with an error it is
	// asked again later. After a crash it may be called twice for the same. Set it before Run; without it such mail stays in
	// the queue.
	OnFailed func(context.Context, Failure) (Fate, error)
	// OnTry is told of every try of a delivery, and of the late answer to one. It does not block. Set it before the first mail; it may be
	// nil.
	OnTry func(Try)
	// OnDelayed is asked once for every mail that has waited for relay.delay_warning; nil: no notice. It may be nil.
	OnDelayed func(context.Context, Failure) *Envelope

	o      Options
	routes atomic.Pointer[routes]
	queue  *queue

	unwritten sync.Map        // id -> unsettled
	made      map[string]bool // by id; what was made of the entries in open. Not changed after New
	open      []string        // entries whose failures were found at the start and not reported; until Run

	base    context.Context // ends the waiting for connections and the probing at Close
	cancel  context.CancelFunc
	mu      sync.Mutex // guards closed, leaving and the growth of wg
	closed  bool
	leaving []backend     // not configured any more; something may be on its way to them
	asked   chan struct{} // closed when a retry is asked for; guarded by mu
	wg      sync.WaitGroup
}

// New makes a relay and takes up what the spool holds. Errors are those of the configuration (files of backends' TLS) and of the
// spool's directory. Run starts it.
func New(o Options) (*Relay, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Warn == nil {
		o.Warn = func(string, string) {}
	}
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	r := &Relay{Counters: &Counters{}, o: o, asked: make(chan struct{})}
	r.queue = newQueue(func(domain string) int { return r.routes.Load().limit(domain) })
	r.base, r.cancel = context.WithCancel(context.Background())
	t, err := r.buildRouter(o.Config)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	r.routes.Store(t)
	return r, r.takeUp()
}

func hostname(c *config.Config) string { return cmp.Or(c.Hostname, "localhost") }

func (r *Relay) budget() time.Duration { return orDuration(r.config().Relay.Budget, 15*time.Second) }

func (r *Relay) late() time.Duration { return late(r.config()) }

func late(c *config.Config) time.Duration { return orDuration(c.Relay.LateAnswer, 10*time.Minute) }

func (r *Relay) lifetime() time.Duration {
	return orDuration(r.config().Relay.QueueLifetime, 120*time.Hour)
}

func orDuration(d config.Duration, other time.Duration) time.Duration {
	if d <= 0 {
		return other
	}
	return d.D()
}

// Route divides recipients into groups that share a set of backends, keeping their order.
func (r *Relay) Route(rcpts []mail.Address) [][]mail.Address { return r.route("", rcpts) }

func (r *Relay) route(lane string, rcpts []mail.Address) [][]mail.Address {
	var groups [][]mail.Address
	var sets []*set
	rt := r.router()
next:
	for _, a := range rcpts {
		s := rt.on(lane, a)
		for i := range sets {
			if sets[i] == s {
				groups[i] = append(groups[i], a)
				continue next
			}
		}
		sets = append(sets, s)
		groups = append(groups, []mail.Address{a})
	}
	return groups
}

// UTF8 reports whether every backend is known to offer SMTPUTF8.
func (r *Relay) UTF8() bool { return r.all(func(k caps) bool { return k.utf8 }) }

// EightBit reports whether every backend is known to offer 8BITMIME.
func (r *Relay) EightBit() bool { return r.all(func(k caps) bool { return k.eightBit }) }

func (r *Relay) all(has func(caps) bool) bool {
	for _, b := range r.router().inbound {
		if k, known := b.offers(); !known || !has(k) {
			return false
		}
	}
	return true
}

// spawn runs f unless the relay is closed; Close waits for it.
func (r *Relay) spawn(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.wg.Go(f)
	return true
}

// Close ends the relay after Run has ended: it waits for what is on its way until ctx ends, then closes the connections. Mail
// whose answer is outstanding then stays in the spool as in flight.
func (r *Relay) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	for _, b := range r.everyBackend() {
		b.shut(false)
	}
	done := make(chan struct{})
	go func() { r.wg.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	for _, b := range r.everyBackend() {
		b.shut(true)
	}
	<-done
	return err
}

// try hands a mail to the first backend of the set that takes it. end bounds it in front of a waiting client; zero in the
// background.
func (r *Relay) try(ctx context.Context, s *set, j *job, end time.Time) result {
	res := result{fault: unwell, err: errDead}
	list := s.order(r.o.Rand)
	if k := slices.IndexFunc(list, func(b backend) bool { return b.name() == j.avoid }); k >= 0 {
		list = append(slices.Delete(slices.Clone(list), k, k+1), list[k])
	}
	for i, b := range list {
		before := end
		switch left := len(list) - i; {
		case end.IsZero():
			before = time.Now().Add(r.late())
		case left > 1: // a stalling backend must not use up the time of the next one
			before = time.Now().Add(time.Until(end) / 2)
		}
		res = b.send(ctx, j, before, end)
		r.blame(b, res)
		if res.fault != unwell && res.fault != busy {
			return res
		}
		r.o.Log.Warn("relay: backend unwell", "id", j.id, "backend", b.name(), "error", res.err)
		if ctx.Err() != nil || (!end.IsZero() && !time.Now().Before(end)) {
			return res
		}
	}
	return res
}

// blame opens the breaker of a backend when that is due, and starts looking for when it lives again.
func (r *Relay) blame(b backend, res result) {
	if !res.blame || r.base.Err() != nil || !b.health().fail(res.hard, res.err) {
		return
	}
	r.Counters.Deaths.Add(1)
	r.o.Log.Error("relay: backend is dead", "backend", b.name(), "error", res.err)
	r.o.Warn("backend "+b.name(), res.err.Error())
	b.wake(errDead)
	r.spawn(func() { r.revive(b) })
}

const (
	probeFirst = time.Second
	probeMost  = time.Minute
)

// pause waits for d, or until somebody asks for a retry; false when the relay is closed.
func (r *Relay) pause(d time.Duration) bool {
	r.mu.Lock()
	asked := r.asked
	r.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-asked:
	case <-r.base.Done():
	}
	return r.base.Err() == nil
}

// probeNow ends every pause: dead backends are asked at once.
func (r *Relay) probeNow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.asked)
	r.asked = make(chan struct{})
}

// revive probes a dead backend until it lives.
func (r *Relay) revive(b backend) {
	for wait := probeFirst; ; wait = min(2*wait, probeMost) {
		if !r.pause(time.Duration(float64(wait)*jitter(r.o.Rand))) || !r.isPresent(b) {
			return
		}
		err := b.probe(r.base)
		if r.base.Err() != nil {
			return
		}
		if err == nil {
			b.health().close()
			r.o.Warn("backend "+b.name(), "")
			r.o.Log.Info("relay: backend lives again", "backend", b.name())
			r.queue.hurry(b, r.o.Now())
			return
		}
		r.o.Log.Debug("relay: backend still dead", "backend", b.name(), "error", err)
	}
}
