package front

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"sekimori/internal/config"
)

// Share charges one unit of a rate that all hosts count together. It returns how long the next unit has to wait; 0 when the
// rate is not exceeded. An error means that nobody else counts at the moment.
type Share func(ctx context.Context, key string, r config.Rate) (time.Duration, error)

const (
	shareWait    = 2 * time.Second
	mostNetworks = 100_000
)

// harvest counts the unknown recipients that client networks ask for. Over the rate a network gets no answer about
// existence. The count is kept here, so that it costs a client's answer nothing and works without the store; each one is
// also charged, behind the answer, to what the hosts share, and what that says holds here too. Safe for concurrent use.
type harvest struct {
	share Share
	log   *slog.Logger
	now   func() time.Time
	ask   chan charge

	mu   sync.Mutex
	tat  map[netip.Prefix]time.Time // the generic cell rate algorithm's theoretical arrival time
	stop map[netip.Prefix]time.Time // until when no answers are given
}

type charge struct {
	network netip.Prefix
	rate    config.Rate
}

func newHarvest(share Share, log *slog.Logger, now func() time.Time) *harvest {
	return &harvest{
		share: share, log: log, now: now, ask: make(chan charge, 256),
		tat: map[netip.Prefix]time.Time{}, stop: map[netip.Prefix]time.Time{},
	}
}

// over reports whether a network gets no answers at the moment.
func (h *harvest) over(network netip.Prefix) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, ok := h.stop[network]
	if ok && !h.now().Before(until) {
		delete(h.stop, network)
		return false
	}
	return ok
}

// failed counts an unknown recipient of a network.
func (h *harvest) failed(network netip.Prefix, rate config.Rate) {
	if rate.Count == 0 || !network.IsValid() {
		return
	}
	h.count(network, rate)
	if h.share == nil {
		return
	}
	select {
	case h.ask <- charge{network, rate}:
	default: // the store is slow; the count here goes on
	}
}

func (h *harvest) count(network netip.Prefix, rate config.Rate) {
	unit := rate.Period / time.Duration(rate.Count)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.sweep(now)
	tat := h.tat[network]
	if tat.Before(now) {
		tat = now
	}
	tat = tat.Add(unit)
	h.tat[network] = tat
	// The next one would be over: it waits until there is room for it.
	if wait := tat.Add(unit).Sub(now) - rate.Period; wait > 0 {
		h.hold(network, now, wait)
	}
}

// hold gives a network no answers for a while. The lock is held.
func (h *harvest) hold(network netip.Prefix, now time.Time, wait time.Duration) {
	until := now.Add(wait)
	was, stopped := h.stop[network]
	if stopped && !until.After(was) {
		return
	}
	h.stop[network] = until
	if !stopped {
		h.log.Warn("harvest: a network asks for too many unknown recipients and gets no answers for a while",
			"network", network.String(), "ms", wait.Milliseconds())
	}
}

// sweep keeps the maps small. The lock is held.
func (h *harvest) sweep(now time.Time) {
	if len(h.tat) < mostNetworks && len(h.stop) < mostNetworks {
		return
	}
	for n, tat := range h.tat {
		if !tat.After(now) {
			delete(h.tat, n)
		}
	}
	for n, until := range h.stop {
		if !until.After(now) {
			delete(h.stop, n)
		}
	}
	if len(h.tat) >= mostNetworks {
		clear(h.tat)
	}
	if len(h.stop) >= mostNetworks {
		clear(h.stop)
	}
}

// run charges what the hosts share until ctx ends.
func (h *harvest) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-h.ask:
			h.charge(ctx, c)
		}
	}
}

func (h *harvest) charge(ctx context.Context, c charge) {
	ctx, cancel := context.WithTimeout(ctx, shareWait)
	defer cancel()
	wait, err := h.share(ctx, "harvest:"+c.network.String(), c.rate)
	if err != nil || wait <= 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold(c.network, h.now(), wait)
}
