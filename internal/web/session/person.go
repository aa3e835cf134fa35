package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Known is what may be told of a session: nothing with which one could take part in it.
type Known struct {
	Via   string    `json:"via"`
	Peer  string    `json:"peer,omitempty"`
	Begun time.Time `json:"begun"`
	Seen  time.Time `json:"seen"`
	Mails []string  `json:"mails,omitempty"` // that links have opened in it
	All   bool      `json:"all,omitempty"`   // it shows the whole list

	key string
}

const personStep = 500

// Of returns the sessions of a person that have not ended, in no order. It goes through the keys of the store.
func (s *Store) Of(ctx context.Context, who []mail.Address) ([]Known, error) {
	var list []Known
	var mu sync.Mutex // the nodes of a Cluster are asked side by side
	err := store.ForEachMaster(ctx, s.o.Client, func(ctx context.Context, node store.Client) error {
		for at := uint64(0); ; {
			keys, next, err := node.Scan(ctx, at, "sess:{*}", personStep).Result()
			if err != nil {
				return err
			}
			for _, k := range keys {
				f, err := node.HGetAll(ctx, k).Result()
				if err != nil {
					return err
				}
				n, err := decode("", f)
				if err != nil || n.Kind != Person || !among(n.Person, who) {
					continue
				}
				mu.Lock()
				list = append(list, Known{n.Via, n.Peer, n.Begun.UTC(), n.Seen.UTC(), n.Mails, n.All, k})
				mu.Unlock()
			}
			if at = next; next == 0 {
				return nil
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	return list, nil
}

func among(a mail.Address, who []mail.Address) bool {
	for _, w := range who {
		if w.Key() == a.Key() {
			return true
		}
	}
	return false
}

// Forget ends all sessions of a person and returns how many there were.
func (s *Store) Forget(ctx context.Context, who []mail.Address) (int, error) {
	list, err := s.Of(ctx, who)
	if err != nil {
		return 0, err
	}
	for _, n := range list {
		if err := s.o.Client.Del(ctx, n.key).Err(); err != nil {
			return 0, fmt.Errorf("session: %w", err)
		}
	}
	return len(list), nil
}
