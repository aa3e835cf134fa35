package quarantine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Kept is what is kept of one mail of a person, also when nothing of it is held any more.
type Kept struct {
	Item
	Mine      []mail.Address // the recipients that are the person's alone
	Behind    bool           // the person is one of several behind another recipient
	Shared    bool           // there are recipients beside Mine
	Told      time.Time      // when the person was told of it in a digest
	Octets    bool           // they are kept yet
	Leaving   bool           // it is on its way to the person, which cannot be taken back
	Unread    error          // why it cannot be read: its key is missing
	Forgotten bool           // it was, and only the states are kept until every host knows
}

// Private returns the mail as only this person may be shown it: without the other recipients, of whom a Bcc tells nobody.
func (k *Kept) Private(who []mail.Address) Item {
	i := k.Item
	i.Rcpts = slices.DeleteFunc(slices.Clone(i.Rcpts), func(a mail.Address) bool { return !slices.Contains(k.Mine, a) && !i.behind(a, who) })
	i.States = slices.DeleteFunc(slices.Clone(i.States), func(s RcptState) bool { return !slices.Contains(i.Rcpts, s.Rcpt) })
	i.Owners = nil
	return i
}

// behind reports whether one of who stands behind a recipient.
func (h *Held) behind(rcpt mail.Address, who []mail.Address) bool {
	return slices.ContainsFunc(who, func(w mail.Address) bool { return h.stands(rcpt, w) })
}

// alone returns the recipients whose mail is nobody's but the person's, and reports whether he stands behind others.
func (h *Held) alone(who []mail.Address) (mine []mail.Address, behind bool) {
	is := func(a mail.Address) bool {
		return slices.ContainsFunc(who, func(w mail.Address) bool { return w.Key() == a.Key() })
	}
	for _, r := range h.Rcpts {
		owners := h.Owners[r.Key()]
		others := slices.ContainsFunc(owners, func(o mail.Address) bool { return !is(o) })
		switch {
		case is(r), len(owners) > 0 && !others:
			mine = append(mine, r)
		case h.behind(r, who):
			behind = true
		}
	}
	return mine, behind
}

// whole is a mail with the fields it was read from.
type whole struct {
	*record
	fields map[string]string
	err    error // it cannot be read: its key is missing
}

func (q *Store) whole(id string, fields map[string]string) (*whole, error) {
	r, err := q.codec.record(id, fields)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, err
	case err != nil:
		u := unread{id, fields, err}
		return &whole{u.clear(), fields, err}, nil
	}
	return &whole{r, fields, nil}, nil
}

func (w *whole) kept(who []mail.Address) (Kept, bool) {
	k := Kept{Item: w.item(), Unread: w.err, Octets: !w.fin && !w.forgotten, Forgotten: w.forgotten}
	k.Mine, k.Behind = w.alone(who)
	k.Shared = len(w.Rcpts) > len(k.Mine)
	for _, a := range who {
		if ms, err := strconv.ParseInt(w.fields[toldPrefix+a.Key()], 10, 64); err == nil {
			k.Told = time.UnixMilli(ms).UTC()
		}
	}
	for _, a := range k.Mine {
		s := w.states[a.Key()]
		state, _, _ := decodeState(s)
		k.Leaving = k.Leaving || state == StateReleasing && dueOf(s).IsZero()
	}
	return k, len(k.Mine) > 0 || k.Behind || !k.Told.IsZero()
}

const personStep = 500

// EachOf calls f with every mail of which something is kept for these addresses of one person: held, at an end, on this host's
// disk. It goes through all keys of the store, because what is at an end stands in no index; looked, when not nil, is told how many
// mails were looked at. The order is none. It ends with the first error of f.
func (q *Store) EachOf(ctx context.Context, who []mail.Address, looked func(int), f func(Kept) error) error {
	w := personWalk{q: q, who: who, looked: looked, f: f, seen: map[string]bool{}}
	if err := store.ForEachMaster(ctx, q.o.Store.Client(), w.node); err != nil {
		return err
	}
	// A mail that cannot be read says in no field of its own that it belongs to somebody behind an alias; an index does.
	for _, a := range who {
		ids, err := q.o.Store.Client().ZRange(ctx, rcptIndex(a), 0, -1).Result()
		if err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return w.seen[id] })
		for part := range slices.Chunk(ids, personStep) {
			if err := w.look(ctx, part, true); err != nil {
				return err
			}
		}
	}
	return w.pending()
}

// personWalk is one EachOf.
type personWalk struct {
	q      *Store
	who    []mail.Address
	looked func(int)
	f      func(Kept) error
	mu     sync.Mutex // the nodes of a Cluster are asked side by side
	seen   map[string]bool
	n      int
}

func (w *personWalk) node(ctx context.Context, node store.Client) error {
	for at := uint64(0); ; {
		keys, next, err := node.Scan(ctx, at, "q:{*}", personStep).Result()
		if err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
		var ids []string
		for _, k := range keys {
			if id := strings.TrimSuffix(strings.TrimPrefix(k, "q:{"), "}"); !strings.HasPrefix(id, "b.") {
				ids = append(ids, id)
			}
		}
		for part := range slices.Chunk(ids, personStep) { // the embedded store answers with all keys at once
			if err := w.look(ctx, part, false); err != nil {
				return err
			}
		}
		if at = next; next == 0 {
			return nil
		}
	}
}

// look reads mails and passes on those that are the person's; indexed says that an index names them.
func (w *personWalk) look(ctx context.Context, ids []string, indexed bool) error {
	pipe := w.q.o.Store.Client().Pipeline()
	got := make([]*store.MapStringCmd, len(ids))
	for i, id := range ids {
		got[i] = pipe.HGetAll(ctx, mailKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil && len(ids) > 0 {
		return fmt.Errorf("quarantine: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, id := range ids {
		if w.seen[id] {
			continue // SCAN may name a key twice
		}
		m, err := w.q.whole(id, got[i].Val())
		if errors.Is(err, ErrNotFound) {
			continue
		}
		k, its := m.kept(w.who)
		if !its && !(indexed && m.err != nil) {
			continue
		}
		w.seen[id] = true
		if err := w.f(k); err != nil {
			return err
		}
	}
	if w.n += len(ids); w.looked != nil {
		w.looked(w.n)
	}
	return nil
}

// pending adds what is on this host's disk and not in the store.
func (w *personWalk) pending() error {
	for _, p := range w.q.pendings() {
		if p.Stored || w.seen[p.Held.ID] {
			continue
		}
		m := whole{record: &record{meta: meta{Held: p.Held, Until: p.until}, states: p.States}}
		k, its := m.kept(w.who)
		k.Pending = true
		if !its {
			continue
		}
		if err := w.f(k); err != nil {
			return err
		}
	}
	for _, i := range w.q.lockedPending() {
		m := whole{record: &record{meta: meta{Held: i.Held}, states: map[string]string{}}, err: ErrKey}
		if k, its := m.kept(w.who); its && !w.seen[i.ID] {
			k.Pending = true
			if err := w.f(k); err != nil {
				return err
			}
		}
	}
	return nil
}
