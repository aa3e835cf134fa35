package quarantine

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// ListFor lists the mails that are for any of several addresses, or for one that stands for them, as List does for all. Each
// mail is listed once. Of the addresses, those are looked at that hold Query.Rcpt; a mail with Query.ID is listed when it is for one of them.
func (q *Store) ListFor(ctx context.Context, who []mail.Address, query Query) (Page, error) {
	if query.Limit <= 0 {
		query.Limit = 100
	}
	var all Page
	var end *cursor // behind it, one of the lists is not known yet
	if part := fold(query.Rcpt); part != "" {
		who = slices.DeleteFunc(slices.Clone(who), func(a mail.Address) bool { return !strings.Contains(fold(a.String()), part) })
	}
	for _, a := range who {
		query.Rcpt = a.String()
		p, err := q.List(ctx, query)
		if err != nil {
			return Page{}, err
		}
		all.Partial = cmp.Or(all.Partial, p.Partial)
		all.Looked += p.Looked
		for _, i := range p.Items {
			if i.For(who) && !slices.ContainsFunc(all.Items, func(o Item) bool { return o.ID == i.ID }) {
				all.Items = append(all.Items, i)
			}
		}
		stop, err := parseCursor(p.Next)
		if err != nil {
			return Page{}, err
		}
		if stop != nil && (end == nil || newestFirst(*stop, *end) < 0) {
			end, all.Reached = stop, p.Reached
		}
	}
	slices.SortFunc(all.Items, func(a, b Item) int { return newestFirst(cursorOf(a), cursorOf(b)) })
	if end != nil {
		all.Items = slices.DeleteFunc(all.Items, func(i Item) bool { return newestFirst(cursorOf(i), *end) > 0 })
		all.Next = end.String()
	}
	if len(all.Items) > query.Limit {
		all.Items, all.Reached, all.Looked = all.Items[:query.Limit], time.Time{}, 0
		all.Next = cursorOf(all.Items[query.Limit-1]).String()
	}
	return all, nil
}

// For reports whether the mail is for one of the addresses, or for one that stands for it.
func (h *Held) For(who []mail.Address) bool {
	return slices.ContainsFunc(h.everybody(), func(a mail.Address) bool {
		return slices.ContainsFunc(who, func(w mail.Address) bool { return a.Key() == w.Key() })
	})
}
