package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// The lanes of an Envelope that goes elsewhere than mail that came in.
const (
	// LaneOutbound is for mail to the world: reports to senders, redirected and copied mail. An address of our domains goes to
	// its backend, every other to the server of [bounce].
	LaneOutbound = "outbound"
	// LaneJournal is for copies to the archive. They wait for journal.lifetime, and a refusal does not end the waiting.
	LaneJournal = "journal"
)

// WarnJournal is the cause under which it is told (Options.Warn) that the archive did not take copies; a copy that it takes ends it.
const WarnJournal = "journal"

// on returns the set of a recipient on a lane.
func (r *router) on(lane string, a mail.Address) *set {
	switch {
	case lane == "":
		return r.of(a)
	case lane == LaneJournal && r.journal != nil:
		return r.journal
	}
	if s := r.of(a); s != r.nowhere {
		return s
	}
	return r.outbound
}

// lanes makes the sets that do not belong to a domain.
func (b *builder) lanes(rt *router, c *config.Config) (err error) {
	rt.outbound = rt.nowhere
	if c.Bounce.Configured() {
		if rt.outbound, err = b.set([]config.Backend{c.Bounce.Backend}, false); err != nil {
			return err
		}
	}
	if j := &c.Journal; j.Backend != "" {
		rt.journal, err = b.set([]config.Backend{{URL: j.Backend, Weight: 1, TLS: j.TLS, Chunking: true}}, false)
	}
	return err
}

// Config returns the configuration that is in force.
func (r *Relay) Config() *config.Config { return r.config() }

func (r *Relay) lifetimeOf(lane string) time.Duration {
	if lane == LaneJournal {
		return max(r.lifetime(), r.config().Journal.Lifetime.D())
	}
	return r.lifetime()
}

// Staged is mail that is safe in the spool and not yet tried. After a crash it is tried.
type Staged struct {
	r       *Relay
	parcels []*parcel
}

// Stage puts a mail into the spool, one entry per set of backends, all of them or none; with a nil error it is on the disk.
// Commit or Discard must follow, once. It fails with spool.ErrExists when an entry of that ID is there.
func (r *Relay) Stage(_ context.Context, env Envelope) (*Staged, error) {
	if env.Once && len(env.Rcpts) != 1 {
		return nil, fmt.Errorf("relay: %s is to be sent at most once, and has %d recipients instead of one", env.ID, len(env.Rcpts))
	}
	groups := r.route(env.Lane, env.Rcpts)
	if len(groups) == 0 {
		return nil, errors.New("relay: no recipients")
	}
	st := &Staged{r: r}
	for i, rcpts := range groups {
		id := env.ID
		if i > 0 {
			id += "." + strconv.Itoa(i+1)
		}
		p := r.parcel(env, id, rcpts)
		if err := p.keep(spool.StateQueued, r.o.Now()); err != nil {
			st.Discard()
			return nil, err
		}
		p.content = nil // the caller's
		st.parcels = append(st.parcels, p)
	}
	if err := r.accept(st.parcels); err != nil {
		st.Discard()
		return nil, err
	}
	return st, nil
}

// Commit lets it be tried, at once and in the background. A nil Staged holds nothing.
func (s *Staged) Commit() {
	if s == nil {
		return
	}
	for _, p := range s.parcels {
		s.r.queue.adopt(p.e.ID, s.r.way(&p.e), p.e.Next)
	}
}

// Discard takes it out of the spool again.
func (s *Staged) Discard() {
	if s == nil {
		return
	}
	for _, p := range s.parcels {
		p.discard()
	}
}

// Queue puts a mail into the spool; with a nil error it is on the disk. It is tried at once in the background.
func (r *Relay) Queue(ctx context.Context, env Envelope) error {
	st, err := r.Stage(ctx, env)
	if err != nil {
		return err
	}
	st.Commit()
	return nil
}

// queued is Queue that answers as Deliver does.
func (r *Relay) queued(ctx context.Context, env Envelope) ([]Answer, error) {
	if err := r.Queue(ctx, env); err != nil {
		return nil, err
	}
	answers := make([]Answer, len(env.Rcpts))
	for i, a := range env.Rcpts {
		answers[i] = Answer{Rcpt: a, State: Queued}
	}
	return answers, nil
}

// notice stores what OnFailed wants to be sent. One that is in the spool was stored by a call that was not brought to its end.
func (r *Relay) notice(env *Envelope) (*Staged, error) {
	if env == nil {
		return nil, nil
	}
	if _, err := r.o.Spool.Get(env.ID); errors.Is(err, spool.ErrNotFound) && r.known(env.ID) {
		return nil, nil // it went out, and what it is about could not be settled
	}
	st, err := r.Stage(r.base, *env)
	switch {
	case errors.Is(err, spool.ErrExists):
		e, err := r.o.Spool.Get(env.ID)
		if err != nil {
			return nil, err
		}
		return &Staged{r: r, parcels: []*parcel{{r: r, e: e, stored: true}}}, nil
	case err != nil:
		return nil, err
	}
	r.Counters.Notices.Add(1)
	return st, nil
}

// delayed marks an entry that has become old enough for a warning, once.
func (p *parcel) delayed() bool {
	limit := p.r.config().Relay.DelayWarning.D()
	if limit <= 0 || p.e.Warned || p.r.OnDelayed == nil || p.r.o.Now().Sub(p.e.Created) < limit || len(p.waiting()) == 0 {
		return false
	}
	p.e.Warned = true
	return true
}

// warn tells of the delay. The entry says that it was done already: a crash here costs the warning, and never makes a second.
func (p *parcel) warn() {
	f := Failure{Entry: p.e, Content: p.content}
	for _, i := range p.waiting() {
		c := &p.e.Rcpts[i]
		reply, own := delayReply(c.Last)
		f.Rcpts = append(f.Rcpts, FailedRcpt{Addr: c.Addr, Reply: reply, Own: own, By: c.By, At: c.At})
	}
	st, err := p.r.notice(p.r.OnDelayed(p.r.base, f))
	if err != nil {
		p.r.o.Log.Error("relay: the warning of a delay cannot be stored", "id", p.e.ID, "error", err)
		return
	}
	st.Commit()
}

// delayReply is why a mail still waits, as a reply: that of the backend, or that there was none.
func delayReply(last string) (r mail.Reply, own bool) {
	if l, ok := parseLine([]byte(last)); ok && l.code >= 400 {
		return parseWords(last), false
	}
	return mail.Transient(451, 4, 1, "the mail server does not answer"), true
}
