package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
)

// Recorder writes down what this host has taken over and what became of it (the ledger).
type Recorder interface {
	// Held is called when a mail is safe and before Hold returns nil. On an error the mail is taken back.
	Held(id string, rcpts []mail.Address) error
	// Ended is called at least once when a recipient's mail reaches an end state at this host, also for mail that another
	// host holds. What it cannot write it finds again with States.
	Ended(End) error
}

// byNobody marks a mail that was taken back before it was acknowledged.
const byNobody = "not acknowledged"

// note is the last step of Hold. pending says that the mail stands on the disk, stored that it is in the store.
func (q *Store) note(ctx context.Context, h *Held, pending, stored bool) error {
	if q.o.Recorder == nil || h.Refused {
		return nil
	}
	err := q.o.Recorder.Held(h.ID, h.Rcpts)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("quarantine: what is held cannot be written down: %w", err)
	if pending {
		err = errors.Join(err, q.o.Spool.Remove(holdID(h.ID)))
	}
	if stored {
		err = errors.Join(err, q.takeBack(ctx, h))
	}
	return err
}

// takeBack marks a copy in the store of a mail that is not acknowledged: it comes again, and must not be shown twice.
func (q *Store) takeBack(ctx context.Context, h *Held) error {
	_, err := q.move(ctx, h.ID, StateHeld+"|", encodeState(StateDeleted, q.o.Now(), byNobody), h.Rcpts)
	return err
}

// again makes a mail held that was taken back and is now held under the same ID.
func (q *Store) again(ctx context.Context, h *Held) error {
	r, err := q.record(ctx, h.ID)
	if err != nil {
		return err
	}
	for _, s := range r.rcpts() {
		if s.State != StateDeleted || s.By != byNobody {
			continue
		}
		if r.fin { // its octets are deleted: the next try stores them anew
			err := q.o.Store.Client().Del(ctx, mailKey(h.ID), headKey(h.ID)).Err()
			return errors.Join(fmt.Errorf("%w: %s was taken back and is stored again by the next try", ErrState, h.ID), err)
		}
		to := encodeState(StateHeld, q.o.Now(), "")
		if _, err := q.move(ctx, h.ID, r.states[s.Rcpt.Key()], to, []mail.Address{s.Rcpt}); err != nil {
			return err
		}
	}
	return nil
}

// remember writes an end into the copy on this host's disk, if there is one yet: a store that loses its last writes gets the mail
// from there again, and must not get it as held. It stands there before it stands in the ledger.
func (q *Store) remember(id string, rcpts []mail.Address, state string) {
	if q.o.Spool == nil {
		return
	}
	err := q.editPending(id, func(p *pendingHold) bool {
		changed := false
		for _, a := range rcpts {
			if p.States[a.Key()] != state {
				p.States[a.Key()], changed = state, true
			}
		}
		return changed
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		q.o.Log.Warn("quarantine: the copy on the disk cannot be changed", "id", id, "error", err)
	}
}

// CatchUp takes over into the copy on this host's disk, if there is one yet, what became of the mail at another host or by a
// command.
func (q *Store) CatchUp(ctx context.Context, id string) error {
	if _, err := q.pending(id); err != nil {
		return nil // nothing on the disk
	}
	r, err := q.record(ctx, id)
	if err != nil {
		return err
	}
	for _, s := range r.everyState() {
		if s.State != StateHeld && s.State != StateReleasing {
			q.remember(id, []mail.Address{s.Rcpt}, r.states[s.Rcpt.Key()])
		}
	}
	return nil
}

const statesStep = 500

// States returns the state of recipients (mail.Address.Key) of many mails, in the store or on this host's disk. What is not
// known is left out. It fails when the store does not answer.
func (q *Store) States(ctx context.Context, rcpts map[string][]string) (map[string]map[string]RcptState, error) {
	found := map[string]map[string]RcptState{}
	put := func(id, key, state string) {
		if found[id] == nil {
			found[id] = map[string]RcptState{}
		}
		var a mail.Address
		_ = a.UnmarshalText([]byte(key)) // never fails
		s, at, by := decodeState(state)
		found[id][key] = RcptState{a, s, by, at, dueOf(state)}
	}
	for _, p := range q.pendings() {
		for key, state := range p.States {
			put(p.Held.ID, key, state)
		}
	}
	ids := make([]string, 0, statesStep)
	ask := func() error {
		pipe := q.o.Store.Client().Pipeline()
		got := make([]*store.SliceCmd, len(ids))
		for i, id := range ids {
			fields := make([]string, len(rcpts[id]))
			for k, r := range rcpts[id] {
				fields[k] = "s:" + r
			}
			got[i] = pipe.HMGet(ctx, mailKey(id), fields...)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
		for i, id := range ids {
			for k, v := range got[i].Val() {
				if s, ok := v.(string); ok {
					put(id, rcpts[id][k], s)
				}
			}
		}
		ids = ids[:0]
		return nil
	}
	for id := range rcpts {
		if ids = append(ids, id); len(ids) == statesStep {
			if err := ask(); err != nil {
				return found, err
			}
		}
	}
	if len(ids) > 0 {
		return found, ask()
	}
	return found, nil
}

// lockedPending returns the holds on the disk whose key is missing, with what stands beside them in the clear: they are there.
func (q *Store) lockedPending() []Item {
	if q.reader == nil {
		return nil
	}
	entries, err := q.reader.List(spool.KindHold)
	if err != nil {
		return nil
	}
	var list []Item
	for _, e := range entries {
		id, is := strings.CutSuffix(e.ID, ".hold")
		if _, err := q.decodePending(e); !is || e.Lane == laneRefused || !errors.Is(err, ErrKey) {
			continue
		}
		h := Held{ID: id, From: e.From, Time: e.Created}
		r := record{meta: meta{Held: h}, states: map[string]string{}}
		for _, a := range e.Rcpts {
			r.Rcpts = append(r.Rcpts, a.Addr)
			r.states[a.Addr.Key()] = encodeState(StateHeld, e.Created, "")
		}
		i := r.item()
		i.Pending = true
		list = append(list, i)
	}
	return list
}

// Pending returns the promised holds on this host's disk (copies of what was refused are none), with the states that the store has of those that are there as well. While it
// does not answer they stand as they are on the disk.
func (q *Store) Pending(ctx context.Context) []Item {
	var list []Item
	stored := map[string][]string{}
	list = append(list, q.lockedPending()...)
	for _, p := range q.pendings() {
		if p.Held.Refused {
			continue
		}
		list = append(list, p.item())
		if p.Stored {
			for key := range p.States {
				stored[p.Held.ID] = append(stored[p.Held.ID], key)
			}
		}
	}
	if len(stored) == 0 {
		return list
	}
	states, err := q.States(ctx, stored)
	if err != nil {
		return list
	}
	for i := range list {
		for k := range list[i].States {
			s := &list[i].States[k]
			if now, ok := states[list[i].ID][s.Rcpt.Key()]; ok && s.State == StateHeld {
				now.Rcpt = s.Rcpt
				*s = now
			}
		}
	}
	return list
}
