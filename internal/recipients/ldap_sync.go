package recipients

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"sekimori/internal/mail"
)

// ldapRun is one Fetch or Lookup over one connection.
type ldapRun struct {
	src      *ldapSource
	c        *ldapConn
	schema   ldapSchema
	problems problems
}

// errNeedsFull says that the changes cannot be told one by one.
var errNeedsFull = errors.New("too much has changed at once")

// maxAsked bounds the questions for single members of groups in one run.
const maxAsked = 200

// overlap is by how much a search for changes by time goes back: a replica passes on changes late, with their old time.
const overlap = 5 * time.Minute

// full reads everything.
func (r *ldapRun) full(ctx context.Context) (*tree, Batch, error) {
	list, err := r.objects(ctx, r.schema.everything())
	if err != nil {
		return nil, Batch{}, err
	}
	t := newTree(len(list))
	mark := ldapMark{Server: r.c.root.server(), USN: r.c.root.usn, Full: r.src.now()}
	b := Batch{Full: true, Entries: make([]Entry, 0, len(list)*2)}
	for _, o := range list {
		t.put(o)
		mark.Time = max(mark.Time, o.modified)
	}
	owners := make(map[string]*object, len(list)*2)
	for _, o := range list {
		for _, a := range o.addrs {
			if other := owners[a.Key()]; other != nil && other != o {
				r.problem("%s belongs to two: %s and %s", a, other.dn, o.dn)
			}
			owners[a.Key()] = o
		}
		b.Entries = append(b.Entries, t.entries(o)...)
	}
	if len(b.Entries) == 0 {
		return nil, Batch{}, fmt.Errorf("there is nobody with an address in %s: bases, filter or the rights of the bind account are wrong",
			strings.Join(r.src.cfg.Bases, " and "))
	}
	r.references()
	if r.schema.ad && mark.USN > 0 || mark.Time != "" {
		t.mark = mark.String()
	} else {
		r.src.log.Info("the directory shows no time or number of changes: every sync reads everything", "server", r.c.url)
	}
	b.Mark, b.Problems = t.mark, r.problems.all()
	return t, b, nil
}

// objects reads whatever a filter finds below the bases; one that is below two of them is there once.
func (r *ldapRun) objects(ctx context.Context, filter string) ([]*object, error) {
	var list []*object
	seen := map[string]bool{}
	for _, base := range r.src.cfg.Bases {
		// What is long must be asked for over the same connection, so first comes the list, then the rest of the members.
		var entries []*ldap.Entry
		q := ldapQuery{base: base, scope: r.schema.scope, filter: filter, attrs: r.schema.attributes()}
		if err := r.c.search(ctx, q, func(e *ldap.Entry) { entries = append(entries, e) }); err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
		for _, e := range entries {
			o, err := r.read(ctx, e)
			if err != nil {
				return nil, err
			}
			if !seen[o.id] {
				seen[o.id] = true
				list = append(list, o)
			}
		}
	}
	return list, nil
}

// ids lists the objects that a filter finds, and nothing else of them.
func (r *ldapRun) ids(ctx context.Context, bases []string, filter string, controls ...ldap.Control) (map[string]bool, error) {
	found := map[string]bool{}
	for _, base := range bases {
		q := ldapQuery{base: base, scope: r.schema.scope, filter: filter, attrs: []string{r.schema.ID}, controls: controls}
		if err := r.c.search(ctx, q, func(e *ldap.Entry) { found[objectID(e, r.schema.ID)] = true }); err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
	}
	return found, nil
}

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

// ask reads one object by its DN; nil when it is not there or not shown.
func (r *ldapRun) ask(ctx context.Context, dn string, attrs []string) (*ldap.Entry, error) {
	var found *ldap.Entry
	q := ldapQuery{base: dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: attrs}
	err := r.c.search(ctx, q, func(e *ldap.Entry) { found = e })
	if err != nil && (notAllowed(err) || ldap.IsErrorAnyOf(err, ldap.LDAPResultReferral, ldap.LDAPResultInvalidDNSyntax)) {
		return nil, nil
	}
	return found, err
}

// references says which parts of the directory lie on other servers and were not read. Those of every Active Directory that
// hold no people are not worth a word.
func (r *ldapRun) references() {
	var others []string
	for ref := range r.c.referrals {
		l := strings.ToLower(ref)
		if !strings.Contains(l, "dc=domaindnszones") && !strings.Contains(l, "dc=forestdnszones") && !strings.Contains(l, "/cn=configuration") {
			others = append(others, ref)
		}
	}
	if len(others) == 0 {
		return
	}
	slices.Sort(others)
	for _, ref := range others {
		r.problem("%s was not followed: what lies there needs a table [ldap.NAME] of its own", ref)
	}
	r.src.log.Info("references to other servers are not followed", "references", others)
}

// lookup finds the objects that have an address.
func (r *ldapRun) lookup(ctx context.Context, a mail.Address) ([]Entry, error) {
	objects, err := r.objects(ctx, r.schema.having(spellings(a)))
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, o := range objects {
		if !slices.ContainsFunc(o.addrs, func(b mail.Address) bool { return a.Key() == b.Key() }) {
			continue
		}
		targets, err := r.expandNow(ctx, o)
		if err != nil {
			return nil, err
		}
		list = append(list, entriesOf(o, targets)...)
	}
	return list, nil
}

// expandNow expands a group with the objects of the last Fetch, and asks for those that it does not have. nil when it would
// have to ask too often.
func (r *ldapRun) expandNow(ctx context.Context, o *object) ([]mail.Address, error) {
	t := r.src.tree.get()
	asked, found := 0, map[string]*object{}
	var failed error
	targets := expand(o, func(dn string) *object {
		if t != nil && t.byDN[dn] != nil {
			return t.byDN[dn]
		}
		if m, ok := found[dn]; ok || failed != nil || asked >= maxAsked {
			return m
		}
		asked++
		e, err := r.ask(ctx, dn, r.schema.attributes())
		if err == nil && e != nil {
			found[dn], err = r.read(ctx, e)
		}
		failed = err
		return found[dn]
	})
	if asked >= maxAsked && failed == nil {
		r.src.log.Warn("a new group has too many members to be told at once; the next sync tells them", "group", o.dn)
		return nil, nil
	}
	return targets, failed
}
