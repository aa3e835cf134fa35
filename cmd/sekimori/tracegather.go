package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rs/xid"

	auditlog "sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/quarantine"
)

const (
	mostRcpts   = 3                  // of one mail, whose earlier attempts are asked for
	mostDigests = 20                 // of all stories, of which is asked what became of them
	digestLate  = 48 * time.Hour     // for so long after a digest its delivery is looked for
	mostActs    = 100                // of people with one mail
	lookUp      = 10 * time.Second   // of what stands in the store
	nodeOfStore = "the shared store" // where what people did is kept
)

// heldNow is how a held mail stands.
type heldNow struct {
	Until  time.Time              `json:"until"` // the end of the retention
	Class  string                 `json:"class"`
	States []quarantine.RcptState `json:"states"`
}

// follow is what else is asked for, and what each answer is for.
type follow struct {
	asks []history.Ask
	take []func([]history.From)
}

func (f *follow) add(a history.Ask, take func([]history.From)) {
	f.asks, f.take = append(f.asks, a), append(f.take, take)
}

func (f *follow) run(ctx context.Context, in *inquiry) {
	if len(f.asks) == 0 {
		return
	}
	for i, parts := range in.ask(ctx, f.asks...) {
		f.take[i](parts)
	}
}

// gather asks for what belongs to the stories that were found: events at other hosts that name only the id, attempts that were put off
// before, what became of the digests that named it, and what people did.
func (a *app) gather(in *inquiry, res *traceResult) {
	var more follow
	var attempts []*history.Event
	for i := range res.Stories {
		s := &res.Stories[i]
		if s.ID != "" && s.Mail() != nil {
			more.add(history.Ask{Query: history.Query{ID: s.ID}, Most: history.MostFound}, func(parts []history.From) { s.Add(history.JoinEvents(parts)) })
		}
		for _, ask := range s.Attempts(mostRcpts) {
			more.add(ask, func(parts []history.From) { attempts = append(attempts, history.JoinEvents(parts)...) })
		}
	}
	more.run(a.ctx, in)
	digests := digestsOf(res.Stories)
	digests.run(a.ctx, in)
	res.Stories = history.Attach(res.Stories, attempts)
	a.acts(in, res)
}

// digestsOf asks what became of the digests that named the mails.
func digestsOf(stories []history.Story) follow {
	var f follow
	for i := range stories {
		for _, e := range stories[i].Events {
			if e.Kind != history.KindDigest || len(e.Rcpts) == 0 || len(f.asks) >= mostDigests {
				continue
			}
			q := history.Query{ID: e.Ref, Kinds: []history.Kind{history.KindTry}, Since: e.Time.Add(-time.Minute), Until: e.Time.Add(digestLate)}
			f.add(history.Ask{Query: q, Most: 50}, func(parts []history.From) {
				for _, try := range slices.Backward(history.JoinEvents(parts)) { // oldest first: the last one counts
					if try.ID == e.Ref && len(try.Rcpts) > 0 {
						e.Rcpts[0].End, e.Rcpts[0].Words = try.Rcpts[0].End, try.Rcpts[0].Words
					}
				}
			})
		}
	}
	return f
}

// acts looks up in the store how held mail stands, and what people did with it.
func (a *app) acts(in *inquiry, res *traceResult) {
	ctx, cancel := context.WithTimeout(a.ctx, lookUp)
	defer cancel()
	var d *standingDesk
	for i := range res.Stories {
		s := &res.Stories[i]
		if !slices.ContainsFunc(s.Events, func(e *history.Event) bool { return e.Kind == history.KindHeld }) {
			continue
		}
		if d == nil {
			var err error
			if d, err = a.openStanding(in.cfg); err != nil {
				res.Notes = append(res.Notes, err.Error())
				return
			}
			defer d.done()
			res.Held = map[string]heldNow{}
		}
		for _, id := range heldIDs(s) {
			d.stands(ctx, s, id, res)
		}
	}
}

// stands looks up one held mail.
func (d *standingDesk) stands(ctx context.Context, s *history.Story, id string, res *traceResult) {
	item, err := d.keeper.Show(ctx, id)
	switch {
	case err == nil:
		res.Held[id] = heldNow{item.Until, item.Class, item.States}
	case !errors.Is(err, quarantine.ErrNotFound):
		res.Notes = append(res.Notes, err.Error())
	}
	page, err := d.log.List(ctx, auditlog.Query{ID: id, Limit: mostActs})
	if err != nil {
		res.Notes = append(res.Notes, err.Error())
		return
	}
	s.Add(actsAsEvents(id, page.Entries))
}

// heldIDs are those under which parts of the mail were held.
func heldIDs(s *history.Story) []string {
	var ids []string
	for _, e := range s.Events {
		if e.Kind == history.KindHeld && !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func actsAsEvents(id string, entries []auditlog.Entry) []*history.Event {
	list := make([]*history.Event, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		x := &history.Event{
			Time: e.Time, Kind: history.KindAct, ID: id, Node: nodeOfStore, Action: e.Act, By: e.Actor, Why: e.Role, Hint: e.Detail, Stage: e.Via, Client: e.Peer,
		}
		if e.Count > 1 {
			x.Count = e.Count
		}
		for _, r := range e.Rcpts {
			x.Rcpts = append(x.Rcpts, history.Rcpt{Addr: r})
		}
		list = append(list, x)
	}
	return list
}

// standingDesk is what stands in the store of held mail, for reading.
type standingDesk struct {
	keeper *quarantine.Store
	log    *auditlog.Log
	done   func()
}

func (a *app) openStanding(cfg *config.Config) (*standingDesk, error) {
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return nil, err
	}
	keeper, done, err := a.keeperOf(cfg, st)
	if err != nil {
		return nil, err
	}
	log := auditlog.New(auditlog.Options{Client: st.Client(), Retention: cfg.Audit.Retention.D(), Now: time.Now, NewID: func() string { return xid.New().String() }})
	return &standingDesk{keeper, log, done}, nil
}

// standing says how the mail stands in the quarantine for each recipient, by address in small letters.
func (r *traceResult) standing(s *history.Story) map[string]string {
	now := map[string]string{}
	for _, id := range heldIDs(s) {
		for _, st := range r.Held[id].States {
			now[strings.ToLower(st.Rcpt.String())] = st.State
		}
	}
	return now
}
