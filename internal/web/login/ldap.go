package login

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/recipients"
)

// ErrDirectory says that the directory could not be asked: it says nothing about the password.
var ErrDirectory = errors.New("login: the directory cannot be asked")

const (
	recheck    = 5 * time.Minute  // after so long it is asked again whether somebody has the role still
	retryAfter = 30 * time.Second // after so long a directory that was away is asked again for a session
	maxSeen    = 10_000           // sessions' accounts that are remembered
)

// accounts is a directory; recipients.Staff does it.
type accounts interface {
	Find(ctx context.Context, name string, insist bool) (recipients.StaffMember, error)
	Bind(ctx context.Context, dn, password string) error
}

// LDAP is a directory by whose passwords administrators sign in. Safe for concurrent use.
type LDAP struct {
	o    LDAPOptions
	open func(config.ConsoleLDAP, config.LDAP) (accounts, error)

	mu   sync.Mutex
	src  config.LDAP // that of which dir was made
	dir  accounts
	seen map[string]*seen
}

// LDAPOptions is what NewLDAP needs.
type LDAPOptions struct {
	Config func() *config.Config // as it is now; [console.ldap] in it is enabled
	Deps   recipients.Deps       // with Log and Now
}

// seen is what was last heard of somebody who has a session.
type seen struct {
	role   string    // "": none
	sure   time.Time // when the directory said so
	tried  time.Time // when it was asked last
	asking bool
}

// NewLDAP connects to nothing yet. An error says what is wrong with the configuration.
func NewLDAP(o LDAPOptions) (*LDAP, error) {
	l := &LDAP{o: o, seen: map[string]*seen{}}
	l.open = func(c config.ConsoleLDAP, src config.LDAP) (accounts, error) {
		return recipients.NewStaff(c, src, o.Deps)
	}
	_, err := l.accounts()
	return l, err
}

// accounts is the directory of the configuration that is in force: a reload may have changed how it is reached.
func (l *LDAP) accounts() (accounts, error) {
	cfg := l.o.Config()
	src := cfg.LDAP[cfg.Console.LDAP.Source]
	if src == nil {
		return nil, fmt.Errorf("there is no [ldap.%s]", cfg.Console.LDAP.Source)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dir != nil && reflect.DeepEqual(l.src, *src) {
		return l.dir, nil
	}
	dir, err := l.open(cfg.Console.LDAP, *src)
	if err != nil {
		return nil, err
	}
	l.src, l.dir = *src, dir
	return dir, nil
}

// Login looks for the name and its role, and tries the password of those only who have one: the pages are no place to try the passwords
// of everybody in the directory, or to lock their accounts. ErrRefused, or an error that is ErrDirectory.
func (l *LDAP) Login(ctx context.Context, name, password string) (Account, error) {
	if password == "" {
		return Account{}, ErrRefused
	}
	dir, err := l.accounts()
	if err != nil {
		return Account{}, fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.Config().Console.LDAP.Timeout.D())
	defer cancel()
	who, err := dir.Find(ctx, name, true)
	if err != nil && !errors.Is(err, recipients.ErrNotStaff) {
		return Account{}, fmt.Errorf("%w: %w", ErrDirectory, err)
	}
	bindErr := dir.Bind(ctx, who.DN, password)
	switch {
	case bindErr != nil && !errors.Is(bindErr, recipients.ErrPassword):
		return Account{}, fmt.Errorf("%w: %w", ErrDirectory, bindErr)
	case err != nil:
		return Account{}, fmt.Errorf("%w: %w", ErrRefused, err)
	case bindErr != nil:
		return Account{}, fmt.Errorf("%w: %s: %w", ErrRefused, who.DN, bindErr)
	}
	l.hear(who.Name, who.Role)
	return Account{Name: who.Name, Role: who.Role, Via: "ldap", Subject: who.DN}, nil
}

// Still reports whether a name has the role still. The directory is asked every five minutes; while it cannot be, what it said last
// counts for session_grace. begun is when the session was begun, which the directory had to do with.
func (l *LDAP) Still(ctx context.Context, name, role string, begun time.Time) bool {
	s, ask := l.due(name, role, begun)
	if ask {
		s = l.ask(ctx, name, s)
	}
	cfg := l.o.Config()
	return s.role == role && l.o.Deps.Now().Sub(s.sure) < recheck+cfg.Console.LDAP.SessionGrace.D()
}

// due returns what is known, and whether it is for the caller to ask.
func (l *LDAP) due(name, role string, begun time.Time) (seen, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Deps.Now()
	s := l.seen[name]
	if s == nil {
		s = &seen{role: role, sure: begun}
		l.remember(name, s)
	} else if begun.After(s.sure) { // signed in since, on another host
		s.role, s.sure = role, begun
	}
	if s.asking || now.Sub(s.sure) < recheck || now.Sub(s.tried) < retryAfter {
		return *s, false
	}
	s.asking, s.tried = true, now
	return *s, true
}

func (l *LDAP) ask(ctx context.Context, name string, old seen) seen {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.o.Config().Console.LDAP.Timeout.D())
	defer cancel()
	dir, err := l.accounts()
	var who recipients.StaffMember
	if err == nil {
		who, err = dir.Find(ctx, name, false)
	}
	switch {
	case err == nil:
	case errors.Is(err, recipients.ErrNotStaff):
		l.o.Deps.Log.Warn("console: somebody who is signed in may not any more", "name", name, "why", err)
	default:
		l.o.Deps.Log.Warn("console: the directory cannot be asked whether somebody has a role still", "name", name, "sure", old.sure, "err", err)
		l.mu.Lock()
		defer l.mu.Unlock()
		if s := l.seen[name]; s != nil {
			s.asking = false
		}
		return old
	}
	return l.hear(name, who.Role)
}

// hear notes what the directory says of a name.
func (l *LDAP) hear(name, role string) seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Deps.Now()
	s := &seen{role: role, sure: now, tried: now}
	l.remember(name, s)
	return *s
}

// remember forgets whom nobody asked about lately when there are too many. The caller holds the lock.
func (l *LDAP) remember(name string, s *seen) {
	if len(l.seen) >= maxSeen {
		for n, x := range l.seen {
			if l.o.Deps.Now().Sub(x.sure) > recheck && !x.asking {
				delete(l.seen, n)
			}
		}
	}
	l.seen[name] = s
}
