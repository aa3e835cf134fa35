package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sekimori/internal/store"
)

// rescan goes on looking for mails that no index knows, which happens when a node of a Cluster lost its last writes and others
// did not. done says that all keys were looked at. The nodes are asked one after the other by where each was left.
func (q *Store) rescan(ctx context.Context) (done bool, err error) {
	if ours, err := q.turn(ctx); err != nil || !ours {
		return !ours, err
	}
	q.scanMu.Lock()
	if q.scanned == nil {
		q.scanned = map[string]*uint64{}
	}
	q.scanMu.Unlock()
	left := false
	err = store.ForEachMaster(ctx, q.o.Store.Client(), func(ctx context.Context, node store.Client) error {
		name := fmt.Sprint(node)
		q.scanMu.Lock()
		at := q.scanned[name]
		if at == nil {
			at = new(uint64)
			q.scanned[name] = at
		} else if *at == 0 {
			q.scanMu.Unlock()
			return nil // this node is done
		}
		q.scanMu.Unlock()
		err := q.scanNode(ctx, node, at)
		if err == nil && *at != 0 {
			q.scanMu.Lock()
			left = true
			q.scanMu.Unlock()
		}
		return err
	})
	if err == nil && !left {
		q.scanned = nil
	}
	return err == nil && !left, err
}

// scanNode looks at the next keys of one node.
func (q *Store) scanNode(ctx context.Context, node store.Client, at *uint64) error {
	for looked, began := 0, q.o.Now(); looked < rescanMost && q.o.Now().Sub(began) < turnMost; looked += listStep {
		keys, next, err := node.Scan(ctx, *at, "q:{*}", listStep).Result()
		if err != nil {
			return err
		}
		if err := q.adopt(ctx, keys); err != nil {
			return err
		}
		if *at = next; next == 0 {
			return nil
		}
	}
	return nil
}

// adopt writes the indexes of those mails that are missing in the time index.
func (q *Store) adopt(ctx context.Context, keys []string) error {
	pipe := q.o.Store.Client().Pipeline()
	found := map[string]*store.FloatCmd{}
	for _, k := range keys {
		id := strings.TrimSuffix(strings.TrimPrefix(k, "q:{"), "}")
		if !strings.HasPrefix(id, "b.") { // not a body
			found[id] = pipe.ZScore(ctx, timeIndex, id)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return err
	}
	for id, have := range found {
		if have.Err() == nil {
			continue
		}
		if !errors.Is(have.Err(), store.Nil) {
			return have.Err()
		}
		r, err := q.record(ctx, id)
		if errors.Is(err, ErrNotFound) || err == nil && r.fin {
			continue
		}
		if err == nil {
			err = q.reindex(ctx, r)
		}
		if err != nil {
			return err
		}
		q.o.Log.Warn("quarantine: the indexes of a mail were missing and are written again", "id", id)
	}
	return nil
}
