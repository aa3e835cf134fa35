package recipients

import (
	"context"
	"errors"
	"fmt"
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
