package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Query says which mails to list. Zero fields do not restrict.
type Query struct {
	ID           string
	Rcpt         string    // the whole address of a recipient or of one for whom it stands, or a part of it
	From         string    // a part of the envelope or header sender or of its name; a whole address or @domain is found fast
	Rule         string    // the id of the rule that decided
	Subject      string    // a part; case and width do not matter
	Class        string    // the whole class
	Since, Until time.Time // held at or after, and before
	All          bool      // also those of which nothing is held any more and whose octets are not deleted yet
	Limit        int       // default 100
	Cursor       string    // Page.Next of the page before
}

// Page is one part of a listing, newest first.
type Page struct {
	Items []Item
	Next  string // where the next page begins; "" at the end
	// Partial says why mails may be missing: the store did not answer, so that only this host's pending holds are listed, or the
	// key of some is not there.
	Partial string
	// Reached is set when the page has fewer than Limit items because matches are rare and the search stopped, so that an answer
	// comes soon: everything held later was looked at. The page may be empty; Next goes on with the search.
	Reached time.Time
	Looked  int // with Reached: so many mails were looked at for this page
}

const (
	listStep = 200
	lookMost = 5000                  // mails that one page looks at
	lookFor  = 60 * time.Millisecond // and how long; at least one step
)

// List returns the mails that match. When the store does not answer, it lists the pending holds of this host and says so in
// Partial; it fails only for a Cursor that is none.
func (q *Store) List(ctx context.Context, query Query) (Page, error) {
	if query.Limit <= 0 {
		query.Limit = 100
	}
	pos, err := parseCursor(query.Cursor)
	if err != nil {
		return Page{}, err
	}
	f := newFilter(query)
	var page Page
	stored, err := q.listStore(ctx, f, pos)
	if err != nil {
		page.Partial = err.Error()
	} else if n := len(stored.unread); n > 0 {
		page.Partial = fmt.Sprintf("%d mails cannot be read, such as %v", n, stored.unread[0].err)
	}
	page.Items = stored.items
	more, stop := stored.more, stored.stop
	for _, i := range q.listPending(ctx, f, pos, err == nil) {
		if stop == nil || newestFirst(cursorOf(i), *stop) <= 0 {
			page.Items = append(page.Items, i)
		}
	}
	slices.SortFunc(page.Items, func(a, b Item) int { return newestFirst(cursorOf(a), cursorOf(b)) })
	if len(page.Items) > query.Limit {
		page.Items, more, stop = page.Items[:query.Limit], true, nil
	}
	switch {
	case stop != nil:
		page.Next, page.Reached, page.Looked = stop.String(), time.UnixMilli(stop.ms).UTC(), stored.looked
	case more && len(page.Items) > 0:
		page.Next = cursorOf(page.Items[len(page.Items)-1]).String()
	}
	return page, nil
}

func cursorOf(i Item) cursor { return cursor{i.Time.UnixMilli(), i.ID} }

func newestFirst(a, b cursor) int { return cmp.Or(cmp.Compare(b.ms, a.ms), cmp.Compare(b.id, a.id)) }

// parseCursor returns nil for the first page.
func parseCursor(s string) (*cursor, error) {
	if s == "" {
		return nil, nil
	}
	ms, id, ok := strings.Cut(s, ".")
	n, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil {
		return nil, fmt.Errorf("quarantine: %q is not where a page begins", s)
	}
	return &cursor{n, id}, nil
}

// found is what listStore has come to.
type found struct {
	items []Item
	more  bool
	stop  *cursor // where a search stopped that took too long
	// looked is how many mails it has looked at by then
	looked int
	// unread says why mails are missing that are there
	unread []unread
}

// listStore walks an index until there is one item more than a page, or until it has looked for long enough.
func (q *Store) listStore(ctx context.Context, f *filter, pos *cursor) (found, error) {
	if f.ID != "" {
		r, err := q.record(ctx, f.ID)
		if errors.Is(err, ErrNotFound) {
			return found{}, nil
		}
		if err != nil {
			return found{}, err
		}
		return found{items: f.take(nil, r, pos)}, nil
	}
	part := f.span()
	index, err := q.plan(ctx, f, part)
	if err != nil {
		return found{}, err
	}
	var items []Item
	var bad []unread
	began, looked := q.o.Now(), 0
	for step := min(listStep, f.Limit+1); ; step = listStep {
		list, end, err := q.entries(ctx, index, part, pos, true, int64(step))
		if err != nil {
			return found{items: items}, err
		}
		records, more, err := q.records(ctx, idsOf(list))
		if err != nil {
			return found{items: items}, err
		}
		bad = append(bad, more...)
		for _, r := range records {
			if items = f.take(items, r, nil); len(items) > f.Limit {
				return found{items: items[:f.Limit], more: true, unread: bad}, nil
			}
		}
		if end {
			return found{items: items, unread: bad}, nil
		}
		pos, looked = &list[len(list)-1], looked+len(list)
		if looked >= lookMost || q.o.Now().Sub(began) >= lookFor {
			return found{items: items, more: true, stop: pos, looked: looked, unread: bad}, nil
		}
	}
}

// records reads the metadata of many mails in one round trip; those that are gone are left out, and of those that cannot be read
// bad says why.
func (q *Store) records(ctx context.Context, ids []string) (list []*record, bad []unread, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	pipe := q.o.Store.Client().Pipeline()
	cmds := make([]*store.MapStringCmd, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.HGetAll(ctx, mailKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nil, fmt.Errorf("quarantine: %w", err)
	}
	for i, c := range cmds {
		r, err := q.codec.record(ids[i], c.Val())
		switch {
		case err == nil:
			list = append(list, r)
		case !errors.Is(err, ErrNotFound):
			bad = append(bad, unread{ids[i], c.Val(), err})
		}
	}
	return list, bad, nil
}

// listPending returns the matching holds on the disk that are not in the store.
func (q *Store) listPending(ctx context.Context, f *filter, pos *cursor, storeUp bool) []Item {
	var items []Item
	for _, p := range q.pendings() {
		if storeUp {
			n, err := q.o.Store.Client().Exists(ctx, mailKey(p.Held.ID)).Result()
			if err != nil {
				storeUp = false
			} else if n == 1 {
				continue
			}
		}
		if i := p.item(); f.match(&i, pos) {
			items = append(items, i)
		}
	}
	return items
}

// filter is a Query made ready for comparing.
type filter struct {
	Query
	rcpt, from, subject string
	domain              string // the sender's, when From names it whole
}

func newFilter(q Query) *filter {
	f := &filter{Query: q, rcpt: fold(q.Rcpt), from: fold(q.From), subject: fold(q.Subject)}
	if a, err := mail.ParseAddress(q.From, true); err == nil {
		f.domain = a.Domain
	} else if d, is := strings.CutPrefix(q.From, "@"); is {
		f.domain, _ = mail.ParseDomain(d)
	}
	return f
}

// span is when the mails that match were held.
func (f *filter) span() span {
	s := span{0, forever}
	if !f.Since.IsZero() {
		s.from = f.Since.UnixMilli()
	}
	if !f.Until.IsZero() {
		s.to = f.Until.Add(-1).UnixMilli()
	}
	return s
}

// sent reports whether the sender is the one asked for.
func (f *filter) sent(i *Item) bool {
	if f.domain != "" && !slices.Contains(i.domains(), f.domain) {
		return false
	}
	return f.from == "" || strings.Contains(fold(i.From.String()), f.from) || strings.Contains(fold(i.HeaderFrom), f.from) || strings.Contains(fold(i.FromName), f.from)
}

// fold makes the case and the width of letters irrelevant.
func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

func (f *filter) take(items []Item, r *record, pos *cursor) []Item {
	i := r.item()
	if !f.match(&i, pos) {
		return items
	}
	return append(items, i)
}

func (f *filter) match(i *Item, pos *cursor) bool {
	switch {
	case pos != nil && newestFirst(cursorOf(*i), *pos) <= 0:
		return false
	case f.ID != "" && i.ID != f.ID, f.Class != "" && i.Class != f.Class:
		return false
	case !f.Since.IsZero() && i.Time.Before(f.Since), !f.Until.IsZero() && !i.Time.Before(f.Until):
		return false
	case f.subject != "" && !strings.Contains(fold(i.Subject), f.subject):
		return false
	case f.Rule != "" && ruleID(i.Rule) != ruleID(f.Rule), !f.sent(i):
		return false
	case !f.All && f.ID == "" && !i.Open():
		return false
	}
	return f.rcpt == "" || slices.ContainsFunc(i.everybody(), func(a mail.Address) bool { return strings.Contains(fold(a.String()), f.rcpt) })
}
