package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sekimori/internal/spool"
)

// takeUp puts what the spool holds on the lanes, all of it due. What was in flight when we died is sent again.
func (r *Relay) takeUp() error {
	r.sweepImports()
	list, err := r.o.Spool.List(spool.KindQueue)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	if list, err = r.adopt(list); err != nil {
		return err
	}
	now := r.o.Now()
	for i := range list {
		e := &list[i]
		switch {
		case e.Once && e.State == spool.StateInflight:
			r.open = append(r.open, e.ID)
		case e.State == spool.StateInflight:
			r.Counters.Duplicates.Add(1)
			r.o.Log.Warn("relay: in flight when the last run ended; the mail is sent again and may arrive twice", "id", e.ID)
		}
		for k := range e.Rcpts {
			if e.Rcpts[k].Status == spool.Failed && !e.Rcpts[k].Done {
				r.open = append(r.open, e.ID)
				break
			}
		}
		r.queue.add(e.ID, r.way(e), now, true)
	}
	return r.recall(r.open)
}

// way returns where an entry goes: by the first recipient that is not done.
func (r *Relay) way(e *spool.Entry) way {
	rt := r.router()
	for i := range e.Rcpts {
		if !e.Rcpts[i].Done {
			a := e.Rcpts[i].Addr
			return way{rt.on(e.Lane, a), a.Domain}
		}
	}
	return way{set: rt.nowhere}
}

// Run probes the backends, works off the queue and carries out requests until ctx ends. Call it once; Close afterwards.
func (r *Relay) Run(ctx context.Context) {
	for _, b := range r.backends() {
		r.spawn(func() { r.firstProbe(b) })
	}
	// Failures first that the last run found and may have made a notice of: while that is certain to be in the spool still.
	for _, id := range r.open {
		r.reopen(id)
	}
	r.open = nil
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r.launch(ctx)
		select {
		case <-ctx.Done():
			return
		case <-r.queue.wake:
		case <-tick.C:
			r.requests()
			for _, b := range r.backends() {
				b.reap(time.Now())
			}
			r.settle()
		}
	}
}

// launch starts an attempt for everything that is due and has a free worker.
func (r *Relay) launch(ctx context.Context) {
	for ctx.Err() == nil {
		id, l, ok := r.queue.due(r.o.Now())
		if !ok {
			return
		}
		if !r.spawn(func() { defer r.queue.free(l); r.attempt(id) }) {
			return
		}
	}
}

// attempt tries one entry of the queue.
func (r *Relay) attempt(id string) {
	p, release := r.load(id)
	if p == nil {
		return
	}
	defer release()
	tried := p.again()
	p.conclude(tried)
}

// reopen reports the failures of an entry that the last run did not settle, without trying it.
func (r *Relay) reopen(id string) {
	if p, release := r.load(id); p != nil {
		defer release()
		p.sooner = true
		p.conclude(false)
	}
}

// load reads an entry of the queue; nil when that cannot be done.
func (r *Relay) load(id string) (*parcel, func()) {
	e, err := r.o.Spool.Get(id)
	if err != nil {
		if !errors.Is(err, spool.ErrNotFound) {
			r.o.Log.Error("relay: a queued mail cannot be read; it is left in the spool", "id", id, "error", err)
		}
		r.queue.remove(id)
		return nil, nil
	}
	p := &parcel{r: r, stored: true}
	p.e, p.notice, p.unsaved = r.remembered(e)
	for i := range p.e.Rcpts {
		switch c := &p.e.Rcpts[i]; {
		case c.Status != spool.Inflight:
		case e.Once:
			p.lose(p.backend, errDied)
		default:
			c.Status = spool.Waiting
		}
	}
	content, release, err := r.o.Spool.Content(id)
	if err != nil {
		r.o.Log.Error("relay: the data of a queued mail cannot be read", "id", id, "error", err)
		r.queue.add(id, r.way(&p.e), r.after(never), false)
		return nil, nil
	}
	if err := spool.Verify(&e, content); err != nil {
		release()
		r.o.Log.Error("relay: the data of a queued mail has changed; it is not sent", "id", id, "error", err)
		r.queue.add(id, r.way(&p.e), r.after(never), false)
		return nil, nil
	}
	p.content = content
	return p, release
}

// again tries all who wait; it reports whether anybody was asked.
func (p *parcel) again() (tried bool) {
	p.sooner = true
	for _, group := range p.groups() {
		s := p.r.router().on(p.e.Lane, p.e.Rcpts[group[0]].Addr)
		if !s.alive() || p.r.base.Err() != nil {
			continue
		}
		tried = true
		p.r.Counters.Retries.Add(1)
		j := p.job(group)
		if p.e.Once {
			j.beforeEnd = p.takeOff
		}
		j.avoid = p.r.queue.avoided(p.e.ID)
		res := p.r.try(p.r.base, s, j, time.Time{})
		p.backend = res.backend
		switch res.fault {
		case noFault:
			p.note(group, res.answers)
			p.sooner = false
		case lost:
			if p.e.Once {
				p.lose(res.backend, res.err)
				continue
			}
			p.sooner = false // a second time at once would be a second duplicate
			p.r.duplicate(p.e.ID, res)
			p.broken(res)
			p.failAll(group, res.err)
		case aborted:
			if tried = p.r.base.Err() == nil; tried { // our disk did not take it
				p.sooner = false
				p.failAll(group, res.err)
			}
		default:
			p.broken(res)
			p.failAll(group, res.err)
		}
	}
	return tried
}

// groups divides those who wait by set; usually there is one.
func (p *parcel) groups() [][]int {
	var groups [][]int
	var sets []*set
next:
	for _, i := range p.waiting() {
		s := p.r.router().on(p.e.Lane, p.e.Rcpts[i].Addr)
		for k := range sets {
			if sets[k] == s {
				groups[k] = append(groups[k], i)
				continue next
			}
		}
		sets, groups = append(sets, s), append(groups, []int{i})
	}
	return groups
}
