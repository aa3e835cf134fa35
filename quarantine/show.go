package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// Item is one held mail as listings show it.
type Item struct {
	Held
	Until   time.Time   // the end of the retention
	States  []RcptState // one per recipient, in order
	Review  *Review     // what the sender wrote whose mail was refused; nil: nothing
	Pending bool        // it is on the disk of this host and not in the store yet

	told map[string]string // by person; see toldPrefix
}

// Open reports whether something can still be decided: a recipient's mail is held or being released.
func (i *Item) Open() bool {
	for _, s := range i.States {
		if s.State == StateHeld || s.State == StateReleasing {
			return true
		}
	}
	return false
}

// Undecided reports whether somebody's mail is held and nothing is decided about it.
func (i *Item) Undecided() bool {
	return slices.ContainsFunc(i.States, func(s RcptState) bool { return s.State == StateHeld })
}

// Show returns everything known of one mail but its octets; ErrNotFound. What was released, deleted or expired is known for
// about a month yet.
func (q *Store) Show(ctx context.Context, id string) (Item, error) {
	if !spool.ValidID(id) {
		return Item{}, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	r, err := q.record(ctx, id)
	if err == nil {
		trace, terr := q.o.Store.Client().HGet(ctx, headKey(id), "trace").Bytes()
		if terr == nil {
			r.Trace, err = q.codec.open(trace, placeTrace(id))
		}
		if err != nil {
			return Item{}, err
		}
		return r.item(), nil
	}
	p, perr := q.pending(id)
	if perr == nil {
		return p.item(), nil
	}
	return Item{}, missing(err, perr)
}

// missing chooses what says more: that the store has no such mail, or that the copy on the disk cannot be read.
func missing(stored, pending error) error {
	if errors.Is(stored, ErrNotFound) && errors.Is(pending, ErrKey) {
		return pending
	}
	return stored
}

// Raw returns the octets of a held mail as they came in, and a function to call when they are no longer used. ErrNotFound
// when there is no such mail or its octets are deleted; ErrLost when they should be there and are not.
func (q *Store) Raw(ctx context.Context, id string) (mail.Content, func(), error) {
	if !spool.ValidID(id) {
		return nil, nil, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	r, err := q.record(ctx, id)
	if err == nil {
		c, _, err := q.fetch(ctx, r)
		return c, func() {}, err
	}
	p, perr := q.pending(id)
	if perr == nil {
		return q.pendingContent(p)
	}
	return nil, nil, missing(err, perr)
}

// fetch reads the octets of a mail and our header fields.
func (q *Store) fetch(ctx context.Context, r *record) (body mail.Content, trace []byte, err error) {
	if r.fin {
		return nil, nil, fmt.Errorf("%w: the octets of %s are deleted", ErrNotFound, r.ID)
	}
	c := q.o.Store.Client()
	pipe := c.Pipeline()
	head, where := pipe.HMGet(ctx, headKey(r.ID), "head", "trace"), pipe.HMGet(ctx, bodyKey(r.Hash), "nonce", "n")
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nil, fmt.Errorf("quarantine: %w", err)
	}
	h, w := head.Val(), where.Val()
	if h[0] == nil || w[0] == nil || w[1] == nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrLost, r.ID)
	}
	n, err := strconv.Atoi(fmt.Sprint(w[1]))
	if err != nil || n < 1 || n > maxRaw/pieceSize {
		return nil, nil, fmt.Errorf("%w: %s has %q pieces", ErrLost, r.ID, w[1])
	}
	z := make([]byte, 0, r.ZSize)
	for i, key := range pieceKeys(r.Hash, fmt.Sprint(w[0]), n) {
		piece, err := c.Get(ctx, key).Bytes()
		if err != nil {
			return nil, nil, lost(err, r.ID)
		}
		if piece, err = q.codec.open(piece, placePiece(r.Hash, i)); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", r.ID, err)
		}
		z = append(z, piece...)
	}
	if body, err = q.codec.unpack(r, []byte(fmt.Sprint(h[0])), z); err != nil {
		return nil, nil, err
	}
	if h[1] != nil {
		trace, err = q.codec.open([]byte(fmt.Sprint(h[1])), placeTrace(r.ID))
	}
	return body, trace, err
}

// pendingMeta is Entry.Meta of a hold on the disk.
type pendingMeta struct {
	Held     Held              `json:"held"`
	Trace    []byte            `json:"trace"`
	Stored   bool              `json:"stored"`    // it is in the store as well, which has not saved it yet
	StoredAt time.Time         `json:"stored_at"` // when the store had confirmed it
	States   map[string]string `json:"states,omitempty"`
}

type pendingHold struct {
	entry  spool.Entry
	sealed bool // the octets are encrypted
	pendingMeta
	until time.Time
}

// holdID names the entry of a hold: the queue may have an entry of the mail's own id.
func holdID(id string) string { return id + ".hold" }

// laneRefused marks the copy of a mail that was refused, in the clear: it is nothing that was promised.
const laneRefused = "refused"

// putPending holds a mail on the disk. stored says that the store has it as well.
func (q *Store) putPending(h *Held, stored bool) error {
	m := pendingMeta{Held: *h, Trace: h.Trace, Stored: stored, StoredAt: q.o.Now()}
	b, err := q.encodePending(&m, q.codec.keyID() != "")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	e := spool.Entry{
		ID: holdID(h.ID), Kind: spool.KindHold, State: spool.StatePending, From: h.From,
		EightBit: h.EightBit, UTF8: h.UTF8, Created: q.o.Now(), Meta: b,
	}
	if h.Refused {
		e.Lane = laneRefused
	}
	for _, r := range h.Rcpts {
		e.Rcpts = append(e.Rcpts, spool.Rcpt{Addr: r, Status: spool.Waiting})
	}
	if err := q.o.Spool.Put(e, q.sealContent(h.ID, h.Body)); err != nil && !errors.Is(err, spool.ErrExists) {
		return fmt.Errorf("quarantine: the mail could not be held on the disk: %w", err)
	}
	return nil
}

func (q *Store) pending(id string) (*pendingHold, error) {
	if q.reader == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	e, err := q.reader.Get(holdID(id))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return q.decodePending(e)
}

// pendings returns the holds on the disk; those that cannot be read are left to the spool's own report.
func (q *Store) pendings() []*pendingHold {
	if q.reader == nil {
		return nil
	}
	entries, err := q.reader.List(spool.KindHold)
	if err != nil {
		return nil
	}
	var list []*pendingHold
	for _, e := range entries {
		if !strings.HasSuffix(e.ID, ".hold") {
			continue
		}
		p, err := q.decodePending(e)
		switch {
		case err == nil:
			list = append(list, p)
		case errors.Is(err, ErrKey):
			q.o.Warn("quarantine.key", err.Error())
		default:
			q.o.Log.Error("quarantine: a hold on the disk cannot be read", "id", e.ID, "error", err)
		}
	}
	return list
}

func (q *Store) decodePending(e spool.Entry) (*pendingHold, error) {
	p := &pendingHold{entry: e}
	b, sealed := []byte(e.Meta), []byte(nil)
	if json.Unmarshal(b, &sealed) == nil { // a string: what is not sealed is an object
		var err error
		if b, err = q.codec.open(sealed, placePending(e.ID)); err != nil {
			return nil, fmt.Errorf("%s: %w", e.ID, err)
		}
		p.sealed = true
	}
	if err := json.Unmarshal(b, &p.pendingMeta); err != nil {
		return nil, fmt.Errorf("quarantine: %s: %w", e.ID, err)
	}
	p.Held.Trace = p.Trace
	if p.States == nil {
		p.States = map[string]string{}
	}
	for _, r := range p.Held.Rcpts {
		if p.States[r.Key()] == "" {
			p.States[r.Key()] = encodeState(StateHeld, p.Held.Time, "")
		}
	}
	p.until = p.Held.Time.Add(q.kept(&p.Held))
	return p, nil
}

func (p *pendingHold) item() Item {
	r := record{meta: meta{Held: p.Held}, states: p.States}
	return Item{Held: p.Held, Until: p.until, States: r.rcpts(), Pending: true}
}
