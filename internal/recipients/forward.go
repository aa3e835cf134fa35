package recipients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"sekimori/internal/mail"
)

// Bounds of reading ~/.forward.
const (
	forwardFile       = ".forward"
	maxForward        = 64 << 10
	maxForwardNotes   = 5
	forwardReads      = 4                      // at one time: a home on a server that hangs must not hold up the others
	forwardPatience   = 250 * time.Millisecond // a question waits so long for a home; the account is known all the same
	forwardEvery      = 30 * time.Second       // between two looks for changes
	mostAccountsAsked = 16                     // accounts that are asked for on the way of one recipient
)

// Account is an account of the machine, as passwd(5) has it.
type Account struct {
	Name string
	UID  uint32
	Home string
}

// forward is what the ~/.forward of an account holds. The zero forward is that of an account without one.
type forward struct {
	targets []mail.Address
	notes   []string // what was passed over, and why it was not read; for people
	failed  bool     // it is there but could not be read, or its home could not be looked at
	mark    forwardMark
}

// forwardMark tells whether the file may have changed.
type forwardMark struct {
	mod  time.Time
	size int64
	ino  uint64
	uid  uint32
	mode fs.FileMode
}

// forwards reads the ~/.forward of accounts whose homes are beneath certain directories. Safe for concurrent use.
type forwards struct {
	homes []string
	slots chan struct{}
}

func newForwards(homes []string) *forwards {
	if len(homes) == 0 {
		return nil
	}
	return &forwards{homes, make(chan struct{}, forwardReads)}
}

// read reads the file of an account; old is returned when it has not changed. What cannot be read in time is no forward: mail for the
// account is taken in any case.
func (f *forwards) read(ctx context.Context, acc Account, old forward) forward {
	late := time.NewTimer(forwardPatience)
	defer late.Stop()
	failed := func() forward {
		return forward{failed: true, notes: []string{filepath.Join(acc.Home, forwardFile) + " is not followed: the home does not answer"}}
	}
	select {
	case f.slots <- struct{}{}:
	case <-late.C:
		return failed()
	case <-ctx.Done():
		return failed()
	}
	got := make(chan forward, 1)
	go func() {
		defer func() { <-f.slots }()
		got <- f.load(acc, old)
	}()
	select {
	case fwd := <-got:
		return fwd
	case <-late.C:
	case <-ctx.Done():
	}
	return failed()
}

// load reads the file. Nothing in it is executed, opened or included.
func (f *forwards) load(acc Account, old forward) forward {
	home := filepath.Clean(acc.Home)
	if !f.beneath(home) {
		return forward{notes: []string{fmt.Sprintf("the home of %s, %s, is not beneath recipients.forward_homes: its %s is not read", acc.Name, home, forwardFile)}}
	}
	path := filepath.Join(home, forwardFile)
	text, mark, err := readForward(path, acc.UID, old.mark)
	switch {
	case errors.Is(err, errSame):
		return old
	case errors.Is(err, fs.ErrNotExist):
		if _, err = os.Stat(home); err == nil {
			return forward{}
		}
		path = home
		fallthrough
	case err != nil:
		if e := (*fs.PathError)(nil); errors.As(err, &e) {
			err = e.Err
		}
		if errors.Is(err, syscall.ELOOP) {
			err = errors.New("is a symbolic link")
		}
		return forward{failed: true, notes: []string{fmt.Sprintf("%s is not followed: %v", path, err)}}
	}
	fwd := parseForward(path, text)
	fwd.mark = mark
	return fwd
}

func (f *forwards) beneath(home string) bool {
	if !filepath.IsAbs(home) {
		return false
	}
	for _, dir := range f.homes {
		if rel, err := filepath.Rel(dir, home); err == nil && rel != "." && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// unreadable says which of the directories with the homes cannot be looked at.
func (f *forwards) unreadable() []string {
	var list []string
	for _, dir := range f.homes {
		d, err := os.Open(dir)
		if err != nil {
			list = append(list, fmt.Sprintf("recipients.forward_homes: %v; a unit with ProtectHome=yes cannot look there, ProtectHome=read-only can", err))
			continue
		}
		d.Close()
	}
	return list
}

var errSame = errors.New("it has not changed")

// readForward reads a file that its owner, or root, alone can have written. What is waited for (a pipe) or has no end (a device) is
// opened without blocking, and not read.
func readForward(path string, uid uint32, old forwardMark) ([]byte, forwardMark, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, forwardMark{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, forwardMark{}, err
	}
	mark := forwardMark{mod: info.ModTime(), size: info.Size(), mode: info.Mode()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		mark.ino, mark.uid = st.Ino, st.Uid
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, mark, errors.New("is no regular file")
	case mark.uid != uid && mark.uid != 0:
		return nil, mark, errors.New("belongs neither to the account nor to root")
	case info.Mode().Perm()&0o022 != 0:
		return nil, mark, errors.New("others than its owner can write it")
	case mark == old:
		return nil, mark, errSame
	}
	text, err := io.ReadAll(io.LimitReader(f, maxForward+1))
	if err == nil && len(text) > maxForward {
		err = fmt.Errorf("is larger than %d octets", maxForward)
	}
	return text, mark, err
}

// parseForward reads addresses, names and \names as on the right side of an alias, one or several a line.
func parseForward(path string, text []byte) forward {
	p := &parser{name: path}
	r := &record{}
	var fwd forward
	more := 0
	note := func(n int, word, why string) {
		if len(fwd.notes) >= maxForwardNotes {
			more++
			return
		}
		if len(word) > 100 {
			word = word[:100] + "…"
		}
		fwd.notes = append(fwd.notes, fmt.Sprintf("%s:%d: %q %s", path, n, word, why))
	}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		n++
		for s := uncomment(strings.TrimRight(line, "\r\n")); ; {
			if s = strings.TrimLeft(s, ", \t"); s == "" {
				break
			}
			word, used := cutTarget(s)
			s = s[used:]
			switch lower := strings.ToLower(word); {
			case word == "":
			case word[0] == '|', word[0] == '/', strings.HasPrefix(lower, ":include:"), strings.HasPrefix(lower, "error:"), word[0] == '@':
				note(n, word, "is not an address; it is passed over")
			default:
				had := len(r.targets)
				err := p.target(word, r, 0)
				// A person's file speaks for no whole domain, however it is spelled.
				whole := slices.ContainsFunc(r.targets[had:], func(a mail.Address) bool { return a.Local == "" })
				if err != nil || whole {
					r.targets = r.targets[:had]
					note(n, word, "is not an address; it is passed over")
				}
			}
		}
	}
	if more > 0 {
		fwd.notes = append(fwd.notes, fmt.Sprintf("%s: %d more are not addresses", path, more))
	}
	fwd.targets = r.targets
	return fwd
}

// followAccounts asks for the accounts that a way ended at and memory does not have: their ~/.forward may lead on.
func (d *Directory) followAccounts(ctx context.Context, r *Resolution, m match) {
	tried := map[string]bool{}
	for len(tried) < mostAccountsAsked {
		more := false
		for _, a := range r.Mailboxes {
			dom := d.domains[a.Domain]
			if dom == nil || tried[a.Key()] || len(tried) >= mostAccountsAsked {
				continue
			}
			u, ok := dom.place.(*unixPlace)
			if !ok || u.forwards == nil {
				continue
			}
			if _, ok := dom.inMemory(a); ok {
				continue
			}
			tried[a.Key()] = true
			for _, v := range dom.variants(a) {
				if u.ask(ctx, v).result == Known {
					more = true
					break
				}
			}
		}
		if !more {
			return
		}
		r.Mailboxes, r.Via, r.Notes = nil, nil, nil
		d.follow(r, m.at, m.rec)
	}
}
