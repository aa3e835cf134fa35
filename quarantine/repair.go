package quarantine

import (
	"context"
	"errors"
	"strconv"
	"time"

	"sekimori/internal/store"
)

const (
	repairMost = 2000                   // mails that repair looks at in a second, so that neither the store nor the path of mail waits for it
	rescanMost = 4000                   // keys that rescan looks at in a second
	turnMost   = 200 * time.Millisecond // how long either does so, for at least one step
	turnLife   = time.Minute
)

// round is one walk of repair over all mails.
type round struct {
	pos    *cursor // nil: at the beginning
	used   int64
	unread int                 // mails that cannot be read; they count as what they take
	by     map[string]int64    // octets, as in usedByKey
	bodies map[uint64]struct{} // whose octets are counted; the beginning of the hash
}

// turn reports whether this host is the one that repairs: one is enough.
func (q *Store) turn(ctx context.Context) (bool, error) {
	c := q.o.Store.Client()
	ok, err := c.SetNX(ctx, repairKey, q.o.Node, turnLife).Result()
	if err != nil || ok {
		return ok, err
	}
	owner, err := c.Get(ctx, repairKey).Result()
	if errors.Is(err, store.Nil) || err == nil && owner != q.o.Node {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.PExpire(ctx, repairKey, turnLife).Err()
}

// repair goes on with the walk over all mails of the time index: it writes missing entries of the other indexes again, takes
// away those of mails that are gone, and counts the octets anew. done says that the round is at its end.
func (q *Store) repair(ctx context.Context) (done bool, err error) {
	ours, err := q.turn(ctx)
	if err != nil || !ours {
		q.round = nil
		return !ours, err
	}
	if q.round == nil {
		q.round = &round{bodies: map[uint64]struct{}{}, by: map[string]int64{}}
	}
	r := q.round
	for looked, began := 0, q.o.Now(); looked < repairMost && q.o.Now().Sub(began) < turnMost; {
		list, end, err := q.entries(ctx, timeIndex, span{0, forever}, r.pos, false, listStep)
		if err != nil {
			return false, err
		}
		if err := q.repairStep(ctx, r, idsOf(list)); err != nil {
			return false, err
		}
		if end {
			q.round = nil
			return true, q.counted(ctx, r)
		}
		r.pos, looked = &list[len(list)-1], looked+len(list)
	}
	return false, nil
}

// counted writes what a whole round has found.
func (q *Store) counted(ctx context.Context, r *round) error {
	if r.unread == 0 {
		q.o.Warn("quarantine.key", "")
	}
	if err := q.recount(ctx, r.by); err != nil {
		return err
	}
	pipe := q.o.Store.Client().Pipeline()
	pipe.Set(ctx, usedKey, r.used, 0)
	pipe.Set(ctx, versionKey, indexVersion, 0)
	_, err := pipe.Exec(ctx)
	return err
}

func (q *Store) repairStep(ctx context.Context, r *round, ids []string) error {
	records, bad, err := q.records(ctx, ids)
	if err != nil {
		return err
	}
	for i := range bad {
		if r.unread++; r.unread == 1 {
			q.o.Warn("quarantine.key", bad[i].err.Error())
		}
		if r.unread <= 10 {
			q.o.Log.Error("quarantine: a mail cannot be read and is left as it is", "error", bad[i].err)
		}
		rec, err := q.clearRecord(ctx, &bad[i])
		if err != nil {
			return err
		}
		r.count(rec)
	}
	there := make(map[string]bool, len(records))
	for _, rec := range records {
		there[rec.ID] = true
		r.count(rec)
	}
	if err := q.mend(ctx, records); err != nil {
		return err
	}
	for _, id := range ids {
		if !there[id] {
			if err := q.gone(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// count adds what a mail takes; a body that several share once.
func (r *round) count(rec *record) {
	r.used += rec.Own
	if !rec.fin {
		for _, f := range rec.usages() {
			r.by[f] += rec.Paid
		}
	}
	body, _ := strconv.ParseUint(rec.Hash[:min(16, len(rec.Hash))], 16, 64)
	if _, have := r.bodies[body]; !have {
		r.bodies[body] = struct{}{}
		r.used += rec.ZSize
	}
}

// gone takes a mail that is no longer there out of the indexes.
func (q *Store) gone(ctx context.Context, id string) error {
	n, err := q.o.Store.Client().Exists(ctx, mailKey(id)).Result()
	if err != nil || n > 0 {
		return err // there, but it cannot be read: an administrator's matter
	}
	return q.unindex(ctx, id, nil)
}

// mending collects the entries that the indexes should have.
type mending struct {
	look store.Pipeliner
	want []entry
	keys map[string]bool // of the indexes of mails that are held
	seen map[entry]bool
}

type entry struct {
	key, member string
	score       int64
	have        *store.FloatCmd
}

func (m *mending) ask(ctx context.Context, key, member string, score time.Time) {
	e := entry{key: key, member: member}
	if m.seen[e] {
		return
	}
	m.seen[e] = true
	e.score, e.have = score.UnixMilli(), m.look.ZScore(ctx, key, member)
	m.want = append(m.want, e)
}

// askAll asks for all entries that a mail should have.
func (m *mending) askAll(ctx context.Context, r *record, now time.Time) {
	m.ask(ctx, dueIndex, r.ID, r.Until)
	if r.fin {
		return
	}
	for _, key := range r.indexes()[1:] {
		m.keys[key] = true
		m.ask(ctx, key, r.ID, r.Time)
	}
	for _, s := range r.rcpts() {
		if s.State == StateReleasing {
			m.ask(ctx, requestsKey, r.ID, latest(s.At, s.Due))
		}
	}
	if i := r.item(); !i.Open() {
		return
	}
	for _, a := range r.readers() {
		if isNews(r.told[a.Key()]) {
			m.keys[newsIndex(a)] = true
			m.ask(ctx, newsIndex(a), r.ID, now)
			m.ask(ctx, newsKey, a.Key(), now)
		}
	}
}

// mend looks which index entries of mails are missing, and writes those: what is written costs a log, what is read does not.
func (q *Store) mend(ctx context.Context, records []*record) error {
	c, now := q.o.Store.Client(), q.o.Now()
	m := mending{look: c.Pipeline(), keys: map[string]bool{}, seen: map[entry]bool{}}
	for _, r := range records {
		m.askAll(ctx, r, now)
	}
	if len(m.want) == 0 {
		return nil
	}
	if _, err := m.look.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return err
	}
	write := c.Pipeline()
	for _, e := range m.want {
		if errors.Is(e.have.Err(), store.Nil) {
			write.ZAddNX(ctx, e.key, store.Z{Score: float64(e.score), Member: e.member})
		} else if e.have.Err() != nil {
			return e.have.Err()
		}
	}
	// Of mails that a store has lost their entries stay, until everything of that age is gone.
	old := strconv.FormatInt(now.Add(-q.longest()-backstop).UnixMilli(), 10)
	for key := range m.keys {
		write.PExpireAt(ctx, key, now.Add(q.longest()+backstop))
		write.ZRemRangeByScore(ctx, key, "-inf", "("+old)
	}
	_, err := write.Exec(ctx)
	return err
}
