package recipients

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// changes reads what changed since the last Fetch, whose objects old holds.
func (r *ldapRun) changes(ctx context.Context, old *tree, last ldapMark) (*tree, Batch, error) {
	var changed []*object
	var gone []string
	var err error
	if r.schema.ad && last.USN > 0 {
		changed, gone, err = r.changedByUSN(ctx, old, last.USN+1)
	} else {
		changed, gone, err = r.changedByTime(ctx, old, last.Time)
	}
	if err != nil {
		return nil, Batch{}, err
	}
	// The guard against a list that has lost most of its entries looks at whole lists.
	if len(gone)*2 > len(old.byID) {
		return nil, Batch{}, fmt.Errorf("%w: %d of %d objects are gone", errNeedsFull, len(gone), len(old.byID))
	}
	next := last
	next.USN = r.c.root.usn
	next.Number++
	t := old.clone()
	touched := map[string]bool{}
	for _, id := range gone {
		touched[old.byID[id].dn] = true
		t.remove(id)
	}
	for _, o := range changed {
		next.Time = max(next.Time, o.modified)
		was := old.byID[o.id]
		if was != nil {
			touched[was.dn] = true
		}
		touched[o.dn] = true
		t.put(o)
	}
	if err := r.findMoved(ctx, old, t, changed); err != nil {
		return nil, Batch{}, err
	}
	r.references()
	t.mark = next.String()
	b := difference(old, t, touched)
	b.Mark, b.Problems = t.mark, r.problems.all()
	return t, b, nil
}

// difference makes the Batch of the objects that were touched and of the groups around them, as far as their entries differ.
func difference(old, t *tree, touched map[string]bool) Batch {
	var b Batch
	if len(touched) == 0 {
		return b
	}
	old.containing(touched)
	t.containing(touched)
	for dn := range touched {
		if o := old.byDN[dn]; o != nil && len(o.addrs) > 0 {
			if now := t.byID[o.id]; now == nil || len(now.addrs) == 0 {
				b.Gone = append(b.Gone, o.id)
			}
		}
		o := t.byDN[dn]
		if o == nil || len(o.addrs) == 0 {
			continue
		}
		entries := t.entries(o)
		if was := old.byID[o.id]; was == nil || !reflect.DeepEqual(old.entries(was), entries) {
			b.Entries = append(b.Entries, entries...)
		}
	}
	slices.Sort(b.Gone)
	slices.SortStableFunc(b.Entries, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return b
}

// changedByUSN asks Active Directory for what has a change number from usn on. Whoever changed and is no longer found by the
// filter (switched off, without an address) is gone; so is whoever was deleted, as far as we may see deleted objects.
func (r *ldapRun) changedByUSN(ctx context.Context, old *tree, usn uint64) (changed []*object, gone []string, err error) {
	since := fmt.Sprintf("(uSNChanged>=%d)", usn)
	if changed, err = r.objects(ctx, "(&"+r.schema.everything()+since+")"); err != nil {
		return nil, nil, err
	}
	ids, err := r.ids(ctx, r.src.cfg.Bases, since)
	if err != nil {
		return nil, nil, err
	}
	if r.c.root.showDeleted && r.c.root.namingContext != "" {
		deleted, err := r.ids(ctx, []string{r.c.root.namingContext}, "(&(isDeleted=TRUE)"+since+")", ldap.NewControlMicrosoftShowDeleted())
		if err != nil && !notAllowed(err) {
			return nil, nil, err
		}
		for id := range deleted {
			ids[id] = true
		}
	}
	for _, o := range changed {
		delete(ids, o.id)
	}
	for id := range ids {
		if old.byID[id] != nil {
			gone = append(gone, id)
		}
	}
	return changed, gone, nil
}

// changedByTime asks for what was modified since a time, and for the ids of everything, which tells who is gone.
func (r *ldapRun) changedByTime(ctx context.Context, old *tree, last string) (changed []*object, gone []string, err error) {
	at, err := parseGeneralized(last)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the directory's time %q is not understood", errNeedsFull, last)
	}
	since := "(modifyTimestamp>=" + at.Add(-overlap).UTC().Format("20060102150405Z") + ")"
	recent, err := r.objects(ctx, "(&"+r.schema.everything()+since+")")
	if err != nil {
		return nil, nil, err
	}
	ids, err := r.ids(ctx, r.src.cfg.Bases, r.schema.everything())
	if err != nil {
		return nil, nil, err
	}
	if len(ids) == 0 {
		return nil, nil, fmt.Errorf("%w: nobody is left", errNeedsFull)
	}
	known := make(map[string]bool, len(recent))
	for _, o := range recent {
		known[o.id] = true
		if !reflect.DeepEqual(old.byID[o.id], o) {
			changed = append(changed, o)
		}
	}
	for id := range ids {
		if !known[id] && old.byID[id] == nil {
			return nil, nil, fmt.Errorf("%w: %s is new and has an old time", errNeedsFull, id)
		}
	}
	for id := range old.byID {
		if !ids[id] && !known[id] {
			gone = append(gone, id)
		}
	}
	return changed, gone, nil
}

func parseGeneralized(s string) (time.Time, error) {
	// Fractions of a second are cut off: 20261127040000.0Z in Active Directory, 20261127040000Z elsewhere.
	if i := strings.IndexAny(s, ".,"); i > 0 && strings.HasSuffix(s, "Z") {
		s = s[:i] + "Z"
	}
	return time.Parse("20060102150405Z", s)
}

// findMoved asks for members of changed groups that nobody has heard of. When a folder is renamed, all below it have new DNs
// and no new change number: the object is then known under its id.
func (r *ldapRun) findMoved(ctx context.Context, old, t *tree, changed []*object) error {
	asked := 0
	for _, g := range changed {
		before := map[string]bool{}
		if was := old.byID[g.id]; was != nil {
			for _, dn := range was.members {
				before[dn] = true
			}
		}
		for _, dn := range g.members {
			if t.byDN[dn] != nil || before[dn] {
				continue
			}
			if asked++; asked > maxAsked {
				return fmt.Errorf("%w: more than %d new members are unknown", errNeedsFull, maxAsked)
			}
			e, err := r.ask(ctx, dn, []string{r.schema.ID})
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			if o := t.byID[objectID(e, r.schema.ID)]; o != nil {
				return fmt.Errorf("%w: %s was moved to %s", errNeedsFull, o.dn, dn)
			}
		}
	}
	return nil
}
