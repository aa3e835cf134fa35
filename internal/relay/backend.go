package relay

import (
	"context"
	"fmt"
	"net"
	"time"

	"sekimori/internal/config"
)

// backend is a place that takes mail.
type backend interface {
	name() string
	// send hands a mail over. A backend that has not agreed to take it by before is given up; the answer to the final dot is
	// waited for until the time given, or for as long as late answers are when that is zero. ctx ends the waiting for a
	// connection; what was begun is not broken off by it.
	send(ctx context.Context, j *job, before, until time.Time) result
	// probe tries whether the backend answers.
	probe(ctx context.Context) error
	health() *breaker
	// offers returns what the backend can do; ok is false while that is not known.
	offers() (k caps, ok bool)
	counts() (busy, idle, waiting int)
	reap(now time.Time)
	shut(hard bool)
	wake(err error)
}

// fault says what an error of send means.
type fault uint8

const (
	noFault fault = iota
	unwell        // nothing was handed over: try another backend, or later
	busy          // no connection was free in time; nothing was handed over
	aborted       // we ended it ourselves before anything was handed over
	lost          // the connection broke behind the final dot: the backend may have the mail
)

// result of one try. With no fault either answers is complete, or flight has the mail.
type result struct {
	backend string
	answers []answer
	flight  *flight
	fault   fault
	hard    bool // the connection broke or stalled, rather than that the backend said something
	blame   bool // it speaks against the health of the backend
	err     error
}

// target is a backend's URL taken apart for the dialer.
type target struct {
	url     string
	scheme  string // smtp | lmtp | lmtp+unix | maildir
	network string // tcp | unix
	host    string // name or address literal without brackets
	port    string
	path    string
}

func parseTarget(raw string) (target, error) {
	u, err := config.ParseBackend(raw)
	if err != nil {
		return target{}, err
	}
	t := target{url: u.String(), scheme: u.Scheme, network: "tcp", path: u.Path}
	if u.Path != "" {
		t.network = "unix"
		return t, nil
	}
	t.host, t.port, err = net.SplitHostPort(u.Addr)
	return t, err
}

// makeBackend makes what the configuration describes. Errors are those of the configuration.
func (r *Relay) makeBackend(c *config.Config, b config.Backend) (backend, error) {
	t, err := parseTarget(b.URL)
	if err != nil {
		return nil, err
	}
	if t.scheme == "maildir" {
		return newMaildir(t, hostname(c)), nil
	}
	most := b.MaxConnections
	if most <= 0 {
		most = 15
	}
	be := &smtpBackend{
		target: t, hello: hostname(c), late: late(c), conf: b, tell: clientModeOf(b.Client),
		dialer: dialer{resolver: r.o.Resolver, dial: r.o.Dial},
		pool:   newPool(most), count: r.Counters, log: r.o.Log, warn: r.o.Warn,
	}
	be.auth.Store(newAuthenticator(b.Auth, t.network == "unix"))
	pol, err := newTLSPolicy(b.TLS, t.host)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", t.url, err)
	}
	be.tls.Store(&pol)
	return be, nil
}
