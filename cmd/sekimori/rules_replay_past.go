package main

import (
	"context"
	"sync"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/quarantine"
)

// releasedMails are the mails that people released since then and that were not taken back, by the id of the mail. What cannot be read
// is an error; what could be read is returned all the same.
func releasedMails(r *history.Reader, since time.Time) (map[string]bool, error) {
	type hold struct{ id, rcpt string }
	newest := map[hold]bool{}
	ids := map[string]bool{}
	var damaged error
	for e, err := range r.Search(history.Query{Since: since, Kinds: []history.Kind{history.KindEnded, history.KindRestored}}) {
		if err != nil {
			damaged = err
			continue
		}
		for i := range e.Rcpts {
			h := hold{e.ID, e.Rcpts[i].Addr}
			if newest[h] {
				continue
			}
			newest[h] = true
			if e.Kind == history.KindEnded && e.Action == quarantine.StateReleased {
				ids[history.Base(e.ID)] = true
			}
		}
	}
	return ids, damaged
}

// heldBodies are the mails in the quarantine. It is opened when one is asked for. Safe for concurrent use.
type heldBodies struct {
	a     *app
	cfg   *config.Config
	since time.Time

	once sync.Once
	q    *quarantine.Store
	done func()
	ids  map[string][]string // of holds, by the id of the mail
	err  error
}

func (h *heldBodies) open(ctx context.Context) {
	st, err := dialStore(ctx, h.cfg)
	if err != nil {
		h.err = err
		return
	}
	if h.q, h.done, h.err = h.a.keeperOf(h.cfg, st); h.err != nil {
		return
	}
	h.ids = map[string][]string{}
	for query := (quarantine.Query{Since: h.since, All: true, Limit: 1000}); ; {
		page, err := h.q.List(ctx, query)
		if err != nil {
			h.err = err
			return
		}
		for i := range page.Items {
			id := page.Items[i].ID
			h.ids[history.Base(id)] = append(h.ids[history.Base(id)], id)
		}
		if page.Next == "" {
			return
		}
		query.Cursor = page.Next
	}
}

// body is a replay.Options.Body.
func (h *heldBodies) body(ctx context.Context, id string) *mail.Message {
	h.once.Do(func() { h.open(ctx) })
	for _, hold := range h.ids[history.Base(id)] {
		content, done, err := h.q.Raw(ctx, hold)
		if err != nil {
			continue
		}
		m := mime.Parse(content.Bytes())
		done()
		return m
	}
	return nil
}

func (h *heldBodies) close() {
	if h.done != nil {
		h.done()
	}
}
