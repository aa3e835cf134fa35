package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/mail"
	"sekimori/internal/ruleset"
)

var errNoDirectory = errors.New("the directory is not there yet")

// generation is one configuration with the checks and rules that were made of it. The present one judges new connections; an
// older one lives until its last connection has ended.
type generation struct {
	cfg   *config.Config
	judge *judge
	rcpts *sharedRecipients
	warn  *scopedWarnings
	set   ruleset.Set // what the rules were made of, until it is written down
}

// close ends what the generation does in the background and gives back what it shares. It does not wait.
func (g *generation) close() {
	if g.judge != nil {
		g.judge.close()
	}
	if g.rcpts != nil {
		g.rcpts.leave()
	}
}

// cfg returns the configuration in force.
func (s *server) cfg() *config.Config { return s.present.Load().cfg }

// judge returns the checks and rules in force.
func (s *server) judge() *judge { return s.present.Load().judge }

// newGeneration makes the checks and rules of a configuration. What can be kept of the present generation is: the DNS cache when
// the servers are the same, and what was learned. ctx bounds the background work of all generations.
func (s *server) newGeneration(ctx context.Context, cfg *config.Config) (*generation, error) {
	g := &generation{cfg: cfg, warn: &scopedWarnings{w: s.warn, own: map[string]string{}}}
	o := judgeOptions{log: s.log, store: s.store, observe: s.outcome, learner: s.learner, warn: g.warn.set, lasting: s.warn.set, facts: s.stories.facts}
	o.judged = s.verdicts
	o.member = func(group, a mail.Address) (bool, error) {
		if g.rcpts == nil {
			return false, errNoDirectory
		}
		return g.rcpts.Member(group, a)
	}
	o.groups = func(a mail.Address) ([]string, error) {
		if g.rcpts == nil {
			return nil, errNoDirectory
		}
		return g.rcpts.Groups(a)
	}
	if len(cfg.RuleAttributes()) > 0 {
		o.attrs = func(a mail.Address) (map[string][]string, error) {
			if g.rcpts == nil {
				return nil, errNoDirectory
			}
			return g.rcpts.Attributes(a)
		}
	}
	if old := s.present.Load(); old.judge != nil {
		o.keep = old.judge
	}
	set, setErr := readSet(cfg)
	if setErr == nil {
		o.version = set.Manifest().Version
	}
	var err error
	if g.judge, err = newJudge(ctx, cfg, o); err != nil {
		return nil, err // which says what of the set cannot be read, too
	}
	if setErr != nil {
		err = errMoving
	} else {
		err = sameSet(cfg, set)
	}
	if err != nil {
		g.judge.close()
		return nil, err
	}
	g.set = set
	s.retreatFor(cfg, g.judge.policy)
	g.warn.set("policy mode", modeWords(g.judge.policy))
	return g, nil
}

// scopedWarnings are the warnings of one generation. Until the generation is in force they are only noted; once another has
// taken its place they are ignored. Safe for concurrent use.
type scopedWarnings struct {
	w *warnings

	mu    sync.Mutex
	state scope
	own   map[string]string // standing ones, by cause
}

type scope uint8

const (
	scopeNext scope = iota
	scopePresent
	scopePast
)

func (o *scopedWarnings) set(cause, message string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.state == scopePast {
		return
	}
	if message == "" {
		delete(o.own, cause)
	} else {
		o.own[cause] = message
	}
	if o.state == scopePresent {
		o.w.set(cause, message)
	}
}

// takeOver makes these the warnings in force; old, which may be nil, are over unless they stand here too.
func (o *scopedWarnings) takeOver(old *scopedWarnings) {
	past := map[string]string{}
	if old != nil {
		old.mu.Lock()
		old.state, past = scopePast, old.own
		old.mu.Unlock()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state = scopePresent
	for cause := range past {
		if o.own[cause] == "" {
			o.w.set(cause, "")
		}
	}
	for cause, message := range o.own {
		o.w.set(cause, message)
	}
}

// sharedDNS is a client that several generations use; the last one closes it.
type sharedDNS struct {
	*dns.Client
	servers []string
	timeout time.Duration
	users   atomic.Int32
	closed  func()
}

func (d *sharedDNS) leave() {
	if d.users.Add(-1) == 0 {
		_ = d.Close()
		d.closed()
	}
}

// backendNames resolves the names of backends by the servers of the present configuration.
type backendNames struct {
	client atomic.Pointer[dns.Client]
	mu     sync.Mutex
	past   []*dns.Client // look-ups may still be under way; guarded by mu
}

var _ dns.Resolver = (*backendNames)(nil)

// openNames makes the client that a configuration asks for.
func (s *server) openNames(cfg *config.Config) (*dns.Client, error) {
	return dns.New(dns.Options{Servers: nameServers(cfg), Timeout: cfg.DNS.Timeout.D(), Log: s.log})
}

func nameServers(cfg *config.Config) []string {
	if len(cfg.DNS.BackendServers) > 0 {
		return cfg.DNS.BackendServers
	}
	return cfg.DNS.Servers
}

// use replaces the client; the one before is closed when its last look-up must have ended.
func (n *backendNames) use(c *dns.Client) {
	old := n.client.Swap(c)
	if old == nil || old == c {
		return
	}
	n.mu.Lock()
	n.past = append(n.past, old)
	n.mu.Unlock()
	time.AfterFunc(time.Minute, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for i, c := range n.past {
			if c == old {
				_ = old.Close()
				n.past = append(n.past[:i], n.past[i+1:]...)
				return
			}
		}
	})
}

func (n *backendNames) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range append(n.past, n.client.Load()) {
		if c != nil {
			_ = c.Close()
		}
	}
	n.past = nil
}

// LookupTXT implements dns.Resolver.
func (n *backendNames) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return n.client.Load().LookupTXT(ctx, name)
}

// LookupMX implements dns.Resolver.
func (n *backendNames) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return n.client.Load().LookupMX(ctx, name)
}

// LookupIPAddr implements dns.Resolver.
func (n *backendNames) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return n.client.Load().LookupIPAddr(ctx, host)
}

// LookupNetIP implements dns.Resolver.
func (n *backendNames) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return n.client.Load().LookupNetIP(ctx, network, host)
}

// LookupAddr implements dns.Resolver.
func (n *backendNames) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	return n.client.Load().LookupAddr(ctx, addr)
}

// rcpts returns the recipients in force.
func (s *server) rcpts() *sharedRecipients { return s.present.Load().rcpts }
