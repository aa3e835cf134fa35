package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sekimori/internal/ledger"
	"sekimori/internal/mail"
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

// parcel is a mail for one set of backends, with what became of each recipient.
type parcel struct {
	r        *Relay
	e        spool.Entry
	content  mail.Content
	meta     func() []byte // of the entry, until it stands in the spool
	stored   bool
	accepted bool    // it stands in the ledger
	backend  string  // that was asked last
	notice   *Staged // of an earlier report, to be committed once the ends are written
	unsaved  bool    // the spool lacks something of it
	sooner   bool    // nothing was handed over: it may be tried as soon as a backend lives again
	broke    bool    // the connection of the last try broke or stalled
	lostBy   string  // behind the final dot: of that backend
}

func (r *Relay) parcel(env Envelope, id string, rcpts []mail.Address) *parcel {
	p := &parcel{r: r, content: env.Content, meta: env.Meta, e: spool.Entry{
		ID: id, Kind: spool.KindQueue, From: env.From, Size: env.Content.Len(),
		EightBit: env.EightBit, UTF8: env.UTF8, Client: env.Client, Lane: env.Lane, Once: env.Once,
	}}
	p.e.Rcpts = make([]spool.Rcpt, len(rcpts))
	for i, a := range rcpts {
		p.e.Rcpts[i] = spool.Rcpt{Addr: a, Status: spool.Waiting}
	}
	return p
}

// waiting returns the indexes of the recipients that are to be tried.
func (p *parcel) waiting() []int {
	var list []int
	for i := range p.e.Rcpts {
		if p.e.Rcpts[i].Status == spool.Waiting {
			list = append(list, i)
		}
	}
	return list
}

func (p *parcel) job(to []int) *job {
	j := &job{id: p.e.ID, from: p.e.From, content: p.content, size: p.e.Size, eightBit: p.e.EightBit, utf8: p.e.UTF8, client: p.e.Client}
	j.rcpts = make([]mail.Address, len(to))
	for k, i := range to {
		j.rcpts[k] = p.e.Rcpts[i].Addr
	}
	return j
}

// note writes down what was said about the recipients of a job.
func (p *parcel) note(to []int, answers []answer) {
	p.tell(to, answers, nil)
	for k, i := range to {
		c := &p.e.Rcpts[i]
		c.Attempts++
		c.By, c.At = p.backend, p.r.o.Now()
		switch a := answers[k]; a.state {
		case delivered:
			c.Status, c.Last = spool.Delivered, ""
			p.end(i, ledger.Delivered, p.backend)
			p.r.Counters.Delivered.Add(1)
			if p.e.Lane == LaneJournal {
				p.r.o.Warn(WarnJournal, "") // the archive takes mail again
			}
		case accepted:
			c.Status = spool.Inflight
		case refused:
			c.Last = a.reply.mail().String()
			if p.e.Lane != LaneJournal { // an archive that says no is to be mended: the copy waits
				c.Status = spool.Failed
			}
		default:
			c.Last = a.reply.mail().String()
		}
	}
}

// failAll notes for recipients that nothing was handed over, and why.
func (p *parcel) failAll(to []int, err error) {
	p.tell(to, nil, err)
	for _, i := range to {
		p.e.Rcpts[i].Attempts++
		p.e.Rcpts[i].Last = printable([]byte(err.Error()))
	}
}

// count returns how many recipients have the status.
func (p *parcel) count(status string) int {
	n := 0
	for i := range p.e.Rcpts {
		if p.e.Rcpts[i].Status == status {
			n++
		}
	}
	return n
}

// secure is job.beforeData: it puts those who were not accepted into the spool. Those who were are left out: should we die now,
// the client has no answer and sends the mail again.
func (p *parcel) secure(answers []answer) error {
	all := p.e.Rcpts
	defer func() { p.e.Rcpts = all }()
	p.e.Rcpts = nil
	for i, a := range answers {
		c := all[i]
		switch a.state {
		case accepted:
			continue
		case refused:
			c.Status = spool.Failed
		}
		c.Attempts, c.Last = 1, a.reply.mail().String()
		p.e.Rcpts = append(p.e.Rcpts, c)
	}
	return p.keep(spool.StateQueued, p.r.o.Now())
}

// keep writes the parcel into the spool as it is now.
func (p *parcel) keep(state string, next time.Time) error {
	p.e.State, p.e.Next = state, next
	if p.e.Created.IsZero() {
		p.e.Created = p.r.o.Now()
	}
	if p.stored {
		return p.r.o.Spool.Update(p.e)
	}
	if p.meta != nil && p.e.Meta == nil {
		p.e.Meta = p.meta()
	}
	if err := p.r.o.Spool.Put(p.e, p.content); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	p.stored = true
	p.r.Counters.Spooled.Add(1)
	return nil
}

// discard takes the parcel out of the spool, where it stands only for what did not come to be.
func (p *parcel) discard() {
	if !p.stored {
		return
	}
	p.stored = false
	p.withdraw()
	if err := p.r.o.Spool.Remove(p.e.ID); err != nil {
		p.r.o.Log.Error("relay: a spool entry cannot be removed", "id", p.e.ID, "error", err)
	}
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
