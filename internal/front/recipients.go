package front

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// recipients says which addresses are ours.
type recipients struct {
	domains map[string]*addressList // by name, lower case, A-labels
	lists   []*addressList
	head    string
	log     *slog.Logger
}

// addressList is the recipients of one [[domain]]: everyone, or those of a file.
type addressList struct {
	path  string // empty: any
	known atomic.Pointer[map[string]struct{}]
	stamp fileStamp
}

// fileStamp tells whether a file may have changed.
type fileStamp struct {
	mod  time.Time
	size int64
}

func stampOf(path string) (fileStamp, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{fi.ModTime(), fi.Size()}, nil
}

func newRecipients(domains []config.Domain, log *slog.Logger) (*recipients, error) {
	r := &recipients{domains: map[string]*addressList{}, log: log}
	var errs []error
	for _, d := range domains {
		list := &addressList{}
		kind, path, _ := strings.Cut(d.Recipients, ":")
		switch {
		case d.Recipients == "any" || d.Recipients == "":
		case kind == "file" && path != "":
			list.path = path
			if err := list.load(); err != nil {
				errs = append(errs, fmt.Errorf("recipients of %s: %w", strings.Join(d.Names, ", "), err))
			}
			r.lists = append(r.lists, list)
		default:
			errs = append(errs, fmt.Errorf("recipients of %s: %q is neither any nor file:PATH", strings.Join(d.Names, ", "), d.Recipients))
		}
		for _, name := range d.Names {
			ascii, err := mail.ParseDomain(name)
			if err != nil {
				errs = append(errs, fmt.Errorf("domain %q: %w", name, err))
				continue
			}
			if r.head == "" {
				r.head = ascii
			}
			r.domains[ascii] = list
		}
	}
	return r, errors.Join(errs...)
}

// first returns our first domain: where mail for the bare postmaster goes.
func (r *recipients) first(hostname string) string {
	if r.head == "" {
		return hostname
	}
	return r.head
}

// load reads the file: an address or @domain a line, # comments. It leaves the present list alone when the file does not
// read or a line is no address.
func (l *addressList) load() error {
	stamp, err := stampOf(l.path)
	if err != nil {
		return err
	}
	l.stamp = stamp // a file that does not load is complained of once, not every few seconds
	text, err := os.ReadFile(l.path)
	if err != nil {
		return err
	}
	known, err := parseAddressList(l.path, text)
	if err != nil {
		return err
	}
	l.known.Store(&known)
	return nil
}

func parseAddressList(name string, text []byte) (map[string]struct{}, error) {
	known := map[string]struct{}{}
	var errs []error
	sc := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		// A # inside of a local part is allowed: a comment begins the line or follows white space.
		if i := strings.Index(line, " #"); i >= 0 {
			line = strings.TrimSpace(line[:i])
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if domain, ok := strings.CutPrefix(line, "@"); ok {
			d, err := mail.ParseDomain(domain)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", name, n, err))
			}
			known["@"+d] = struct{}{}
			continue
		}
		a, err := mail.ParseAddress(line, true)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, n, err))
		}
		known[a.Key()] = struct{}{}
	}
	if err := sc.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", name, err))
	}
	return known, errors.Join(errs...)
}

// reload reads the files that have changed. One that does not load leaves its old list in force.
func (r *recipients) reload() {
	for _, l := range r.lists {
		stamp, err := stampOf(l.path)
		if err == nil && stamp == l.stamp {
			continue
		}
		if err != nil && l.stamp == (fileStamp{}) {
			continue // already said
		}
		if err := l.load(); err != nil {
			if os.IsNotExist(err) {
				l.stamp = fileStamp{}
			}
			r.log.Warn("recipients: the file does not load, the old list stays in force", "file", l.path, "err", err)
			continue
		}
		r.log.Info("recipients: reloaded", "file", l.path, "entries", len(*l.known.Load()))
	}
}

func (l *addressList) has(a mail.Address) bool {
	if l.path == "" {
		return true
	}
	known := *l.known.Load()
	if _, ok := known[a.Key()]; ok {
		return true
	}
	_, ok := known["@"+a.Domain]
	return ok
}

// resolve reads a recipient and says whether it is ours; otherwise the reply, and why in a word. bare says that it was
// the path <postmaster>.
func (r *recipients) resolve(to string, utf8, bare bool) (mail.Address, mail.Reply, string) {
	a, err := mail.ParseAddress(to, utf8)
	if err != nil {
		return a, mail.Permanent(553, 1, 3, err.Error()), "address"
	}
	if bare {
		return a, mail.Reply{}, ""
	}
	list, ok := r.domains[a.Domain]
	if !ok {
		return a, mail.Permanent(550, 7, 1, "relaying denied"), "relay"
	}
	if !alwaysOpen(a) && !list.has(a) {
		return a, mail.Permanent(550, 1, 1, "no such user here"), "unknown_user"
	}
	return a, mail.Reply{}, ""
}

// alwaysOpen reports whether an address of ours takes mail from everyone (RFC 5321 section 4.5.1, RFC 2142).
func alwaysOpen(a mail.Address) bool {
	local := strings.ToLower(a.Local) // not EqualFold, which takes a long s for an s
	return local == "postmaster" || local == "abuse"
}
