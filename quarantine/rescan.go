package quarantine

import (
	"context"
	"errors"
	"strings"

	"sekimori/internal/store"
)

// rescan finds mails that no index knows, which happens when a node of a Cluster lost its last writes and others did not. It
// is slow and runs once an hour.
func (q *Store) rescan(ctx context.Context) error {
	return store.ForEachMaster(ctx, q.o.Store.Client(), func(ctx context.Context, node store.Client) error {
		var at uint64
		for {
			keys, next, err := node.Scan(ctx, at, "q:{*}", listStep).Result()
			if err != nil {
				return err
			}
			if err := q.adopt(ctx, keys); err != nil {
				return err
			}
			if at = next; at == 0 {
				return nil
			}
		}
	})
}

// adopt writes the indexes of those mails that are missing in the time index.
func (q *Store) adopt(ctx context.Context, keys []string) error {
	for _, k := range keys {
		id := strings.TrimSuffix(strings.TrimPrefix(k, "q:{"), "}")
		if strings.HasPrefix(id, "b.") {
			continue // a body
		}
		err := q.o.Store.Client().ZScore(ctx, timeIndex, id).Err()
		if err == nil {
			continue
		}
		if !errors.Is(err, store.Nil) {
			return err
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
