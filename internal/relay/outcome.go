package relay

import (
	"errors"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// conclude ends an attempt: it gives up who waited too long, reports who failed, and writes down or removes the entry. What it
// reports stands in the spool before, and notices go out after the ends are written: until then a crash would report again.
func (p *parcel) conclude(tried bool) {
	changed := p.expire() || tried || p.unsaved
	w := p.r.way(&p.e)
	if !p.secured(changed, w) {
		return
	}
	reported, notice := p.report()
	if notice == nil {
		notice = p.notice
	}
	changed = changed || reported
	w = p.r.way(&p.e)
	if err := p.settle(notice); err != nil {
		p.r.queue.add(p.e.ID, w, p.r.after(1), false)
		return
	}
	notice.Commit()
	if p.finished() {
		if err := p.r.o.Spool.Remove(p.e.ID); err != nil && !errors.Is(err, spool.ErrNotFound) {
			p.r.o.Log.Error("relay: a spool entry cannot be removed", "id", p.e.ID, "error", err)
			p.r.queue.add(p.e.ID, w, p.r.after(1), false)
			return
		}
		p.r.queue.remove(p.e.ID)
		p.r.o.Log.Info("relay: left the queue", "id", p.e.ID, "backend", p.backend, "age", p.r.o.Now().Sub(p.e.Created).Round(time.Second).String())
		return
	}
	delayed := p.delayed()
	next := p.next(w.set)
	if changed || delayed {
		switch err := p.keep(spool.StateQueued, next); {
		case err != nil:
			p.r.o.Log.Error("relay: a spool entry cannot be written", "id", p.e.ID, "error", err)
			if p.e.Once { // on the disk it may be in flight
				p.r.unwritten.Store(p.e.ID, unsettled{entry: p.e})
			}
		case delayed:
			p.warn()
		}
	}
	p.r.queue.avoid(p.e.ID, p.lostBy)
	p.r.queue.add(p.e.ID, w, next, p.sooner && !w.set.alive())
}

func (p *parcel) finished() bool {
	for i := range p.e.Rcpts {
		if !p.e.Rcpts[i].Done {
			return false
		}
	}
	return true
}

func (p *parcel) attempts() int {
	n := 0
	for i := range p.e.Rcpts {
		if c := &p.e.Rcpts[i]; !c.Done {
			n = max(n, c.Attempts)
		}
	}
	return n
}

// expire gives up those who still wait at the end of the queue's lifetime.
func (p *parcel) expire() bool {
	if p.r.o.Now().Sub(p.e.Created) < p.r.lifetimeOf(p.e.Lane) {
		return false
	}
	list := p.waiting()
	for _, i := range list {
		c := &p.e.Rcpts[i]
		why := timeIsUp
		if c.Last != "" {
			why += "; last: " + c.Last
		}
		c.Status, c.Last = spool.Failed, mail.Permanent(554, 4, 7, why).String()
		p.r.Counters.Expired.Add(1)
	}
	return len(list) > 0
}

// failed reports whether there is a failure that OnFailed has not taken over.
func (p *parcel) failed() bool {
	for i := range p.e.Rcpts {
		if c := &p.e.Rcpts[i]; c.Status == spool.Failed && !c.Done {
			return true
		}
	}
	return false
}

const timeIsUp = "delivery time expired" // in words of ours

// report hands those who failed to OnFailed. The notice is to be committed once the entry is written.
func (p *parcel) report() (changed bool, notice *Staged) {
	f, list := p.failures()
	if len(list) == 0 {
		return false, nil
	}
	err := errors.New("nobody takes undeliverable mail")
	var fate Fate
	if p.r.OnFailed != nil {
		fate, err = p.r.OnFailed(p.r.base, f)
		if err == nil {
			notice, err = p.r.notice(fate.Notice)
		}
	}
	if err != nil {
		p.r.o.Log.Error("relay: undeliverable mail stays in the queue", "id", p.e.ID, "error", err)
		for _, i := range list {
			p.e.Rcpts[i].Attempts++
		}
		return true, nil
	}
	for _, i := range list {
		p.end(i, fate.State, fate.Detail)
		p.r.Counters.Failed.Add(1)
	}
	return true, notice
}

// follow waits for the late answer to a mail in flight, which decides.
func (p *parcel) follow(f *flight) {
	defer p.r.queue.landed()
	err := f.wait(f.since.Add(p.r.late()))
	f.end(err)
	if err != nil && p.r.base.Err() != nil {
		return // we are shutting down: it stays in flight, and the next start takes it up
	}
	if err != nil {
		res := result{backend: f.b.url, fault: lost, hard: true, err: err}
		p.broken(res)
		p.r.duplicate(p.e.ID, res)
		for i := range p.e.Rcpts {
			if c := &p.e.Rcpts[i]; c.Status == spool.Inflight {
				c.Status, c.Last = spool.Waiting, "the connection was lost behind the final dot"
			}
		}
	} else {
		f.b.ok()
		p.backend = f.b.url
		p.arrive(f.answers)
	}
	p.ended()
}

// ended brings a mail down from its flight: out of the spool when all is done, else into the queue.
func (p *parcel) ended() {
	content, release, err := p.r.o.Spool.Content(p.e.ID)
	if err != nil {
		p.r.o.Log.Error("relay: the data of a queued mail cannot be read", "id", p.e.ID, "error", err)
		p.r.queue.add(p.e.ID, p.r.way(&p.e), p.r.after(never), false)
		return
	}
	defer release()
	p.content = content
	p.conclude(true)
}
