package recipients

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
)

const (
	systemAliases = "/etc/aliases"
	passwdFile    = "/etc/passwd"
	accountFor    = 10 * time.Minute // an account that was found is believed for so long
	mostAccounts  = 100_000
)

// unixPlace has the accounts of this machine, through the name service, so that those of an AD or LDAP that the machine has
// joined (sssd, winbind) count as well; and /etc/aliases. A ~/.forward changes nothing: the account is known, and the mail
// is its owner's.
type unixPlace struct {
	aliases *file
	lookup  func(ctx context.Context, name string) (bool, error)
	local   func(name string) bool // it stands in /etc/passwd
	live    *live
	now     func() time.Time

	mu     sync.Mutex
	found  map[string]time.Time // account -> when
	canary string               // an account that the name service had and /etc/passwd has not
	err    error
}

func (d *Directory) newUnix() (place, error) {
	r := d.o.Config.Recipients
	p := &unixPlace{
		aliases: d.newFile(systemAliases, true), lookup: d.o.Accounts, local: inPasswd, now: d.o.Now, found: map[string]time.Time{},
		live: newLive(max(r.Lookups, 1), or(r.LookupTimeout.D(), 3*time.Second), d.o.unknownFor(), d.o.Now),
	}
	return p, p.aliases.load()
}

func (p *unixPlace) label() string { return "unix" }
func (p *unixPlace) tempo() *pace  { return &p.live.pace }
func (p *unixPlace) close() error  { return nil }

func (p *unixPlace) known(a mail.Address) (record, bool) {
	if rec, ok := p.aliases.get(a); ok || a.Local == "" {
		return rec, ok
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.found[strings.ToLower(a.Local)]
	return record{}, ok && p.now().Sub(at) < accountFor
}

func (p *unixPlace) ask(ctx context.Context, a mail.Address) verdict {
	name := strings.ToLower(a.Local)
	if p.live.unknown(name) {
		return verdict{result: Unknown}
	}
	got, err := p.live.ask(ctx, name, func(ctx context.Context) ([]Entry, error) {
		has, err := p.account(ctx, name)
		if !has {
			return nil, err
		}
		return []Entry{{Address: a}}, err
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err = err; err != nil {
		return verdict{result: NotNow, why: "unix: " + err.Error(), asked: true}
	}
	if len(got) == 0 {
		return verdict{result: Unknown, asked: true}
	}
	if len(p.found) >= mostAccounts {
		clear(p.found)
	}
	p.found[name] = p.now()
	return verdict{result: Known, asked: true}
}

// account asks the name service. One whose daemon is stopped says "not found" of everybody who is not in /etc/passwd, so
// that is believed only while it still has somebody whom it had before.
func (p *unixPlace) account(ctx context.Context, name string) (bool, error) {
	has, err := p.lookup(ctx, name)
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	canary := p.canary
	p.mu.Unlock()
	if has {
		if canary == "" && !p.local(name) {
			p.mu.Lock()
			p.canary = name
			p.mu.Unlock()
		}
		return true, nil
	}
	if canary == "" || canary == name {
		return false, p.forget(canary, name)
	}
	still, err := p.lookup(ctx, canary)
	if err == nil && !still {
		err = fmt.Errorf("the name service does not have %s any more either; is sssd or winbind stopped?", canary)
	}
	return false, err
}

// forget drops a canary that was itself asked for: it may have left, and the next account that is found takes its place.
func (p *unixPlace) forget(canary, name string) error {
	if canary == name && canary != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.canary = ""
		return fmt.Errorf("the name service does not have %s any more", name)
	}
	return nil
}

func (p *unixPlace) tick(context.Context) {}

// sync forgets what the name service said, so that it is asked anew.
func (p *unixPlace) sync(context.Context, bool) error {
	p.aliases.reload()
	p.live.forget()
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.found)
	return p.err
}

func (p *unixPlace) status() Status {
	s := p.aliases.status()
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Entries += len(p.found)
	if p.err != nil {
		s.Error = p.err.Error()
	}
	return s
}

// inPasswd reports whether an account is in /etc/passwd.
func inPasswd(name string) bool {
	f, err := os.Open(passwdFile)
	if err != nil {
		return true
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if user, _, _ := strings.Cut(sc.Text(), ":"); strings.EqualFold(user, name) {
			return true
		}
	}
	return false
}

// getent asks the system's name service for an account: a program that is linked statically cannot load the modules of
// nsswitch.conf(5) itself. getent ends with 2 when there is no such account, and that alone means so.
func getent(ctx context.Context, name string) (bool, error) {
	cmd := exec.CommandContext(ctx, "getent", "passwd", "--", name)
	cmd.WaitDelay = time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err == nil:
		user, _, _ := bytes.Cut(out, []byte(":"))
		// A number, with a sign or without, is looked up as a user ID: <0@example.jp> and <+0@example.jp> would be root.
		return strings.Trim(strings.TrimLeft(name, "+-"), "0123456789") != "" || string(user) == name, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() == 2:
		return false, nil
	case errors.As(err, &exit):
		return false, fmt.Errorf("getent passwd ended with %s", exit.ProcessState)
	}
	return false, fmt.Errorf("the accounts cannot be looked up: %w", err)
}
