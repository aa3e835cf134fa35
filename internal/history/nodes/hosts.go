package nodes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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
	// Run is the name that its process gave itself, other each time. Twin: another process says that it is this host, too, as when a machine
	// was copied with its data_dir; the two hide each other.
	Run  string `json:"run,omitempty"`
	Twin bool   `json:"twin,omitempty"`

	alive bool // it has said something within Silent, by the clock of the store
}

const (
	hostsKey = "history:nodes"
	// Silent is after how long without a word a host is not waited for.
	Silent = time.Minute
	expire = 400 * 24 * time.Hour // of the list of hosts, when none says anything any more
	most   = 200                  // hosts that are listed
	maxSay = 4096                 // octets of what one says
)

// Silent reports whether the host has not said anything for a minute. The clock of the store counts, as that of the host may be wrong; of a
// host that says no Run (an older version) its own does.
func (h *Host) Silent(now time.Time) bool {
	if h.Run != "" {
		return !h.alive
	}
	return now.Sub(h.At) > Silent
}

// Knows reports whether the host may know something of a time: a host that said its last word before it does not.
func (h *Host) Knows(since time.Time) bool { return since.IsZero() || !h.At.Before(since) }

func aliveKey(id string) string { return "history:alive:{" + id + "}" }

// Other returns the Run of the process that said last that it is the host; "" when none did within a minute.
func Other(ctx context.Context, c store.Client, id string) (string, error) {
	run, err := c.Get(ctx, aliveKey(id)).Result()
	if err != nil && !errors.Is(err, store.Nil) {
		return "", fmt.Errorf("nodes: %w", err)
	}
	return run, nil
}

// Say tells the others of a host.
func Say(ctx context.Context, c store.Client, h Host) error {
	b, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	pipe := c.Pipeline()
	if h.Run != "" {
		pipe.Set(ctx, aliveKey(h.ID), h.Run, Silent)
	}
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
	if err := alive(ctx, c, list); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Host) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	return list[:min(len(list), most)], nil
}

// alive asks the store which hosts have said something of late.
func alive(ctx context.Context, c store.Client, list []Host) error {
	if len(list) == 0 {
		return nil
	}
	pipe := c.Pipeline()
	there := make([]interface{ Val() int64 }, len(list))
	for i := range list {
		there[i] = pipe.Exists(ctx, aliveKey(list[i].ID))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	for i := range list {
		list[i].alive = there[i].Val() > 0
	}
	return nil
}

// Forget takes a host that is gone for good out of the list. One that still runs says again that it is there.
func Forget(ctx context.Context, c store.Client, id string) error {
	if err := c.HDel(ctx, hostsKey, id).Err(); err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	return nil
}
