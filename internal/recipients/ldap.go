package recipients

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// ldapSource reads recipients from Active Directory or another directory (RFC 4511). The objects of the last Fetch stay in
// memory, because what a group stands for changes with its members, of which the group's own change time says nothing.
type ldapSource struct {
	cfg     config.LDAP
	log     *slog.Logger
	now     func() time.Time
	servers *ldapServers
	lookups chan struct{} // limits the questions that are asked at once

	fetching chan struct{} // holds one token: one Fetch at a time
	tree     treeHolder
}

// maxLookups is how many questions of RCPT are asked of a directory at once; each has a connection of its own.
const maxLookups = 8

// NewLDAP makes a source of [ldap.NAME]. It connects to nothing: a directory that is away at the start comes back.
func NewLDAP(cfg config.LDAP, deps Deps) (Source, error) {
	deps = deps.filled()
	servers, err := newServers(cfg, deps)
	if err != nil {
		return nil, err
	}
	return &ldapSource{
		cfg: cfg, log: deps.Log.With("ldap", cfg.Name), now: deps.Now, servers: servers,
		lookups: make(chan struct{}, maxLookups), fetching: make(chan struct{}, 1),
	}, nil
}

// Close ends the connections that wait for the next question.
func (s *ldapSource) Close() error {
	s.servers.close()
	return nil
}

// Fetch brings everything: when mark is empty or not that of the last Fetch, when the directory's server is another one, when
// full_every has passed, and at the first Fetch of a process. A server that fails half-way is replaced by the next; what it
// had sent is dropped.
func (s *ldapSource) Fetch(ctx context.Context, mark string) (Batch, error) {
	select {
	case s.fetching <- struct{}{}:
		defer func() { <-s.fetching }()
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	}
	var errs []error
	for range s.cfg.URLs {
		c, err := s.servers.connect(ctx, true)
		if err != nil {
			return Batch{}, s.failed(errors.Join(append(errs, err)...))
		}
		b, err := s.fetchFrom(ctx, c, mark)
		s.servers.done(c, err)
		if err == nil {
			return b, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", c.url, explainLDAP(err)))
		if ctx.Err() != nil || !isAway(err) {
			break
		}
	}
	return Batch{}, s.failed(errors.Join(errs...))
}

func (s *ldapSource) failed(err error) error { return fmt.Errorf("ldap %s: %w", s.cfg.Name, err) }

func (s *ldapSource) fetchFrom(ctx context.Context, c *ldapConn, mark string) (Batch, error) {
	if err := c.readRoot(ctx); err != nil {
		return Batch{}, err
	}
	run := &ldapRun{src: s, c: c, schema: schemaOf(s.cfg, c.root)}
	old := s.tree.get()
	last, known := parseMark(mark)
	switch {
	case !known || old == nil || old.mark != mark:
	case last.Server != c.root.server():
		s.log.Info("another server answers: everything is read again", "server", c.url)
	case s.now().Sub(last.Full) >= s.cfg.FullEvery.D():
	case c.root.usn > 0 && c.root.usn < last.USN:
		s.log.Warn("the server's change numbers went back, as after a restore: everything is read again", "server", c.url)
	default:
		t, b, err := run.changes(ctx, old, last)
		if err == nil || !errors.Is(err, errNeedsFull) {
			return s.keep(t, b, err)
		}
		s.log.Info("the changes cannot be told one by one: everything is read again", "why", err)
	}
	t, b, err := run.full(ctx)
	return s.keep(t, b, err)
}

func (s *ldapSource) keep(t *tree, b Batch, err error) (Batch, error) {
	if err != nil {
		return Batch{}, err
	}
	s.tree.set(t)
	return b, nil
}

// Lookup asks the directory for one address. What a group stands for is told from the objects of the last Fetch and, where
// they do not suffice, by a bounded number of further questions; a group with more members than that comes without Targets
// until the next Fetch.
func (s *ldapSource) Lookup(ctx context.Context, a mail.Address) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.LookupTimeout.D())
	defer cancel()
	select {
	case s.lookups <- struct{}{}:
		defer func() { <-s.lookups }()
	case <-ctx.Done():
		return nil, s.failed(fmt.Errorf("%d questions wait for the directory: %w", maxLookups, ctx.Err()))
	}
	for {
		c, err := s.servers.connect(ctx, false)
		if err != nil {
			return nil, s.failed(err)
		}
		run := &ldapRun{src: s, c: c, schema: schemaOf(s.cfg, c.root)}
		entries, err := run.lookup(ctx, a)
		s.servers.done(c, err)
		if err == nil {
			return entries, nil
		}
		// A connection that waited may have been closed by the server meanwhile; the question can be asked again.
		if c.reused && isAway(err) && ctx.Err() == nil {
			continue
		}
		return nil, s.failed(fmt.Errorf("%s: %w", c.url, explainLDAP(err)))
	}
}
