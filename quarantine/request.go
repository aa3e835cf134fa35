package quarantine

import (
	"context"
	"errors"
	"fmt"

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
		return q.change(ctx, verb, r, rcpts, by)
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

// change makes the change of state that is the request.
func (q *Store) change(ctx context.Context, verb string, r *record, rcpts []mail.Address, by string) ([]RcptState, error) {
	who, err := r.pick(rcpts)
	if err != nil {
		return nil, err
	}
	c, now := q.o.Store.Client(), q.o.Now()
	note := func() error {
		return c.ZAdd(ctx, requestsKey, store.Z{Score: float64(now.UnixMilli()), Member: r.ID}).Err()
	}
	// Noted before, so that a crash in between leaves no release unseen; and after, because the serve may have looked
	// meanwhile, found nothing to do and taken the note away.
	if err := note(); err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	moves := [][2]string{{StateHeld + "|", StateReleasing}, {StateDeleted + "|", StateReleasing}}
	if verb == verbDelete {
		moves = [][2]string{{StateHeld + "|", StateDeleted}}
	}
	for _, m := range moves {
		done, err := q.move(ctx, r.ID, m[0], encodeState(m[1], now, by), who)
		if err != nil {
			return nil, err
		}
		if m[1] == StateDeleted {
			q.ended(r, done, StateDeleted, by, now)
		}
	}
	if err := note(); err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	c.Publish(ctx, hintChannel, r.ID) // a hint: the serve looks once a second anyway
	return q.after(ctx, verb, r.ID, who)
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
func (q *Store) after(ctx context.Context, verb, id string, who []mail.Address) ([]RcptState, error) {
	r, err := q.record(ctx, id)
	if err != nil {
		return nil, err
	}
	good := map[string]bool{StateReleasing: true, StateReleased: true}
	if verb == verbDelete {
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
