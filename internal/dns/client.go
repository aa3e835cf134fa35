package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// Options say how New makes a Client. The zero Options ask the servers of /etc/resolv.conf.
type Options struct {
	Servers    []string         // "address:port" or "address"; asked in this order. Empty: those of ResolvConf
	ResolvConf string           // default /etc/resolv.conf
	Timeout    time.Duration    // of one try; default 2 s
	CacheBytes int              // default 32 MiB
	Now        func() time.Time // for the age of cached answers; default time.Now
	Log        *slog.Logger     // default: none
	// OnServer is told when a server stops answering (false) and when it answers again (true). It must not block; may be
	// nil.
	OnServer func(server string, up bool)
}

// Client is a Resolver that asks the configured recursive servers. Answers are cached for their TTL, equal questions
// that are under way are asked once, and a server that does not answer is left out until it does. It never follows
// referrals itself. Safe for concurrent use.
type Client struct {
	lookups
	r *resolver
}

var _ Resolver = (*Client)(nil)

const (
	defaultTimeout = 2 * time.Second
	defaultCache   = 32 << 20
	// maxUnderway bounds sockets; further questions wait for a place within their time.
	maxUnderway = 512
)

// New makes a Client. It asks nothing yet, so it does not fail because a server is down; its error names a server that
// is not an address. Close ends its background work.
func New(o Options) (*Client, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCache
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	addrs, err := serverAddrs(o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &resolver{
		o: o, ctx: ctx, stop: stop, cache: newCache(o.CacheBytes, o.Now),
		flights: map[question]*flight{}, slots: make(chan struct{}, maxUnderway),
	}
	for _, a := range addrs {
		r.servers = append(r.servers, &server{addr: a.String(), sockets: newSockets(a)})
	}
	return &Client{lookups: lookups{r}, r: r}, nil
}

// Close ends the background work; look-ups under way fail as temporary.
func (c *Client) Close() error {
	c.r.stop()
	for _, s := range c.r.servers {
		s.sockets.close()
	}
	return nil
}

// Healthy reports whether at least one server is not known to be silent.
func (c *Client) Healthy() bool {
	for _, s := range c.r.servers {
		if !s.isDown() {
			return true
		}
	}
	return false
}

// Servers returns the addresses that are asked, as address:port.
func (c *Client) Servers() []string {
	list := make([]string, len(c.r.servers))
	for i, s := range c.r.servers {
		list[i] = s.addr
	}
	return list
}

func serverAddrs(o Options) ([]netip.AddrPort, error) {
	names := o.Servers
	if len(names) == 0 {
		if o.ResolvConf == "" {
			o.ResolvConf = "/etc/resolv.conf"
		}
		names = resolvConf(o.ResolvConf)
	}
	addrs := make([]netip.AddrPort, 0, len(names))
	for _, n := range names {
		a, err := parseServer(n)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

func parseServer(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a, 53), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("dns server %q is not an address with a port, such as 127.0.0.1:53 or [::1]:53", s)
	}
	return a, nil
}

// resolvConf reads the nameserver lines; without any it is the local host, as resolv.conf(5) says.
func resolvConf(path string) []string {
	var names []string
	b, _ := os.ReadFile(path) // absent or unreadable: the local host
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if _, err := netip.ParseAddr(f[1]); err == nil {
			names = append(names, f[1])
		}
	}
	if len(names) == 0 {
		return []string{"127.0.0.1"}
	}
	return names
}

// question is the key of the cache and of what is under way.
type question struct {
	name  string
	qtype uint16
}

// flight is one question under way, and who waits for it reads the result once done is closed.
type flight struct {
	done chan struct{}
	a    *answer
	err  error
}

// resolver is what a Client is made of.
type resolver struct {
	o       Options
	ctx     context.Context //nolint:containedctx // the life of background work, not of a call
	stop    context.CancelFunc
	servers []*server
	cache   *cache
	slots   chan struct{}

	mu      sync.Mutex
	flights map[question]*flight
}

// ask implements asker. The work runs apart from the caller's context: whoever gives up leaves the others their answer,
// and the answer to the cache.
func (r *resolver) ask(ctx context.Context, name string, qtype uint16) (*answer, error) {
	q := question{name, qtype}
	if a, err, ok := r.cache.get(q); ok {
		return a, err
	}
	if ctx.Err() != nil {
		return nil, canceled(ctx, name)
	}
	r.mu.Lock()
	f := r.flights[q]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		r.flights[q] = f
		go r.fly(q, f)
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.a, f.err
	case <-ctx.Done():
		return nil, canceled(ctx, name)
	}
}

func (r *resolver) fly(q question, f *flight) {
	ctx, cancel := context.WithTimeout(r.ctx, time.Duration(r.tries())*r.o.Timeout+r.o.Timeout)
	defer cancel()
	var keep time.Duration
	select {
	case r.slots <- struct{}{}:
		f.a, keep, f.err = r.resolve(ctx, q)
		<-r.slots
	case <-ctx.Done():
		f.err = timeout(q.name, "too many look-ups under way")
	}
	if keep > 0 {
		r.cache.put(q, f.a, f.err, keep)
	}
	r.mu.Lock()
	delete(r.flights, q)
	r.mu.Unlock()
	close(f.done)
}
