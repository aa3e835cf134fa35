package quarantine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/internal/store"
)

const (
	pollEvery   = time.Second
	sweepEvery  = time.Minute
	repairEvery = 10 * time.Minute
	rescanEvery = time.Hour
	claimLife   = 10 * time.Minute
	retryMost   = time.Minute
	taskTime    = 5 * time.Minute
)

// Run moves pending holds to the store, carries out requests, expires what is too old and repairs indexes, until ctx ends.
func (q *Store) Run(ctx context.Context) {
	hints := make(chan struct{}, 1)
	go q.listen(ctx, hints)
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		q.Tick(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-hints:
		}
	}
}

// listen passes hints on; without them requests are found by the poll.
func (q *Store) listen(ctx context.Context, hints chan<- struct{}) {
	sub := q.o.Store.Client().Subscribe(ctx, hintChannel)
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-sub.Channel():
			if !ok {
				return
			}
			select {
			case hints <- struct{}{}:
			default:
			}
		}
	}
}

// Tick does once what is due. Run calls it; tests do.
func (q *Store) Tick(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, taskTime)
	defer cancel()
	q.task("files", q.fileRequests(ctx))
	q.task("requests", q.requests(ctx))
	q.task("pending", q.movePending(ctx))
	q.task("fulfilled", q.forgetIntents(ctx))
	now := q.o.Now()
	for _, slow := range []struct {
		name  string
		every time.Duration
		run   func(context.Context) (done bool, err error)
	}{{"sweep", sweepEvery, q.sweep}, {"intents", sweepEvery, q.intents}, {"repair", repairEvery, q.repair}, {"rescan", rescanEvery, q.rescan}} {
		if now.Before(q.next[slow.name]) {
			continue
		}
		done, err := slow.run(ctx)
		// What is not done goes on in a second, so that releases do not wait for it.
		q.next[slow.name] = now.Add(pollEvery)
		if done || err != nil {
			q.next[slow.name] = now.Add(slow.every)
		}
		q.task(slow.name, err)
	}
}

func (q *Store) task(name string, err error) {
	message := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		q.o.Log.Debug("quarantine: a task did not finish", "task", name, "error", err)
		if !errors.Is(err, store.ErrDown) { // of which the server warns itself, once
			message = err.Error()
		}
	}
	q.o.Warn("quarantine."+name, message)
}

// Recover hands over again what a crash may have interrupted. Called before the relay begins to drain its queue, it finds the
// entry of a release that was already handed over still there, so that nothing is sent twice.
func (q *Store) Recover(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.requests(ctx)
}

// requests carries out what was asked for.
func (q *Store) requests(ctx context.Context) error {
	if q.o.Deliverer == nil {
		return nil
	}
	due := store.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(q.o.Now().UnixMilli(), 10), Count: 1000}
	ids, err := q.o.Store.Client().ZRangeByScore(ctx, requestsKey, &due).Result()
	if err != nil {
		return err
	}
	var first error
	for _, id := range ids {
		if q.o.Now().Before(q.retry[id].at) {
			continue
		}
		err := q.request(ctx, id)
		if err == nil {
			delete(q.retry, id)
			continue
		}
		wait := min(max(2*q.retry[id].wait, pollEvery), retryMost)
		q.retry[id] = retry{q.o.Now().Add(wait), wait}
		q.o.Log.Warn("quarantine: a release could not be handed over, it will be tried again", "id", id, "error", err)
		first = cmp.Or(first, err)
	}
	return first
}

func (q *Store) request(ctx context.Context, id string) error {
	claimed, err := q.claim(ctx, id)
	if err != nil || !claimed {
		return err
	}
	defer q.scripts.unclaim.Run(ctx, q.o.Store.Client(), []string{claimKey(id)}, q.o.Node)
	r, err := q.record(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return q.requestDone(ctx, id)
	}
	if err != nil {
		return err
	}
	for _, g := range releases(r) {
		if g.due.After(q.o.Now()) {
			continue
		}
		if g, err = q.firm(ctx, id, g); err != nil {
			return err
		}
		if len(g.rcpts) == 0 {
			continue // undone at the last moment
		}
		if err := q.handOver(ctx, r, g); err != nil {
			return err
		}
		done, err := q.move(ctx, id, g.state, encodeState(StateReleased, g.at, g.by), g.rcpts)
		if err != nil {
			return err
		}
		q.ended(r, done, StateReleased, g.by, g.at)
	}
	q.deleted(r)
	return q.rest(ctx, id)
}

// claim makes this host the one who carries out the request; a restart of this host goes on with its own claim at once.
func (q *Store) claim(ctx context.Context, id string) (bool, error) {
	c := q.o.Store.Client()
	ok, err := c.SetNX(ctx, claimKey(id), q.o.Node, claimLife).Result()
	if err != nil || ok {
		return ok, err
	}
	owner, err := c.Get(ctx, claimKey(id)).Result()
	if errors.Is(err, store.Nil) {
		return false, nil // it ended just now; the next look claims it
	}
	return owner == q.o.Node, err
}

// requestDone takes the note away, but not one that is being made just now.
func (q *Store) requestDone(ctx context.Context, id string) error {
	c := q.o.Store.Client()
	score, err := c.ZScore(ctx, requestsKey, id).Result()
	if errors.Is(err, store.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	if time.UnixMilli(int64(score)).After(q.o.Now().Add(-10 * time.Second)) {
		return nil
	}
	return c.ZRem(ctx, requestsKey, id).Err()
}

// group is one release: recipients that were asked for in one go.
type group struct {
	state string // exactly as it stands in the store
	by    string
	at    time.Time
	due   time.Time // zero: it cannot be undone
	rcpts []mail.Address
}

func releases(r *record) []group {
	var list []group
	for _, a := range r.Rcpts {
		state, at, by := decodeState(r.states[a.Key()])
		if state != StateReleasing {
			continue
		}
		i := slices.IndexFunc(list, func(g group) bool { return g.state == r.states[a.Key()] })
		if i < 0 {
			list = append(list, group{state: r.states[a.Key()], by: by, at: at, due: dueOf(r.states[a.Key()])})
			i = len(list) - 1
		}
		list[i].rcpts = append(list[i].rcpts, a)
	}
	return list
}

func (q *Store) handOver(ctx context.Context, r *record, g group) error {
	body, trace, err := q.fetch(ctx, r)
	if err != nil {
		return err
	}
	return q.deliver(ctx, &r.Held, g, trace, body)
}

// alone puts every recipient into a group of its own.
func alone(rcpts []mail.Address) [][]mail.Address {
	list := make([][]mail.Address, len(rcpts))
	for i := range rcpts {
		list[i] = rcpts[i : i+1 : i+1]
	}
	return list
}

// deliver gives the releases of one request to the relay: our header fields on top, then the octets as they came. A part that
// the relay has already is known there by its id.
func (q *Store) deliver(ctx context.Context, h *Held, g group, trace []byte, body mail.Content) error {
	for _, rcpts := range q.o.Route(g.rcpts) {
		err := q.o.Deliverer.Queue(ctx, Release{
			ID: releaseID(h.ID, g.state, rcpts), From: h.From, Rcpts: rcpts,
			Content:  append(mail.Content{q.o.Mark().fields(h, g, rcpts, body), trace}, body...),
			EightBit: h.EightBit, UTF8: h.UTF8,
		})
		if err != nil && !errors.Is(err, spool.ErrExists) {
			return err
		}
	}
	return nil
}

// releaseID is the same whenever the same release is handed over: the queue then knows it.
func releaseID(id, state string, rcpts []mail.Address) string {
	sum := sha256.New()
	keys := make([]string, 0, len(rcpts))
	for _, a := range rcpts {
		keys = append(keys, a.Key())
	}
	slices.Sort(keys)
	sum.Write([]byte(state + "\n" + strings.Join(keys, "\n")))
	return id + "-r" + hex.EncodeToString(sum.Sum(nil)[:5])
}

func (q *Store) ended(r *record, rcpts []mail.Address, state, by string, at time.Time) {
	q.remember(r.ID, rcpts, encodeState(state, at, by))
	for _, a := range rcpts {
		q.o.Log.Info("quarantine: "+state, "id", r.ID, "rcpt", a.String(), "by", by)
		e := End{ID: r.ID, Rcpt: a, State: state, By: by, At: at}
		q.o.OnEnd(e)
		if !r.Refused {
			q.writeDown(e)
		}
	}
}

// deleted writes down what a command, or another host, has deleted of a mail, without waiting for the next comparison. It is called
// more than once.
func (q *Store) deleted(r *record) {
	for _, s := range r.everyState() {
		if s.State == StateDeleted && s.By != byNobody {
			q.remember(r.ID, []mail.Address{s.Rcpt}, r.states[s.Rcpt.Key()])
			if r.Refused {
				continue
			}
			q.writeDown(End{ID: r.ID, Rcpt: s.Rcpt, State: s.State, By: s.By, At: s.At})
		}
	}
}

func (q *Store) writeDown(e End) {
	if q.o.Recorder == nil {
		return
	}
	if err := q.o.Recorder.Ended(e); err != nil {
		q.o.Log.Warn("quarantine: an end cannot be written down now; the check does it", "id", e.ID, "rcpt", e.Rcpt.String(), "error", err)
	}
}
