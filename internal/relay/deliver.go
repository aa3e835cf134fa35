package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sekimori/internal/ledger"
	"sekimori/internal/spool"
)

// Deliver hands a mail to the backends while the client waits, at most for the budget. With a nil error every recipient is
// answered for: Delivered, Queued (on our disk, whatever happens next), or Refused; Refused stands for all recipients or for
// none. With an error nobody took the mail over, and the client must be told to come again. Recipients of several sets of
// backends are queued. ctx ends the waiting for a backend; what a backend has been given is not taken back by it.
func (r *Relay) Deliver(ctx context.Context, env Envelope) ([]Answer, error) {
	if len(env.Rcpts) == 0 {
		return nil, errors.New("relay: no recipients")
	}
	if env.Once {
		return r.queued(ctx, env)
	}
	rt := r.router()
	s, one := rt.of(env.Rcpts[0]), true
	for _, a := range env.Rcpts {
		t := rt.of(a)
		if t.deferring && !t.alive() {
			return nil, fmt.Errorf("%w: %w", ErrDown, t.why())
		}
		one = one && t == s
	}
	if !one {
		return r.queued(ctx, env)
	}
	p := r.parcel(env, env.ID, env.Rcpts)
	if !s.alive() {
		for i := range p.e.Rcpts {
			p.e.Rcpts[i].Last = printable([]byte(s.why().Error()))
		}
		if err := p.record(spool.StateQueued, r.after(0)); err != nil {
			p.discard()
			return nil, err
		}
		r.queue.add(p.e.ID, r.way(&p.e), p.e.Next, true)
		return p.told(), nil
	}
	j := p.job(p.waiting())
	j.beforeData = p.secure
	res := r.try(ctx, s, j, time.Now().Add(r.budget()))
	return p.taken(s, res)
}

// taken turns the result of the try in front of a client into answers.
func (p *parcel) taken(s *set, res result) ([]Answer, error) {
	p.backend = res.backend
	to := p.waiting()
	switch {
	case res.flight != nil:
		return p.late(res)
	case res.fault == noFault:
		p.note(to, res.answers)
		return p.settled()
	case res.fault == aborted:
		p.discard()
		return nil, fmt.Errorf("relay: %w", res.err)
	}
	if s.deferring && res.fault == unwell {
		p.discard()
		return nil, fmt.Errorf("%w: %w", ErrDown, res.err)
	}
	p.failAll(to, res.err)
	if p.broken(res); res.fault == lost {
		p.r.duplicate(p.e.ID, res)
	}
	next := p.next(s)
	if res.fault == busy {
		next = p.r.o.Now()
	}
	if err := p.record(spool.StateQueued, next); err != nil {
		p.discard()
		return nil, err
	}
	p.r.queue.avoid(p.e.ID, p.lostBy)
	p.r.queue.add(p.e.ID, p.r.way(&p.e), next, res.fault == unwell && !s.alive())
	return p.told(), nil
}

// broken notes how the connection of a try ended that came to nothing.
func (p *parcel) broken(res result) {
	p.broke, p.lostBy = res.hard, ""
	if res.fault == lost {
		p.lostBy = res.backend
	}
}

func (r *Relay) duplicate(id string, res result) {
	r.Counters.Duplicates.Add(1)
	r.o.Log.Warn("relay: connection lost behind the final dot; the mail is sent again and may arrive twice",
		"id", id, "backend", res.backend, "error", res.err)
}

// settled ends a delivery in which every recipient was answered.
func (p *parcel) settled() ([]Answer, error) {
	waiting, failed := p.count(spool.Waiting), p.count(spool.Failed)
	if waiting == 0 && (failed == 0 || failed == len(p.e.Rcpts)) {
		p.discard()
		if failed > 0 {
			p.r.Counters.Refused.Add(int64(failed))
			return p.refusals(), nil
		}
		return p.told(), nil
	}
	next := p.r.after(1)
	if failed > 0 {
		next = p.r.o.Now()
	}
	if err := p.record(spool.StateQueued, next); err != nil {
		p.discard()
		if n := p.count(spool.Delivered); n > 0 {
			p.r.o.Log.Error("relay: the mail was delivered to some and cannot be kept for the others; the client sends it again to all",
				"id", p.e.ID, "delivered", n, "error", err)
		}
		return nil, err
	}
	p.r.queue.add(p.e.ID, p.r.way(&p.e), next, false)
	return p.told(), nil
}

// late keeps a mail whose answer is outstanding as in flight, and lets somebody else wait for it.
func (p *parcel) late(res result) ([]Answer, error) {
	f := res.flight
	p.r.Counters.Late.Add(1)
	p.note(p.waiting(), f.answers)
	p.r.o.Log.Warn("relay: the answer to the final dot is late", "id", p.e.ID, "backend", res.backend)
	if err := p.record(spool.StateInflight, p.r.o.Now().Add(p.r.late())); err != nil {
		p.r.o.Log.Error("relay: a mail in flight cannot be spooled; the client waits on", "id", p.e.ID, "error", err)
		return p.holdOut(f, err)
	}
	told := p.told()
	p.r.queue.fly(p.e.ID)
	p.content = nil // the caller's
	if !p.r.spawn(func() { p.follow(f) }) {
		f.end(errClosed)
	}
	return told, nil
}

// holdOut waits for a late answer in front of the client, which may wait for 10 minutes (RFC 5321 section 4.5.3.2.6).
func (p *parcel) holdOut(f *flight, cause error) ([]Answer, error) {
	err := f.wait(f.since.Add(p.r.late()))
	f.end(err)
	if err != nil {
		p.discard()
		return nil, fmt.Errorf("relay: %w; %w", cause, err)
	}
	f.b.ok()
	p.backend = f.b.url
	p.arrive(f.answers)
	return p.settled()
}

// arrive notes the answers to those in flight. A mail gets into flight only in front of a client, when its first job had all
// recipients: answers go with them one by one.
func (p *parcel) arrive(answers []answer) {
	var to []int
	for i := range p.e.Rcpts {
		if p.e.Rcpts[i].Status == spool.Inflight {
			to = append(to, i)
		}
	}
	p.tell(to, answers, nil)
	for i, a := range answers {
		c := &p.e.Rcpts[i]
		if c.Status != spool.Inflight {
			continue
		}
		c.At = p.r.o.Now()
		switch a.state {
		case delivered:
			c.Status, c.Last = spool.Delivered, ""
			p.end(i, ledger.Delivered, p.backend)
			p.r.Counters.Delivered.Add(1)
		case refused:
			c.Status, c.Last = spool.Failed, a.reply.mail().String()
		default:
			c.Status, c.Last = spool.Waiting, a.reply.mail().String()
		}
	}
}

// told says Delivered or Queued for each recipient.
func (p *parcel) told() []Answer {
	answers := make([]Answer, len(p.e.Rcpts))
	for i, c := range p.e.Rcpts {
		answers[i] = Answer{Rcpt: c.Addr, State: Queued}
		if c.Status == spool.Delivered {
			answers[i].State, answers[i].Backend = Delivered, p.backend
		}
	}
	return answers
}

func (p *parcel) refusals() []Answer {
	answers := make([]Answer, len(p.e.Rcpts))
	for i, c := range p.e.Rcpts {
		answers[i] = Answer{Rcpt: c.Addr, State: Refused, Reply: parseWords(c.Last), Backend: p.backend}
	}
	return answers
}
