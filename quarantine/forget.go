package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// forgottenField of a mail's hash says when it was forgotten: then nothing of it is kept but the states.
const forgottenField = "gone"

// forgottenFor is for how long it is known that a mail was forgotten, so that every host can close its ledger.
const forgottenFor = 7 * 24 * time.Hour

const byForget = "forget "

// Fate is what Forget made of a mail.
type Fate string

// The fates.
const (
	FateNothing   Fate = ""          // there is no such mail, or nothing of the person in it
	FateForgotten Fate = "forgotten" // nothing but its end is known any more
	FateShared    Fate = "shared"    // it stays for others, and the person is not named any more
	FateLeaving   Fate = "leaving"   // it is on its way to the person: afterwards it can be forgotten
	FateUnread    Fate = "unread"    // it is deleted for the person; his name cannot be taken out, because the key is missing
	FateRequested Fate = "requested" // it is on this host's disk only: its deletion waits for the running serve
)

// forgetLua writes a mail anew in one step, when it is still what was read. 0: it is not.
// KEYS: mail, head. ARGV: metadata as read, new metadata, "1" when nobody else has it, now (ms), until (ms), how many states follow:
// recipient, state as read, new state; then fields that go.
const forgetLua = `
if redis.call('HGET', KEYS[1], 'm') ~= ARGV[1] then return 0 end
local n = tonumber(ARGV[6])
for i = 0, n - 1 do
  if redis.call('HGET', KEYS[1], 's:' .. ARGV[7 + 3 * i]) ~= ARGV[8 + 3 * i] then return 0 end
end
for i = 0, n - 1 do
  redis.call('HSET', KEYS[1], 's:' .. ARGV[7 + 3 * i], ARGV[9 + 3 * i])
end
redis.call('HSET', KEYS[1], 'm', ARGV[2])
for i = 7 + 3 * n, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'fin', ARGV[4], 'gone', ARGV[4])
  redis.call('DEL', KEYS[2])
  local left = tonumber(ARGV[5]) - tonumber(ARGV[4])
  local life = redis.call('PTTL', KEYS[1])
  if life < 0 or life > left then redis.call('PEXPIREAT', KEYS[1], ARGV[5]) end
end
return 1`

// Forget takes a person out of a mail, in the name of by: for the recipients that are his alone it is deleted, and cannot be brought
// back. When nobody else has it, its octets go at once, and of its metadata only the id, class, times, sizes and states stay, for
// seven days, so that every host closes its ledger (a host that is down for longer will miss the mail). When others have it, it stays
// as it is for them, and only the state of the person stays for that time. It can be repeated, also after it was killed half way.
func (q *Store) Forget(ctx context.Context, id string, who []mail.Address, by string) (Fate, error) {
	for range 5 {
		fields, err := q.o.Store.Client().HGetAll(ctx, mailKey(id)).Result()
		if err != nil {
			return FateNothing, fmt.Errorf("quarantine: %w", err)
		}
		w, err := q.whole(id, fields)
		if errors.Is(err, ErrNotFound) {
			return q.forgetPending(ctx, id, who, by)
		}
		if err != nil {
			return FateNothing, err
		}
		k, its := w.kept(who)
		switch {
		case w.forgotten && its:
			return FateForgotten, q.bury(ctx, w.record)
		case k.Leaving:
			return FateLeaving, nil
		case !its && w.err == nil:
			return FateNothing, nil
		}
		fate, done, err := q.forget(ctx, w, &k, who, by)
		if err != nil || done {
			return fate, err
		}
	}
	return FateNothing, fmt.Errorf("%w: %s changes all the time", ErrState, id)
}

// forgetPending asks the serve of this host to delete a mail that the store does not have.
func (q *Store) forgetPending(ctx context.Context, id string, who []mail.Address, by string) (Fate, error) {
	p, err := q.pending(id)
	if errors.Is(err, ErrKey) {
		return FateUnread, nil
	}
	if err != nil || p.Stored {
		return FateNothing, nil
	}
	mine, _ := p.Held.alone(who)
	if len(mine) == 0 {
		return FateNothing, nil
	}
	_, err = q.Delete(ctx, id, mine, byForget+by)
	return FateRequested, err
}

// forget does it for one mail as it was read. done is false when it was changed meanwhile.
func (q *Store) forget(ctx context.Context, w *whole, k *Kept, who []mail.Address, by string) (fate Fate, done bool, err error) {
	now := q.o.Now()
	sole := !k.Shared && len(k.Mine) > 0
	next, fate := w.without(k, who)
	m := w.fields["m"]
	if fate != FateUnread {
		b, err := json.Marshal(next)
		if err != nil {
			return fate, false, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		m = string(q.codec.seal(b, placeMeta(w.ID)))
	}
	if err := q.beforeForget(ctx, w, &next, k.Mine, sole, now); err != nil {
		return fate, false, err
	}
	args := []any{w.fields["m"], m, "", now.UnixMilli(), now.Add(forgottenFor).UnixMilli(), len(k.Mine)}
	if sole {
		args[2] = "1"
	}
	for _, a := range k.Mine {
		s := w.states[a.Key()]
		args = append(args, a.Key(), s, forgottenState(s, who, now, by))
	}
	for _, a := range who {
		args = append(args, toldPrefix+a.Key())
	}
	if sole {
		args = append(args, reviewField)
	}
	n, err := q.scripts.forget.Run(ctx, q.o.Store.Client(), []string{mailKey(w.ID), headKey(w.ID)}, args...).Int()
	if err != nil || n == 0 {
		return fate, false, wrap(err)
	}
	q.o.Log.Info("quarantine: forgotten for a person", "id", w.ID, "by", by)
	return fate, true, q.afterForget(ctx, w, &next, k, sole)
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("quarantine: %w", err)
}

// without returns the metadata that stay.
func (w *whole) without(k *Kept, who []mail.Address) (meta, Fate) {
	next := w.meta
	switch {
	case !k.Shared && len(k.Mine) > 0:
		// The sender's is personal as well, and so is what of the mail stands in the reasons.
		next.Held = Held{ID: w.ID, Class: w.Class, Rcpts: w.Rcpts, Time: w.Time, Size: w.Size, Refused: w.Refused, Keep: w.Keep}
		return next, FateForgotten
	case w.err != nil:
		return next, FateUnread
	}
	next.Rcpts = slices.DeleteFunc(slices.Clone(w.Rcpts), func(a mail.Address) bool { return slices.Contains(k.Mine, a) })
	next.Owners = maps.Clone(w.Owners)
	for _, a := range k.Mine {
		delete(next.Owners, a.Key())
	}
	for key, list := range next.Owners {
		next.Owners[key] = slices.DeleteFunc(slices.Clone(list), func(o mail.Address) bool {
			return slices.ContainsFunc(who, func(p mail.Address) bool { return p.Key() == o.Key() })
		})
	}
	return next, FateShared
}

// forgottenState is the state of a recipient afterwards: at an end, and by nobody who is to be forgotten.
func forgottenState(s string, who []mail.Address, now time.Time, by string) string {
	state, at, whose := decodeState(s)
	if state == StateHeld || state == StateReleasing {
		return encodeState(StateDeleted, now, cleanBy(byForget+by))
	}
	if slices.ContainsFunc(who, func(a mail.Address) bool { return strings.EqualFold(whose, a.String()) }) {
		whose = "the recipient"
	}
	return encodeState(state, at, whose)
}

// beforeForget takes the mail out of the indexes in which it has no business afterwards, while it is known which these are, and
// notes what is left to do should this be killed.
func (q *Store) beforeForget(ctx context.Context, w *whole, next *meta, mine []mail.Address, sole bool, now time.Time) error {
	pipe := q.o.Store.Client().Pipeline()
	stay := map[string]bool{timeIndex: true}
	if sole {
		pipe.ZAdd(ctx, dueIndex, store.Z{Score: float64(now.UnixMilli()), Member: w.ID})
	} else {
		for _, key := range next.indexes() {
			stay[key] = true
		}
		for _, a := range next.readers() {
			stay[newsIndex(a)] = true
		}
		for _, a := range mine {
			pipe.ZAdd(ctx, forgetKey, store.Z{Score: float64(now.Add(forgottenFor).UnixMilli()), Member: w.ID + " " + a.Key()})
		}
	}
	for _, key := range w.indexes() {
		if !stay[key] {
			pipe.ZRem(ctx, key, w.ID)
		}
	}
	for _, a := range w.everybody() {
		if !stay[newsIndex(a)] {
			pipe.ZRem(ctx, newsIndex(a), w.ID)
		}
	}
	_, err := pipe.Exec(ctx)
	return wrap(err)
}

// afterForget lets the octets go, and every host know.
func (q *Store) afterForget(ctx context.Context, w *whole, next *meta, k *Kept, sole bool) error {
	if sole {
		r := *w.record
		r.meta, r.fin = *next, true
		if err := q.bury(ctx, &r); err != nil {
			return err
		}
	} else if !w.fin && w.err == nil {
		pipe := q.o.Store.Client().Pipeline()
		left := next.usages()
		for _, f := range w.usages() {
			if !slices.Contains(left, f) {
				pipe.HIncrBy(ctx, usedByKey, f, -w.Paid)
			}
		}
		_, _ = pipe.Exec(ctx) // an estimate
	}
	if len(k.Mine) == 0 || w.fin {
		return nil
	}
	if err := q.noteRequest(ctx, w.ID, q.o.Now()); err != nil {
		return err
	}
	q.o.Store.Client().Publish(ctx, hintChannel, w.ID)
	return nil
}

// bury lets the octets of a mail go that was forgotten, and takes it out of the indexes. It can be repeated.
func (q *Store) bury(ctx context.Context, r *record) error {
	c := q.o.Store.Client()
	err := c.ZScore(ctx, timeIndex, r.ID).Err()
	if err != nil && !errors.Is(err, store.Nil) {
		return wrap(err)
	}
	stood := err == nil
	deleted := false
	if r.Hash != "" {
		if deleted, err = q.dropBody(ctx, r.ID, r.Hash); err != nil {
			return wrap(err)
		}
	}
	if stood {
		octets := r.Own
		if deleted {
			octets += r.ZSize
		}
		pipe := c.Pipeline()
		q.count(ctx, pipe, &r.Held, -octets, -r.Paid)
		_, _ = pipe.Exec(ctx) // an estimate
	}
	return wrap(q.unindex(ctx, r.ID, &r.Held))
}

// endForgotten takes the states away of persons who were forgotten in mails that others have.
func (q *Store) endForgotten(ctx context.Context, now time.Time) error {
	c := q.o.Store.Client()
	list, err := c.ZRangeByScore(ctx, forgetKey, &store.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: sweepMost}).Result()
	if err != nil {
		return err
	}
	for _, member := range list {
		id, rcpt, _ := strings.Cut(member, " ")
		r, err := q.record(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrKey) {
			return err
		}
		if err == nil && !slices.ContainsFunc(r.Rcpts, func(a mail.Address) bool { return a.Key() == rcpt }) {
			if err := c.HDel(ctx, mailKey(id), "s:"+rcpt).Err(); err != nil {
				return err
			}
		}
		if err := c.ZRem(ctx, forgetKey, member).Err(); err != nil {
			return err
		}
	}
	return nil
}

// ForgetPlaces takes away what the indexes and counters know of addresses of which no mail is kept any more.
func (q *Store) ForgetPlaces(ctx context.Context, who []mail.Address) error {
	var told []Told
	for _, a := range who {
		ids, err := q.o.Store.Client().ZRange(ctx, newsIndex(a), 0, -1).Result()
		if err != nil {
			return wrap(err)
		}
		items, err := q.Items(ctx, ids)
		if err != nil {
			return err
		}
		for i := range items {
			if items[i].For(who) {
				ids = slices.DeleteFunc(ids, func(id string) bool { return id == items[i].ID }) // it came meanwhile
			}
		}
		told = append(told, Told{Addr: a, Drop: ids})
	}
	if err := q.forgetNews(ctx, told); err != nil {
		return err
	}
	for _, a := range who {
		n, err := q.o.Store.Client().ZCard(ctx, rcptIndex(a)).Result()
		if err == nil && n == 0 {
			err = q.o.Store.Client().HDel(ctx, usedByKey, rcptUsage(a)).Err()
		}
		if err != nil {
			return wrap(err)
		}
	}
	return nil
}
