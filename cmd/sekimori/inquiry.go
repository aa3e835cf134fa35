package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/internal/history/nodes"
	"sekimori/internal/store"
)

// hostTold is what came of asking a host.
type hostTold struct {
	Host     string `json:"host"`
	Answered bool   `json:"answered"`
	Error    string `json:"error,omitempty"` // why not
	Off      bool   `json:"off,omitempty"`   // it keeps no history
	// Gone is when the host said its last word, when that was before the time that is asked for: it was not asked.
	Gone time.Time `json:"gone,omitzero"`
	history.Covered
	Cut   bool    `json:"cut,omitempty"`           // it found more than an answer holds
	Clock float64 `json:"clock_ahead_s,omitempty"` // its clock is so many seconds in front of that of this host
}

// whole reports whether the host has said all that it knows.
func (h *hostTold) whole() bool {
	return h.Off || !h.Gone.IsZero() || h.Answered && !h.Stopped && !h.Cut
}

// inquiry asks the history of this host and those of the others the same things.
type inquiry struct {
	cfg   *config.Config
	local *history.Reader // nil: this host keeps none
	store *store.Store    // nil: it does not answer
	asker *nodes.Asker    // nil: there is nobody to ask
	wait  time.Duration

	hosts  []hostTold   // this one first
	others []nodes.Host // who still answers; the k-th stands at index[k] in hosts
	index  []int
	// Unknown says why it is not known which other hosts there are.
	Unknown string
}

// inquire opens the history of this host and finds the others that may know something of the time since. Where neither this host nor
// another one keeps a history, it is an error.
func (a *app) inquire(cfg *config.Config, since time.Time, wait time.Duration) (*inquiry, error) {
	q := &inquiry{cfg: cfg, wait: wait}
	r, err := readHistory(cfg)
	own := hostTold{Host: cfg.Hostname}
	switch {
	case err == nil:
		q.local = r
		own.Answered = true
	case !cfg.History.Enabled:
		own.Off = true
	case isAbsent(err):
		own.Off = true
		own.Error = fmt.Sprintf("there is no history in %s: serve never ran with this configuration", historyDir(cfg))
	default:
		own.Error = err.Error()
	}
	q.hosts = append(q.hosts, own)
	if !cfg.Redis.Embedded() {
		q.findOthers(a.ctx, since)
	}
	if q.local == nil && len(q.others) == 0 {
		q.close()
		return nil, errors.New(cmp.Or(own.Error, "history.enabled is false: nothing is kept that could be looked up"))
	}
	return q, nil
}

func (q *inquiry) findOthers(ctx context.Context, since time.Time) {
	st, err := dialStore(ctx, q.cfg)
	if err != nil {
		q.Unknown = err.Error()
		return
	}
	q.store = st
	others, err := otherHosts(ctx, st.Client(), q.cfg)
	if err == nil && len(others) > 0 {
		q.asker = &nodes.Asker{Client: st.Client(), Name: q.cfg.Hostname, Now: time.Now, NewID: func() string { return xid.New().String() }}
		ring := keyring{client: st.Client(), cfg: func() *config.Config { return q.cfg }}
		q.asker.Keys, err = ring.get(ctx)
	}
	if err != nil {
		q.Unknown = err.Error()
		return
	}
	for _, h := range others {
		switch {
		case h.Off:
			q.hosts = append(q.hosts, hostTold{Host: h.Name, Off: true})
		case h.Knows(since) || !h.Silent(time.Now()):
			q.others, q.index = append(q.others, h), append(q.index, len(q.hosts))
			q.hosts = append(q.hosts, hostTold{Host: h.Name})
		default:
			q.hosts = append(q.hosts, hostTold{Host: h.Name, Gone: h.At})
		}
	}
}

func (q *inquiry) close() {
	if q.local != nil {
		q.local.Close()
	}
	if q.store != nil {
		_ = q.store.Close()
	}
}

// ask asks all hosts and returns, for each ask, what each host found. Who does not answer is not asked again; hosts says so.
func (q *inquiry) ask(ctx context.Context, asks ...history.Ask) [][]history.From {
	found := make([][]history.From, len(asks))
	for from := 0; from < len(asks); from += history.MostAsks {
		part := asks[from:min(from+history.MostAsks, len(asks))]
		replies := make(chan []nodes.Reply, 1)
		go func() { replies <- q.askOthers(ctx, part) }()
		q.askHere(ctx, part, found[from:])
		var left []nodes.Host
		var index []int
		for k, r := range <-replies {
			h := &q.hosts[q.index[k]]
			h.Answered = r.Err == nil
			if r.Err != nil {
				h.Error = r.Err.Error()
				if errors.Is(r.Err, nodes.ErrSilent) && r.Host.Silent(time.Now()) {
					h.Error = "silent since " + r.Host.At.Local().Format(historyTime)
				}
				continue
			}
			left, index = append(left, r.Host), append(index, q.index[k])
			h.take(r.Told)
			h.Clock = r.Skew.Seconds()
			for i := range r.Told.Answers {
				found[from+i] = append(found[from+i], history.From{Node: h.Host, Found: r.Told.Answers[i]})
			}
		}
		q.others, q.index = left, index
	}
	return found
}

// here asks this host alone.
func (q *inquiry) here(ctx context.Context, asks []history.Ask) [][]history.From {
	found := make([][]history.From, len(asks))
	q.askHere(ctx, asks, found)
	return found
}

// take notes what an answer covers. Questions that follow the first are about less: what was said first counts.
func (h *hostTold) take(t *history.Told) {
	h.Cut = h.Cut || t.Cut
	stopped := h.Stopped || t.Stopped
	if h.Period.Records == 0 {
		h.Covered = t.Covered
	}
	h.Stopped = stopped
	h.Damaged = max(h.Damaged, t.Damaged)
}

func (q *inquiry) askHere(ctx context.Context, asks []history.Ask, found [][]history.From) {
	if q.local == nil {
		return
	}
	h := &q.hosts[0]
	t, err := q.local.Within(ctx).Tell(asks, time.Now())
	if err != nil {
		h.Answered, h.Error = false, err.Error()
		return
	}
	h.take(t)
	for i := range t.Answers {
		found[i] = append(found[i], history.From{Node: h.Host, Found: t.Answers[i]})
	}
}

func (q *inquiry) askOthers(ctx context.Context, asks []history.Ask) []nodes.Reply {
	if len(q.others) == 0 {
		return nil
	}
	replies, err := q.asker.Ask(ctx, q.others, asks, q.wait)
	if err != nil {
		replies = make([]nodes.Reply, len(q.others))
		for i := range replies {
			replies[i] = nodes.Reply{Host: q.others[i], Err: err}
		}
	}
	return replies
}

// whole reports whether all hosts have said all that they know.
func (q *inquiry) whole() bool {
	for i := range q.hosts {
		if !q.hosts[i].whole() {
			return false
		}
	}
	return q.Unknown == ""
}

// behind tells which Exchange the last deliveries went to. It is asked when nothing was found.
func (q *inquiry) behind(ctx context.Context, res *traceResult) exchange {
	if len(res.Stories) > 0 {
		return noExchange // the stories say it
	}
	const last = 20
	found := q.ask(ctx, history.Ask{Query: history.Query{Kinds: []history.Kind{history.KindTry}}, Most: last})
	return exchangeOfTries(history.JoinEvents(found[0]))
}
