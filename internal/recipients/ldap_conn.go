package recipients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"sekimori/internal/config"
)

// deadFor is how long a server that failed is passed over.
const deadFor = 30 * time.Second

// idleFor is how long a connection waits for the next question; directories close idle ones after minutes.
const idleFor = time.Minute

// ldapServers are the servers of one directory, in the order of the configuration, and the connections that wait.
type ldapServers struct {
	cfg  config.LDAP
	deps Deps
	tls  *tls.Config

	mu     sync.Mutex
	dead   map[string]time.Time // until when a server is passed over
	why    error                // of the last failure
	idle   []*ldapConn
	closed bool
}

// ldapConn is one bound connection. It is used by one goroutine at a time, and never again after an error.
type ldapConn struct {
	*ldap.Conn
	raw    net.Conn
	url    string
	root   rootDSE
	reused bool
	since  time.Time // waits since

	timeout   time.Duration // of one answer
	pageSize  uint32
	referrals map[string]bool // of this run
}

func newServers(cfg config.LDAP, deps Deps) (*ldapServers, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.TLSName}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ldap %s: ca_file: %w", cfg.Name, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ldap %s: ca_file: %s holds no certificate in PEM", cfg.Name, cfg.CAFile)
		}
	}
	if cfg.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("ldap %s: cert_file: %w", cfg.Name, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return &ldapServers{cfg: cfg, deps: deps, tls: t, dead: map[string]time.Time{}}, nil
}

// connect returns a connection that waits, or a new one to the first server that takes it. A Fetch insists: it has a new
// connection, and tries at last even the servers that failed a moment ago.
func (s *ldapServers) connect(ctx context.Context, insist bool) (*ldapConn, error) {
	if !insist {
		if c := s.takeIdle(); c != nil {
			return c, nil
		}
	}
	urls, err := s.candidates(insist)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, u := range urls {
		c, err := s.open(ctx, u)
		if err == nil {
			s.alive(u)
			return c, nil
		}
		err = fmt.Errorf("%s: %w", u, explainLDAP(err))
		if !errors.Is(ctx.Err(), context.Canceled) {
			s.failed(u, err)
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (s *ldapServers) takeIdle() *ldapConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.idle); n > 0; n = len(s.idle) {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		if !c.IsClosing() && s.deps.Now().Sub(c.since) < idleFor {
			c.reused, c.referrals = true, map[string]bool{}
			return c
		}
		c.end()
	}
	return nil
}

func (s *ldapServers) candidates(insist bool) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Now()
	var alive, rest []string
	for _, u := range s.cfg.URLs {
		if now.Before(s.dead[u]) {
			rest = append(rest, u)
		} else {
			alive = append(alive, u)
		}
	}
	if len(alive) == 0 && !insist {
		return nil, fmt.Errorf("no server answered a moment ago: %w", s.why)
	}
	if insist {
		alive = append(alive, rest...)
	}
	return alive, nil
}

func (s *ldapServers) failed(u string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.deps.Now().Before(s.dead[u]) {
		s.deps.Log.Warn("a directory server does not answer; it is passed over for a while", "server", u, "error", why)
	}
	s.dead[u], s.why = s.deps.Now().Add(deadFor), why
}

func (s *ldapServers) alive(u string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dead, u)
}

// done gives a connection back. After an error it is closed; a server that did not answer is passed over for a while.
func (s *ldapServers) done(c *ldapConn, err error) {
	if err != nil {
		c.end()
		if isAway(err) && !c.reused && !errors.Is(err, context.Canceled) {
			s.failed(c.url, err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxLookups {
		c.end()
		return
	}
	c.since = s.deps.Now()
	s.idle = append(s.idle, c)
}

func (s *ldapServers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.idle {
		c.end()
	}
	s.idle = nil
}

// end closes the socket first: the library's Close waits for a write that may hang.
func (c *ldapConn) end() {
	c.raw.Close()
	_ = c.Close()
}

// open connects, encrypts, binds and reads the root DSE within connect_timeout.
func (s *ldapServers) open(ctx context.Context, rawURL string) (*ldapConn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ConnectTimeout.D())
	defer cancel()
	c, err := s.dial(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, c); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// dial connects and encrypts. Nobody is bound to the connection yet.
func (s *ldapServers) dial(ctx context.Context, rawURL string) (*ldapConn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	raw, err := s.deps.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, away{err}
	}
	c := &ldapConn{raw: raw, url: rawURL, timeout: s.cfg.Timeout.D(), pageSize: uint32(s.cfg.PageSize), referrals: map[string]bool{}}
	t := s.tls.Clone()
	if t.ServerName == "" {
		t.ServerName = u.Hostname()
	}
	if u.Scheme == "ldaps" {
		secured := tls.Client(raw, t)
		if err := secured.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, away{fmt.Errorf("TLS: %w", err)}
		}
		c.Conn = ldap.NewConn(secured, true)
	} else {
		c.Conn = ldap.NewConn(raw, false)
	}
	c.Start()
	if u.Scheme == "ldap" && s.cfg.StartTLS {
		if err := c.do(ctx, func() error { return c.StartTLS(t) }); err != nil {
			c.end()
			return nil, fmt.Errorf("STARTTLS: %w", err)
		}
	}
	return c, nil
}

func (s *ldapServers) prepare(ctx context.Context, c *ldapConn) error {
	if s.cfg.BindDN != "" {
		err := c.do(ctx, func() error { return c.Bind(s.cfg.BindDN, string(s.cfg.Password)) })
		if err != nil {
			return err
		}
	}
	return c.readRoot(ctx)
}

// do runs one request and waits for its answer at most the time-out. The library knows no contexts: what ends a wait is that
// the socket is closed under it.
func (c *ldapConn) do(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	err := f()
	if !stop() {
		return away{fmt.Errorf("no answer in time: %w", ctx.Err())}
	}
	return err
}
