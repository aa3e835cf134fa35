package recipients

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
)

const (
	groupsFresh = time.Minute // for how long it is known who is in which groups
	mostGroups  = 500         // that are named for one address
	mostPairs   = 2_000_000   // of a member and a group, over all
)

// reverseGroups says in which groups an address is. Safe for concurrent use.
type reverseGroups struct {
	making sync.Mutex // one makes it at a time, the others take what there is
	mu     sync.Mutex
	of     map[string][]string // Address.Key -> groups, sorted
	until  time.Time
}

// Groups returns the addresses of the groups and aliases of ours that an address is in, directly or by way of others, sorted, at
// most 500; never nil. Only memory is asked, at most a minute old. ErrStale: the copy of its directory is too old to say.
func (d *Directory) Groups(a mail.Address) ([]string, error) {
	if dom := d.domains[a.Domain]; dom != nil && dom.place.status().Stale {
		return nil, fmt.Errorf("%s: %w", a.Domain, ErrStale)
	}
	r := &d.reverse
	now := d.o.Now()
	r.mu.Lock()
	of, until := r.of, r.until
	r.mu.Unlock()
	if of == nil {
		r.making.Lock()
		of = d.makeGroups(now)
		r.making.Unlock()
	} else if now.After(until) && r.making.TryLock() {
		of = d.makeGroups(now)
		r.making.Unlock()
	}
	boxes, _, _ := d.Whose(a)
	all := slices.Clone(of[a.Key()])
	for _, box := range boxes {
		if box.Key() != a.Key() && len(boxes) == 1 {
			all = append(all, of[box.Key()]...)
		}
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > mostGroups {
		all = all[:mostGroups]
	}
	return append([]string{}, all...), nil
}

// makeGroups follows every group there is. The lock for making is held.
func (d *Directory) makeGroups(now time.Time) map[string][]string {
	r := &d.reverse
	r.mu.Lock()
	if r.of != nil && !now.After(r.until) { // somebody else was faster
		defer r.mu.Unlock()
		return r.of
	}
	r.mu.Unlock()
	of, pairs := map[string][]string{}, 0
	for _, g := range d.groupAddresses() {
		set := d.members(g)
		for key := range set.keys {
			if pairs++; pairs > mostPairs {
				break
			}
			of[key] = append(of[key], g.Key())
		}
	}
	r.mu.Lock()
	r.of, r.until = of, now.Add(groupsFresh)
	r.mu.Unlock()
	return of
}

// grouped is a place that can name all that stands for others.
type grouped interface {
	// groups calls fn for every address, or name for every domain, that stands for others.
	groups(fn func(name string))
}

// groupAddresses are all addresses of ours that stand for others.
func (d *Directory) groupAddresses() []mail.Address {
	seen := map[string]bool{}
	var all []mail.Address
	for name, dom := range d.domains {
		add := func(group string) {
			local, domain, whole := strings.Cut(group, "@")
			if !whole {
				domain = name
			}
			a := mail.Address{Local: local, Domain: domain}
			if key := a.Key(); local != "" && domain == name && !seen[key] {
				seen[key] = true
				all = append(all, a)
			}
		}
		for _, f := range dom.aliases {
			f.groups(add)
		}
		if p, ok := dom.place.(grouped); ok {
			p.groups(add)
		}
	}
	return all
}

func (f *file) groups(fn func(string)) {
	l := f.loaded.Load()
	if l == nil {
		return
	}
	for name, rec := range l.names {
		if rec != nil && len(rec.targets) > 0 {
			fn(name)
		}
	}
}

func (p *unixPlace) groups(fn func(string)) {
	if p.aliases != nil {
		p.aliases.groups(fn)
	}
}

func (c *copied) groups(fn func(string)) {
	s := c.snap.Load()
	if s == nil {
		return
	}
	for i := range s.entries {
		if len(s.entries[i].Targets) > 0 {
			fn(s.entries[i].Address.String())
		}
	}
}
