package acts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// Remembered is what is kept of a person's own acts beside the audit log.
type Remembered struct {
	Asked    []Asked            `json:"asked"`    // questions to the administrators
	Allows   []reputation.Allow `json:"allows"`   // senders that the person allows
	Receipts []Done             `json:"receipts"` // of the last day

	keys []string // of receipts and plans
}

// Done is one act as its receipt says.
type Done struct {
	ID    string    `json:"id"`
	Act   string    `json:"act"`
	At    time.Time `json:"at"`
	Mails []string  `json:"mails,omitempty"`
}

// Of returns what is kept of a person's acts. It goes through the keys of the store.
func (s *Service) Of(ctx context.Context, who []mail.Address) (Remembered, error) {
	var r Remembered
	lists, err := s.o.Allows.Of(ctx, who)
	if err != nil {
		return r, err
	}
	for _, list := range lists {
		r.Allows = append(r.Allows, list...)
	}
	ids, err := s.o.Client.ZRange(ctx, asksIndex, 0, -1).Result()
	if err != nil {
		return r, fmt.Errorf("acts: %w", err)
	}
	for _, id := range ids {
		for _, a := range who {
			b, err := s.o.Client.HGet(ctx, askKey(id), strings.ToLower(a.String())).Bytes()
			if errors.Is(err, store.Nil) {
				continue
			}
			var asked Asked
			if err == nil {
				err = json.Unmarshal(b, &asked)
			}
			if err != nil {
				return r, fmt.Errorf("acts: %w", err)
			}
			r.Asked = append(r.Asked, asked)
		}
	}
	return r, s.receiptsOf(ctx, who, &r)
}

// receiptsOf finds what stands under act: in the name of the person.
func (s *Service) receiptsOf(ctx context.Context, who []mail.Address, r *Remembered) error {
	var mu sync.Mutex // the nodes of a Cluster are asked side by side
	err := store.ForEachMaster(ctx, s.o.Client, func(ctx context.Context, node store.Client) error {
		for at := uint64(0); ; {
			keys, next, err := node.Scan(ctx, at, "act:{*}", 500).Result()
			if err != nil {
				return err
			}
			for _, key := range keys {
				b, err := node.Get(ctx, key).Bytes()
				if errors.Is(err, store.Nil) {
					continue
				}
				if err != nil {
					return err
				}
				var k kept // of a plan it reads who made it
				if json.Unmarshal(b, &k) != nil || !isBy(k.By, who) {
					continue
				}
				mu.Lock()
				r.keys = append(r.keys, key)
				if k.Act != "" {
					r.Receipts = append(r.Receipts, Done{k.ID, k.Act, k.At, k.Mails})
				}
				mu.Unlock()
			}
			if at = next; next == 0 {
				return nil
			}
		}
	})
	if err != nil {
		return fmt.Errorf("acts: %w", err)
	}
	return nil
}

func isBy(by string, who []mail.Address) bool {
	return slices.ContainsFunc(who, func(a mail.Address) bool {
		p := Actor{Name: a.String(), Role: Person}
		return p.identity() == by
	})
}

// Forget takes away what Of finds. A bulk act of the person that is under way ends. It can be repeated.
func (s *Service) Forget(ctx context.Context, who []mail.Address) error {
	r, err := s.Of(ctx, who)
	if err != nil {
		return err
	}
	if err := s.o.Allows.Forget(ctx, who); err != nil {
		return err
	}
	for _, asked := range r.Asked {
		for _, a := range who {
			if err := s.o.Client.HDel(ctx, askKey(asked.ID), strings.ToLower(a.String())).Err(); err != nil {
				return fmt.Errorf("acts: %w", err)
			}
		}
		if n, err := s.o.Client.HLen(ctx, askKey(asked.ID)).Result(); err == nil && n == 0 {
			s.forgetAsk(ctx, asked.ID)
		}
	}
	for _, key := range r.keys {
		id := strings.TrimSuffix(strings.TrimPrefix(key, "act:{"), "}")
		if err := s.o.Client.Del(ctx, key, progressKey(id), lessonsKey(id)).Err(); err != nil {
			return fmt.Errorf("acts: %w", err)
		}
	}
	return nil
}
