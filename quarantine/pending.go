package quarantine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
)

// lost tells octets that are missing from a store that does not answer.
func lost(err error, id string) error {
	if errors.Is(err, store.Nil) {
		return fmt.Errorf("%w: %s", ErrLost, id)
	}
	return fmt.Errorf("quarantine: %w", err)
}

// movePending brings the holds on the disk into the store, and lets them go when the store cannot lose them any more.
func (q *Store) movePending(ctx context.Context) error {
	if q.o.Spool == nil {
		return nil
	}
	list := q.pendings()
	if len(list) == 0 {
		return nil
	}
	if err := q.o.Store.Client().Exists(ctx, timeIndex).Err(); err != nil {
		return err // one question instead of one for each hold
	}
	durable := q.o.Store.Durable(ctx)
	saved, ok, err := q.o.Store.Saved(ctx)
	if err != nil {
		ok = false
	}
	for _, p := range list {
		safe := durable || ok && saved.After(p.StoredAt)
		if p.Stored && !safe {
			continue
		}
		if err := q.settle(ctx, p, durable); err != nil {
			return fmt.Errorf("%s: %w", p.Held.ID, err)
		}
	}
	return nil
}

// settle moves one hold a step on. A hold that was stored and is no longer there was lost with the store's memory, and is
// stored again.
func (q *Store) settle(ctx context.Context, p *pendingHold, durable bool) error {
	id := p.Held.ID
	there := false
	if p.Stored {
		n, err := q.o.Store.Client().Exists(ctx, mailKey(id)).Result()
		if err != nil {
			return err
		}
		there = n == 1
	}
	if there {
		if err := q.bringUp(ctx, p); err != nil {
			return err
		}
	} else {
		if err := q.storeAgain(ctx, p); err != nil {
			return err
		}
		if !durable {
			return q.editPending(id, func(p *pendingHold) bool {
				p.Stored, p.StoredAt = true, q.o.Now()
				return true
			})
		}
	}
	return q.o.Spool.Remove(p.entry.ID)
}

// storeAgain brings a hold into the store. When it had been there before, the disk says first that it is not: its old time would make
// a save count that was begun before this.
func (q *Store) storeAgain(ctx context.Context, p *pendingHold) error {
	if p.Stored {
		err := q.editPending(p.Held.ID, func(p *pendingHold) bool {
			p.Stored, p.StoredAt = false, time.Time{}
			return true
		})
		if err != nil {
			return err
		}
	}
	return q.restore(ctx, p)
}

func (q *Store) restore(ctx context.Context, p *pendingHold) error {
	c, done, err := q.pendingContent(p)
	if err != nil {
		return err
	}
	defer done()
	packed, err := q.codec.pack(p.Held.ID, c)
	if err != nil {
		return err
	}
	if err := q.save(ctx, &p.Held, packed, p.States, false); err != nil {
		return err
	}
	return q.bringUp(ctx, p)
}

// bringUp makes the states in the store those of the disk: a hold whose confirmation was lost on the way, or a store that lost its
// last writes, has the mail as held, whatever was done with it since.
func (q *Store) bringUp(ctx context.Context, p *pendingHold) error {
	rec, err := q.record(ctx, p.Held.ID)
	if err != nil {
		return err
	}
	for _, r := range p.Held.Rcpts {
		now := p.States[r.Key()]
		state, at, _ := decodeState(now)
		if state == StateHeld {
			continue
		}
		there := rec.states[r.Key()]
		if state, since, _ := decodeState(there); state != StateHeld || since.After(at) {
			continue // decided there as well, or taken back since
		}
		if _, err := q.move(ctx, p.Held.ID, there, now, []mail.Address{r}); err != nil {
			return err
		}
	}
	return nil
}

// editPending changes the hold of a mail on the disk, as it stands there now, when change says so. ErrNotFound when there is none.
func (q *Store) editPending(id string, change func(*pendingHold) bool) error {
	q.pendMu.Lock()
	defer q.pendMu.Unlock()
	p, err := q.pending(id)
	if err != nil || !change(p) {
		return err
	}
	b, err := q.encodePending(&p.pendingMeta, p.sealed)
	if err != nil {
		return err
	}
	p.entry.Meta = b
	return q.o.Spool.Update(p.entry)
}

// fileRequests carries out what commands asked for while the store did not answer, or of mails it does not have.
func (q *Store) fileRequests(ctx context.Context) error {
	if q.o.Spool == nil {
		return nil
	}
	list, err := q.o.Spool.Requests("quarantine.")
	if err != nil {
		return err
	}
	var first error
	for _, r := range list {
		err := q.fileRequest(ctx, r)
		if errors.Is(err, errLater) {
			first = err
			continue // the store does not answer: it is asked again at the next look
		}
		if err != nil {
			q.o.Log.Warn("quarantine: a request cannot be carried out", "verb", r.Verb, "args", r.Args, "error", err)
		}
		if err := q.o.Spool.Answered(r); err != nil {
			return err
		}
	}
	return first
}

var errLater = errors.New("the store does not answer")

func (q *Store) fileRequest(ctx context.Context, r spool.Request) error {
	if len(r.Args) < 2 || (r.Verb != verbRelease && r.Verb != verbDelete) {
		return fmt.Errorf("%w: %s with %d arguments", ErrInvalid, r.Verb, len(r.Args))
	}
	id, by := r.Args[0], cleanBy(r.Args[1])
	var rcpts []mail.Address
	for _, s := range r.Args[2:] {
		a, err := mail.ParseAddress(s, true)
		if err != nil {
			return fmt.Errorf("%w: %q: %w", ErrInvalid, s, err)
		}
		rcpts = append(rcpts, a)
	}
	if !spool.ValidID(id) {
		return fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	rec, err := q.record(ctx, id)
	if err == nil {
		if q.o.Decide != nil {
			err = q.o.Decide(ctx, id, rcpts, r.Verb == verbDelete, by)
		} else {
			_, err = q.change(ctx, rec, rcpts, Decision{Delete: r.Verb == verbDelete, By: by})
		}
		if err != nil && !errors.Is(err, ErrState) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrInvalid) {
			return fmt.Errorf("%w: %w", errLater, err) // of the store, and not about the mail
		}
		return err
	}
	p, perr := q.pending(id)
	switch {
	case perr == nil && !p.Stored:
		return q.changePending(ctx, r, p, rcpts, by)
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w: %w", errLater, err)
	}
	return err
}

// changePending carries a request out on a hold that is on the disk only. The hold stays there with its new states until the
// store has them.
func (q *Store) changePending(ctx context.Context, r spool.Request, p *pendingHold, rcpts []mail.Address, by string) error {
	m := meta{Held: p.Held}
	who, err := m.pick(rcpts)
	if err != nil {
		return err
	}
	// The time of the request, not of now: a repetition after a crash is then the same release.
	state := StateReleased
	if r.Verb == verbDelete {
		state = StateDeleted
	}
	g := group{state: encodeState(StateReleasing, r.Time, by), by: by, at: r.Time}
	for _, a := range who {
		now, _, _ := decodeState(p.States[a.Key()])
		if now == StateHeld || (now == StateDeleted && state == StateReleased) {
			g.rcpts = append(g.rcpts, a)
		}
	}
	if len(g.rcpts) == 0 {
		return nil
	}
	if state == StateReleased {
		if err := q.deliverPending(ctx, p, g); err != nil {
			return fmt.Errorf("%w: %w", errLater, err)
		}
	}
	err = q.editPending(p.Held.ID, func(p *pendingHold) bool {
		for _, a := range g.rcpts {
			p.States[a.Key()] = encodeState(state, r.Time, by)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errLater, err)
	}
	q.ended(&record{meta: m}, g.rcpts, state, by, r.Time)
	return nil
}

func (q *Store) deliverPending(ctx context.Context, p *pendingHold, g group) error {
	if q.o.Deliverer == nil {
		return errors.New("there is nobody who delivers")
	}
	c, done, err := q.pendingContent(p)
	if err != nil {
		return err
	}
	defer done()
	return q.deliver(ctx, &p.Held, g, p.Trace, c)
}
