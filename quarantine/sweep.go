package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/store"
)

const (
	sweepMost  = 500 // mails in one sweep; when more are due, the next one is a second later
	intentWait = 2 * time.Minute
)

// sweep looks at the mails that are due: it expires what was kept long enough, and deletes the octets of mails that are at
// an end for every recipient.
func (q *Store) sweep(ctx context.Context) (done bool, err error) {
	now := q.o.Now()
	due := &store.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: sweepMost}
	ids, err := q.o.Store.Client().ZRangeByScore(ctx, dueIndex, due).Result()
	if err != nil {
		return false, err
	}
	var first error
	for _, id := range ids {
		if err := q.due(ctx, id, now); err != nil && first == nil {
			first = fmt.Errorf("%s: %w", id, err)
		}
	}
	if err := errors.Join(q.warnLate(ctx), q.endForgotten(ctx, now)); err != nil && first == nil {
		first = err
	}
	return len(ids) < sweepMost, first
}

func (q *Store) due(ctx context.Context, id string, now time.Time) error {
	r, err := q.record(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return q.unindex(ctx, id, nil)
	}
	if errors.Is(err, ErrKey) { // it must not keep the sweep from the others
		return errors.Join(err, q.o.Store.Client().ZAdd(ctx, dueIndex, store.Z{Score: float64(now.Add(lateEvery).UnixMilli()), Member: id}).Err())
	}
	if err != nil {
		return err
	}
	if r.forgotten {
		return q.bury(ctx, r)
	}
	stay := 0
	if !now.Before(r.Until) {
		if stay, err = q.expire(ctx, r, now); err != nil {
			return err
		}
	}
	args := []any{now.UnixMilli()}
	for _, a := range r.Rcpts {
		args = append(args, a.Key())
	}
	fin, err := q.scripts.finish.Run(ctx, q.o.Store.Client(), []string{mailKey(id), headKey(id)}, args...).Int()
	if err != nil {
		return err
	}
	if fin == 0 {
		return q.later(ctx, r, stay, now)
	}
	// The order lets a crash be repeated: the mail leaves the indexes last.
	deleted, err := q.dropBody(ctx, id, r.Hash)
	if err != nil {
		return err
	}
	octets := r.Own
	if deleted {
		octets += r.ZSize
	}
	pipe := q.o.Store.Client().Pipeline()
	q.count(ctx, pipe, &r.Held, -octets, -r.Paid)
	_, _ = pipe.Exec(ctx) // an estimate; an error is no loss
	return q.unindex(ctx, id, &r.Held)
}

// intents ends what a crash left half done: a mail that was committed gets its indexes, a body that no mail came to use is
// given up.
func (q *Store) intents(ctx context.Context) (done bool, err error) {
	c := q.o.Store.Client()
	old := strconv.FormatInt(q.o.Now().Add(-intentWait).UnixMilli(), 10)
	list, err := c.ZRangeByScore(ctx, intentsKey, &store.ZRangeBy{Min: "-inf", Max: old, Count: sweepMost}).Result()
	if err != nil {
		return false, err
	}
	var first error
	for _, intent := range list {
		id, hash, _ := strings.Cut(intent, " ")
		r, err := q.record(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			_, err = q.dropBody(ctx, id, hash)
		case err == nil && !r.fin:
			err = q.reindex(ctx, r)
		}
		if err == nil {
			err = c.ZRem(ctx, intentsKey, intent).Err()
		}
		if err != nil && first == nil {
			first = fmt.Errorf("%s: %w", id, err)
		}
	}
	return len(list) < sweepMost, first
}

// Stats says how full the quarantine is.
type Stats struct {
	Mails    int64     // in the store, with those that are at an end for less than the grace
	Octets   int64     // that they take, compressed; corrected every ten minutes
	Quota    int64     // 0: none
	Oldest   time.Time // zero when there is none
	Requests int64     // open or just done
	Late     int64     // of Mails: kept beyond their time, because not everybody was told of them
	Pending  int       // on this host's disk, waiting for the store to have or to save them
	Down     string    // why the store could not be asked; then only Pending is known
}

// Stats never fails: Down says when the store did not answer.
func (q *Store) Stats(ctx context.Context) Stats {
	s := Stats{Quota: q.o.Quota, Pending: len(q.pendings())}
	pipe := q.o.Store.Client().Pipeline()
	mails, used := pipe.ZCard(ctx, timeIndex), pipe.Get(ctx, usedKey)
	requests, late := pipe.ZCard(ctx, requestsKey), pipe.ZCard(ctx, lateKey)
	oldest := pipe.ZRangeWithScores(ctx, timeIndex, 0, 0)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		s.Down = err.Error()
		return s
	}
	s.Mails, s.Requests, s.Late = mails.Val(), requests.Val(), late.Val()
	s.Octets, _ = used.Int64()
	if z := oldest.Val(); len(z) > 0 {
		s.Oldest = time.UnixMilli(int64(z[0].Score)).UTC()
	}
	return s
}

// Untold returns for how many recipients a mail has expired here since the start although not everybody was told of it.
func (q *Store) Untold() int64 { return q.untold.Load() }
