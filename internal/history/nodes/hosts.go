package nodes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/store"
)

// Host is what a host says of itself.
type Host struct {
	ID   string    `json:"-"`    // of its data_dir; two hosts may go by one name
	Name string    `json:"name"` // its hostname
	At   time.Time `json:"at"`   // when it last said so, by its clock
	// Off says that it keeps no history.
	Off     bool           `json:"off,omitempty"`
	Stories history.Period `json:"stories"` // To is as old as the last look, not older than an hour
	Facts   history.Period `json:"facts"`
}

const (
	hostsKey = "history:nodes"
	// Silent is after how long without a word a host is not waited for.
	Silent = time.Minute
	expire = 400 * 24 * time.Hour // of the list of hosts, when none says anything any more
	most   = 200                  // hosts that are listed
	maxSay = 4096                 // octets of what one says
)

// Silent reports whether the host has not said anything for a minute.
func (h *Host) Silent(now time.Time) bool { return now.Sub(h.At) > Silent }

// Knows reports whether the host may know something of a time: a host that said its last word before it does not.
func (h *Host) Knows(since time.Time) bool { return since.IsZero() || !h.At.Before(since) }

// Say tells the others of a host.
func Say(ctx context.Context, c store.Client, h Host) error {
	b, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	pipe := c.Pipeline()
	pipe.HSet(ctx, hostsKey, h.ID, b)
	pipe.PExpire(ctx, hostsKey, expire)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	return nil
}

// Hosts returns all that have said something, by name, this one included.
func Hosts(ctx context.Context, c store.Client) ([]Host, error) {
	all, err := c.HGetAll(ctx, hostsKey).Result()
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	list := []Host{}
	for id, said := range all {
		var h Host
		if len(said) > maxSay || len(id) > 64 || json.Unmarshal([]byte(said), &h) != nil || h.Name == "" {
			continue
		}
		h.ID = id
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b Host) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	return list[:min(len(list), most)], nil
}

// Forget takes a host that is gone for good out of the list. One that still runs says again that it is there.
func Forget(ctx context.Context, c store.Client, id string) error {
	if err := c.HDel(ctx, hostsKey, id).Err(); err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	return nil
}
