package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/store"
)

const pieceLife = time.Hour // of pieces that no message uses yet

// save puts a mail into the store. It can be repeated: a mail that is there already is left as it is. states are those of
// recipients who are not simply held; limits is false for a mail that was promised already.
func (q *Store) save(ctx context.Context, h *Held, p *packed, states map[string]string, limits bool) error {
	if limits {
		if err := q.room(ctx, h, p); err != nil {
			return err
		}
	}
	c := q.o.Store.Client()
	now := q.o.Now()
	until := h.Time.Add(q.kept(h))
	if until.Before(now) {
		until = now
	}
	wrote, err := q.saveBody(ctx, h.ID, p, until.Add(backstop))
	if err != nil {
		return full(q.o.Store, err)
	}
	octets := p.own
	if wrote {
		octets += p.zsize
	}
	kept := meta{Held: *h, Until: until, Hash: p.hash, ZSize: p.zsize, Own: p.own, Key: p.key, Paid: octets}
	m, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	args := []any{until.Add(backstop).UnixMilli(), p.head, q.codec.seal(h.Trace, placeTrace(h.ID)), "m", q.codec.seal(m, placeMeta(h.ID))}
	if p.key != "" {
		args = append(args, sizeField, encodeSize(&kept))
	}
	for _, r := range h.Rcpts {
		s := states[r.Key()]
		if s == "" {
			s = encodeState(StateHeld, h.Time, "")
		}
		args = append(args, "s:"+r.Key(), s)
	}
	// One round trip, but only the commit counts: from its success on the mail is safe.
	pipe := c.Pipeline()
	commit := q.scripts.commit.Eval(ctx, pipe, []string{mailKey(h.ID), headKey(h.ID)}, args...)
	q.index(ctx, pipe, h, until)
	q.indexNews(ctx, pipe, h, nil)
	q.count(ctx, pipe, h, octets, octets)
	_, err = pipe.Exec(ctx)
	if cerr := commit.Err(); cerr != nil {
		return full(q.o.Store, cerr)
	}
	if err != nil {
		q.o.Log.Warn("quarantine: the indexes of a mail will be written later", "id", h.ID, "error", err)
	} else {
		q.indexed(intent(h.ID, p.hash))
	}
	if n, _ := commit.Int(); n == 0 && limits {
		return q.again(ctx, h)
	}
	return nil
}

func intent(id, hash string) string { return id + " " + hash }

// indexed remembers that an intent is fulfilled; Tick takes such ones away together, so that no hold waits for it.
func (q *Store) indexed(intent string) {
	q.doneMu.Lock()
	defer q.doneMu.Unlock()
	if len(q.done) < 10*sweepMost { // the others are found by the sweep
		q.done = append(q.done, intent)
	}
}

func (q *Store) forgetIntents(ctx context.Context) error {
	q.doneMu.Lock()
	done := q.done
	q.done = nil
	q.doneMu.Unlock()
	if len(done) == 0 {
		return nil
	}
	return q.o.Store.Client().ZRem(ctx, intentsKey, done...).Err()
}

// saveBody makes the mail a user of its body, which is written unless it is there already.
func (q *Store) saveBody(ctx context.Context, id string, p *packed, until time.Time) (wrote bool, err error) {
	for range 4 {
		pipe := q.o.Store.Client().Pipeline()
		// The intent comes first: whatever a crash leaves behind is found by it.
		pipe.ZAdd(ctx, intentsKey, store.Z{Score: float64(q.o.Now().UnixMilli()), Member: intent(id, p.hash)})
		look := pipe.HMGet(ctx, bodyKey(p.hash), "nonce", "n")
		if _, err := pipe.Exec(ctx); err != nil {
			return false, err
		}
		have := look.Val()
		nonce, n, there := id, len(p.pieces), have[0] != nil && have[1] != nil
		if there {
			nonce = fmt.Sprint(have[0])
			n, err = strconv.Atoi(fmt.Sprint(have[1]))
			if err != nil || n < 1 || n > maxRaw/pieceSize {
				return false, fmt.Errorf("quarantine: body %s has %q pieces", p.hash, have[1])
			}
		}
		got, err := q.acquire(ctx, id, p, until, nonce, n, !there)
		if err != nil {
			return false, err
		}
		if got == 1 {
			return !there, nil
		}
	}
	return false, errors.New("quarantine: the body is written and deleted by others all the time")
}

// acquire runs acquireLua, and before it writes the pieces when write is true: the last of them in the same round trip.
func (q *Store) acquire(ctx context.Context, id string, p *packed, until time.Time, nonce string, n int, write bool) (int, error) {
	pipe := q.o.Store.Client().Pipeline()
	keys := pieceKeys(p.hash, nonce, n)
	for i := 0; write && i < len(p.pieces); i++ {
		if i%8 == 0 && i > 0 { // 4 MiB at a time
			if _, err := pipe.Exec(ctx); err != nil {
				return 0, err
			}
		}
		pipe.Set(ctx, keys[i], p.pieces[i], pieceLife)
	}
	keys = append([]string{bodyKey(p.hash), usersKey(p.hash)}, keys...)
	got := q.scripts.acquire.Eval(ctx, pipe, keys, id, until.UnixMilli(), q.o.Now().UnixMilli(), nonce, p.zsize, n)
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, err
	}
	return got.Int()
}

// dropBody ends the mail's use of its body and reports whether nobody else uses it, so that it is deleted. It can be repeated.
func (q *Store) dropBody(ctx context.Context, id, hash string) (deleted bool, err error) {
	c := q.o.Store.Client()
	for range 4 {
		have, err := c.HMGet(ctx, bodyKey(hash), "nonce", "n").Result()
		if err != nil {
			return false, err
		}
		nonce, n := "", 0
		if have[0] != nil && have[1] != nil {
			nonce = fmt.Sprint(have[0])
			n, _ = strconv.Atoi(fmt.Sprint(have[1]))
		}
		keys := append([]string{bodyKey(hash), usersKey(hash)}, pieceKeys(hash, nonce, n)...)
		got, err := q.scripts.drop.Run(ctx, c, keys, id, q.o.Now().UnixMilli(), nonce).Int()
		if err != nil || got != 2 {
			return got == 1, err
		}
	}
	return false, nil
}

// full turns the embedded store's lack of memory into ErrFull. A Redis that is full is like one that is down: the disk
// takes the mail.
func full(b Backend, err error) error {
	if b.Embedded() && strings.Contains(err.Error(), "OOM") {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
