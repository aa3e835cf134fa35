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

const (
	verbRelease = "quarantine.release"
	verbDelete  = "quarantine.delete"
)

// Release asks that a mail be handed to the relay for these recipients (all when none is named), in the name of by. The
// running serve does so once; who asks again changes nothing. It returns the states after the request. When the store does
// not answer, or the mail is only on this host's disk, the request is left as a file for the serve of this host, and the
// states are nil. ErrNotFound; ErrState when the mail was deleted or has expired.
func (q *Store) Release(ctx context.Context, id string, rcpts []mail.Address, by string) ([]RcptState, error) {
	return q.ask(ctx, verbRelease, id, rcpts, cleanBy(by))
}

// Delete deletes a mail for these recipients (all when none is named) in the name of by. For an hour it can still be
// released; then its octets are gone. What was released stays so. Otherwise like Release.
func (q *Store) Delete(ctx context.Context, id string, rcpts []mail.Address, by string) ([]RcptState, error) {
	return q.ask(ctx, verbDelete, id, rcpts, cleanBy(by))
}

func (q *Store) ask(ctx context.Context, verb, id string, rcpts []mail.Address, by string) ([]RcptState, error) {
	if !spool.ValidID(id) {
		return nil, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	r, err := q.record(ctx, id)
	if err == nil {
		c, err := q.change(ctx, r, rcpts, Decision{Delete: verb == verbDelete, By: by})
		return c.States, err
	}
	if errors.Is(err, ErrKey) {
		return nil, err
	}
	_, perr := q.pending(id)
	if errors.Is(err, ErrNotFound) && perr != nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if q.o.SpoolDir == "" {
		return nil, err
	}
	args := []string{id, by}
	for _, a := range rcpts {
		args = append(args, a.String())
	}
	if aerr := spool.Ask(q.o.SpoolDir, verb, args, q.o.Now()); aerr != nil {
		return nil, errors.Join(err, aerr)
	}
	return nil, nil
}

// Changed is what a request changed.
type Changed struct {
	States []RcptState // of all for whom it was asked, after it
	// From is the state before (held, deleted), by Address.Key of those whose state this request changed.
	From map[string]string
	By   string
	At   time.Time
	Due  time.Time // of a release: when it is handed over; zero: at once
}

// change makes the change of state that is the decision. A release that is due later can be undone until then.
func (q *Store) change(ctx context.Context, r *record, rcpts []mail.Address, d Decision) (Changed, error) {
	who, err := r.pick(rcpts)
	if err != nil {
		return Changed{}, err
	}
	if d.At.IsZero() {
		d.At = q.o.Now()
	}
	d.At = d.At.UTC().Truncate(time.Millisecond)
	c := Changed{From: map[string]string{}, By: d.By, At: d.At, Due: d.Due}
	// Noted before, so that a crash in between leaves no release unseen; and after, because the serve may have looked
	// meanwhile, found nothing to do and taken the note away.
	if err := q.noteRequest(ctx, r.ID, latest(q.o.Now(), d.Due)); err != nil {
		return c, err
	}
	to, from := encodeState(StateReleasing, d.At, d.By), []string{StateHeld, StateDeleted}
	if !d.Due.IsZero() {
		to = encodeDelayed(d.At, d.By, d.Due)
	}
	if d.Delete {
		to = encodeState(StateDeleted, d.At, d.By)
	}
	if d.Delete || d.HeldOnly {
		from = from[:1]
	}
	for _, state := range from {
		done, err := q.move(ctx, r.ID, state+"|", to, who)
		if err != nil {
			return c, err
		}
		for _, a := range done {
			c.From[a.Key()] = state
		}
		if d.Delete {
			q.ended(r, done, StateDeleted, d.By, d.At)
		}
	}
	if err := q.noteRequest(ctx, r.ID, latest(q.o.Now(), d.Due)); err != nil {
		return c, err
	}
	if d.Due.IsZero() {
		q.o.Store.Client().Publish(ctx, hintChannel, r.ID) // a hint: the serve looks once a second anyway
	}
	c.States, err = q.after(ctx, d.Delete, r.ID, who)
	return c, err
}

// move changes states in one step and returns whose state it was.
func (q *Store) move(ctx context.Context, id, from, to string, rcpts []mail.Address) ([]mail.Address, error) {
	args := []any{from, to}
	byKey := map[string]mail.Address{}
	for _, a := range rcpts {
		args = append(args, a.Key())
		byKey[a.Key()] = a
	}
	keys, err := q.scripts.move.Run(ctx, q.o.Store.Client(), []string{mailKey(id)}, args...).StringSlice()
	if err != nil && !errors.Is(err, store.Nil) {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	var done []mail.Address
	for _, k := range keys {
		done = append(done, byKey[k])
	}
	return done, nil
}

// after reads the states and says whether the request has what it wanted.
func (q *Store) after(ctx context.Context, deleted bool, id string, who []mail.Address) ([]RcptState, error) {
	r, err := q.record(ctx, id)
	if err != nil {
		return nil, err
	}
	good := map[string]bool{StateReleasing: true, StateReleased: true}
	if deleted {
		good = map[string]bool{StateDeleted: true, StateExpired: true}
	}
	var list []RcptState
	for _, s := range r.rcpts() {
		for _, a := range who {
			if a.Key() != s.Rcpt.Key() {
				continue
			}
			list = append(list, s)
			if !good[s.State] {
				err = fmt.Errorf("%w: %s is %s for %s", ErrState, id, s.State, s.Rcpt)
			}
		}
	}
	return list, err
}
