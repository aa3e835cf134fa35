package quarantine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
)

// Decision is what is to become of a mail.
type Decision struct {
	Delete bool // else it is released
	By     string
	// At is when it was decided; zero: now. The same decision, At, By and Due included, can be made again after a crash and then is
	// still one.
	At time.Time
	// Due is the time before which a released mail does not leave, so that it can be undone with Undo; zero: at once.
	Due time.Time
	// HeldOnly leaves alone what is deleted; else it is released.
	HeldOnly bool
}

// Decide is Release or Delete that says what it changed, for Undo, and whose release can wait. The time for which it waits stands in
// the store: whichever serve runs then hands the mail over, once. Unlike them it needs the store.
func (q *Store) Decide(ctx context.Context, id string, rcpts []mail.Address, d Decision) (Changed, error) {
	if !spool.ValidID(id) {
		return Changed{}, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	r, err := q.record(ctx, id)
	if err != nil {
		if _, perr := q.pending(id); perr == nil && errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("%w: %s is not in the store yet", ErrState, id)
		}
		return Changed{}, err
	}
	d.By = actor(d.By)
	return q.change(ctx, r, rcpts, d)
}

// actor is never empty: a state that names nobody would be taken for another.
func actor(by string) string {
	if by = cleanBy(by); by == "" {
		return "unknown"
	}
	return by
}

// Undo takes back what Decide changed, for those recipients whose state is still what that request made it, and
// returns them: a release before it is due, a deletion while the octets are kept. They get the state back that they had. Who asks
// again changes nothing.
func (q *Store) Undo(ctx context.Context, id string, c Changed, by string) ([]mail.Address, error) {
	r, err := q.record(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.fin {
		return nil, nil
	}
	c.By = actor(c.By)
	was := encodeState(StateDeleted, c.At, c.By)
	if !c.Due.IsZero() {
		was = encodeDelayed(c.At, c.By, c.Due)
	}
	var all []mail.Address
	for _, state := range []string{StateHeld, StateDeleted} {
		var who []mail.Address
		for _, a := range r.Rcpts {
			if c.From[a.Key()] == state {
				who = append(who, a)
			}
		}
		done, err := q.unmove(ctx, r, was, state, who, actor(by))
		if err != nil {
			return all, err
		}
		all = append(all, done...)
	}
	return all, nil
}

// unmove brings back a state. What was deleted and is held again has not ended: it is written down anew before it changes.
func (q *Store) unmove(ctx context.Context, r *record, was, state string, who []mail.Address, by string) ([]mail.Address, error) {
	who = slices.DeleteFunc(who, func(a mail.Address) bool { return r.states[a.Key()] != was })
	if len(who) == 0 {
		return nil, nil
	}
	to := encodeState(state, q.o.Now(), by)
	deleted, _, _ := decodeState(was)
	if deleted == StateDeleted && q.o.Recorder != nil && !r.Refused {
		if err := q.o.Recorder.Held(r.ID, who); err != nil {
			return nil, fmt.Errorf("quarantine: what is held again cannot be written down: %w", err)
		}
	}
	done, err := q.move(ctx, r.ID, was, to, who)
	if err != nil {
		return nil, err
	}
	q.remember(r.ID, done, to)
	for _, a := range done {
		q.o.Log.Info("quarantine: "+state+" again", "id", r.ID, "rcpt", a.String(), "by", by)
	}
	return done, nil
}

// noteRequest notes that something is to be done for a mail at a time; an earlier note stands.
func (q *Store) noteRequest(ctx context.Context, id string, at time.Time) error {
	err := q.scripts.note.Run(ctx, q.o.Store.Client(), []string{requestsKey}, id, at.UnixMilli()).Err()
	if err != nil && !errors.Is(err, store.Nil) {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// firm makes a release that is due one that cannot be undone any more. It returns those of the group for whom it still stands.
func (q *Store) firm(ctx context.Context, id string, g group) (group, error) {
	if g.due.IsZero() {
		return g, nil
	}
	to := encodeState(StateReleasing, g.at, g.by)
	rcpts, err := q.move(ctx, id, g.state, to, g.rcpts)
	return group{state: to, by: g.by, at: g.at, rcpts: rcpts}, err
}

// rest notes when the next release of a mail is due, or that nothing is left to do.
func (q *Store) rest(ctx context.Context, id string) error {
	for range 4 {
		r, err := q.record(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return q.requestDone(ctx, id)
		}
		if err != nil {
			return err
		}
		next, open := r.nextDue()
		if !open {
			return q.settled(ctx, r)
		}
		if err := q.o.Store.Client().ZAdd(ctx, requestsKey, store.Z{Score: float64(next.UnixMilli()), Member: id}).Err(); err != nil {
			return err
		}
		// A request of this moment may be due earlier, and its note may have been written over.
		if r, err = q.record(ctx, id); err != nil {
			return err
		}
		if again, open := r.nextDue(); open && !again.Before(next) {
			return nil
		}
	}
	return q.noteRequest(ctx, id, q.o.Now())
}

// settled lets the sweep look when the octets may go, and takes the note away.
func (q *Store) settled(ctx context.Context, r *record) error {
	due := store.Z{Score: float64(min(r.changed().Add(grace).UnixMilli(), r.Until.UnixMilli())), Member: r.ID}
	if err := q.o.Store.Client().ZAdd(ctx, dueIndex, due).Err(); err != nil {
		return err
	}
	if err := q.requestDone(ctx, r.ID); err != nil {
		return err
	}
	// What came while the note was taken away notes itself again; unless that host died just then.
	r, err := q.record(ctx, r.ID)
	if err != nil {
		return nil //nolint:nilerr // it is gone, or the store is: then the repair finds it
	}
	if next, open := r.nextDue(); open {
		return q.noteRequest(ctx, r.ID, next)
	}
	return nil
}

// nextDue returns when the earliest release is due that is asked for; open is false when there is none.
func (r *record) nextDue() (next time.Time, open bool) {
	for _, s := range r.rcpts() {
		if s.State != StateReleasing {
			continue
		}
		at := latest(s.At, s.Due)
		if !open || at.Before(next) {
			next, open = at, true
		}
	}
	return next, open
}
