package recipients

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
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
// joined (sssd, winbind) count as well; /etc/aliases; and, where it is wanted, the ~/.forward of each account.
type unixPlace struct {
	aliases *file
	lookup  func(ctx context.Context, name string) (*Account, error)
	local   func(name string) bool // it stands in /etc/passwd
	live    *live
	now     func() time.Time

	forwards *forwards // nil: ~/.forward is not read
	looked   time.Time // when changes of them were looked for; of tick alone

	mu     sync.Mutex
	found  map[string]foundAccount
	canary string // an account that the name service had and /etc/passwd has not
	err    error
	closed []string // directories of homes that cannot be looked at
}

// foundAccount is an account that the name service had.
type foundAccount struct {
	Account
	at      time.Time
	forward forward
}

// record is what stands for the account: itself, and where its mail goes as well.
func (f foundAccount) record() record {
	return record{targets: f.forward.targets, keeps: true, notes: f.forward.notes}
}

func (d *Directory) newUnix() (place, error) {
	r := d.o.Config.Recipients
	p := &unixPlace{
		aliases: d.newFile(systemAliases, true), lookup: d.o.Accounts, local: inPasswd, now: d.o.Now, found: map[string]foundAccount{},
		forwards: newForwards(r.ForwardHomes),
		live:     newLive(max(r.Lookups, 1), or(r.LookupTimeout.D(), 3*time.Second), d.o.unknownFor(), d.o.Now),
	}
	if p.forwards != nil {
		p.closed = p.forwards.unreadable()
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
	acc, ok := p.found[strings.ToLower(a.Local)]
	if !ok || p.now().Sub(acc.at) >= accountFor {
		return record{}, false
	}
	return acc.record(), true
}

func (p *unixPlace) ask(ctx context.Context, a mail.Address) verdict {
	name := strings.ToLower(a.Local)
	if p.live.unknown(name) {
		return verdict{result: Unknown}
	}
	got, err := p.live.ask(ctx, name, func(ctx context.Context) ([]Entry, error) {
		acc, err := p.account(ctx, name)
		if acc == nil {
			return nil, err
		}
		p.keep(ctx, name, *acc)
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
	return verdict{result: Known, asked: true, rec: p.found[name].record()}
}

// keep remembers an account with its ~/.forward.
func (p *unixPlace) keep(ctx context.Context, name string, acc Account) {
	f := foundAccount{Account: acc, at: p.now()}
	if p.forwards != nil {
		p.mu.Lock()
		old := p.found[name].forward
		p.mu.Unlock()
		f.forward = p.forwards.read(ctx, acc, old)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.found) >= mostAccounts {
		clear(p.found)
	}
	p.found[name] = f
}

// account asks the name service. One whose daemon is stopped says "not found" of everybody who is not in /etc/passwd, so
// that is believed only while it still has somebody whom it had before.
func (p *unixPlace) account(ctx context.Context, name string) (*Account, error) {
	acc, err := p.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	canary := p.canary
	p.mu.Unlock()
	if acc != nil {
		if canary == "" && !p.local(name) {
			p.mu.Lock()
			p.canary = name
			p.mu.Unlock()
		}
		return acc, nil
	}
	if canary == "" || canary == name {
		return nil, p.forget(canary, name)
	}
	still, err := p.lookup(ctx, canary)
	if err == nil && still == nil {
		err = fmt.Errorf("the name service does not have %s any more either; is sssd or winbind stopped?", canary)
	}
	return nil, err
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

// tick looks for changes of every ~/.forward of an account that is remembered.
func (p *unixPlace) tick(ctx context.Context) {
	if p.forwards == nil || p.now().Sub(p.looked) < forwardEvery {
		return
	}
	p.looked = p.now()
	closed := p.forwards.unreadable()
	p.mu.Lock()
	p.closed = closed
	list := maps.Clone(p.found)
	p.mu.Unlock()
	for name, acc := range list {
		if ctx.Err() != nil {
			return
		}
		fwd := p.forwards.read(ctx, acc.Account, acc.forward)
		p.mu.Lock()
		switch now, ok := p.found[name]; {
		case !ok:
		case p.now().Sub(now.at) >= accountFor:
			delete(p.found, name)
		case now.at.Equal(acc.at):
			now.forward = fwd
			p.found[name] = now
		}
		p.mu.Unlock()
	}
}

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
	s.Forward = slices.Clone(p.closed)
	for _, name := range slices.Sorted(maps.Keys(p.found)) {
		if f := p.found[name].forward; f.failed && len(s.Forward) < maxProblems {
			s.Forward = append(s.Forward, f.notes...)
		}
	}
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
func getent(ctx context.Context, name string) (*Account, error) {
	cmd := exec.CommandContext(ctx, "getent", "passwd", "--", name)
	cmd.WaitDelay = time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return accountOf(name, string(out)), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &exit) && exit.ExitCode() == 2:
		return nil, nil //nolint:nilnil // there is no such account
	case errors.As(err, &exit):
		return nil, fmt.Errorf("getent passwd ended with %s", exit.ProcessState)
	}
	return nil, fmt.Errorf("the accounts cannot be looked up: %w", err)
}

// accountOf reads a line of passwd(5) that is the answer to a name. A number, with a sign or without, is looked up as a user ID:
// <0@example.jp> and <+0@example.jp> would be root.
func accountOf(name, line string) *Account {
	line, _, _ = strings.Cut(line, "\n")
	fields := strings.Split(line, ":")
	if strings.Trim(strings.TrimLeft(name, "+-"), "0123456789") == "" && fields[0] != name {
		return nil
	}
	acc := &Account{Name: fields[0]}
	if len(fields) >= 6 {
		if uid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			acc.UID, acc.Home = uint32(uid), fields[5]
		}
	}
	return acc
}
