package recipients

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"sekimori/internal/mail"
)

const (
	memberFresh = 30 * time.Second // for how long the members of a group are kept
	maxMembers  = 100_000
)

// Errors of Member, for errors.Is.
var (
	ErrNoGroup = errors.New("there is no such group in the directory")
	ErrStale   = errors.New("the copy of the directory is too old")
)

// groupCache keeps the members of groups that rules ask about.
type groupCache struct {
	mu   sync.Mutex
	sets map[string]memberSet // by Address.Key
}

type memberSet struct {
	keys  map[string]struct{} // of all addresses on the way, groups in the group included
	err   error
	until time.Time
}

// Member reports whether an address is in a group or alias of ours, directly or by way of other groups, or whether a mailbox that it
// stands for is. Only memory is asked. An error means that nobody can say; ErrNoGroup and ErrStale say why.
func (d *Directory) Member(group, a mail.Address) (bool, error) {
	now := d.o.Now()
	d.groups.mu.Lock()
	set, ok := d.groups.sets[group.Key()]
	d.groups.mu.Unlock()
	if !ok || now.After(set.until) {
		set = d.members(group)
		set.until = now.Add(memberFresh)
		d.groups.mu.Lock()
		if d.groups.sets == nil {
			d.groups.sets = map[string]memberSet{}
		}
		d.groups.sets[group.Key()] = set
		d.groups.mu.Unlock()
	}
	if set.err != nil {
		return false, set.err
	}
	if _, in := set.keys[a.Key()]; in {
		return true, nil
	}
	boxes, _, ours := d.Whose(a)
	for _, box := range boxes {
		if _, in := set.keys[box.Key()]; in && ours {
			return true, nil
		}
	}
	return false, nil
}

// members follows a group as far as memory goes.
func (d *Directory) members(group mail.Address) memberSet {
	dom := d.domains[group.Domain]
	if dom == nil {
		return memberSet{err: fmt.Errorf("%s: %w", group, ErrNoGroup)}
	}
	if st := dom.place.status(); st.Stale {
		return memberSet{err: fmt.Errorf("%s: %w", group, ErrStale)}
	}
	first, _ := d.next(group)
	if len(first.rec.targets) == 0 {
		return memberSet{err: fmt.Errorf("%s: %w", group, ErrNoGroup)}
	}
	set := memberSet{keys: map[string]struct{}{}}
	for todo := []step{first}; len(todo) > 0 && len(set.keys) < maxMembers; {
		s := todo[0]
		todo = todo[1:]
		if !s.rec.owner.IsNull() {
			set.keys[s.rec.owner.Key()] = struct{}{}
		}
		for _, t := range s.rec.targets {
			t = complete(t, s.at)
			if _, seen := set.keys[t.Key()]; seen {
				continue
			}
			set.keys[t.Key()] = struct{}{}
			if n, ours := d.next(t); ours {
				todo = append(todo, n)
			}
		}
	}
	return set
}
