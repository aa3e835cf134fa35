package reputation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sekimori/internal/store"
)

// over says what is above the limits times factor; "" for nothing.
func (l DriftLimits) over(n DriftNumbers, factor float64) string {
	exceeds := func(part, all int, rate float64) bool { return part > 0 && float64(part) >= rate*factor*float64(all) }
	hours := int(l.Window.Hours())
	released, reported := n.ReleasedCounted, n.ReportedCounted
	switch {
	case released >= l.Min && n.ReleasedBy >= l.Persons && exceeds(released, n.Held, l.Released):
		return fmt.Sprintf("%d of %d mails that it had a part in holding were released by %d people in %d hours", released, n.Held, n.ReleasedBy, hours)
	case reported >= l.Min && n.ReportedBy >= l.Persons && exceeds(reported, n.Passed, l.Reported):
		return fmt.Sprintf("%d of %d mails that it found good were reported as spam by %d people in %d hours", reported, n.Passed, n.ReportedBy, hours)
	}
	return ""
}

// Look writes what was counted, reads what all hosts counted, and changes the state when that says so: the weight is halved above the
// limits, and whole again when the rates have fallen below half of them.
func (w *BayesWatch) Look(ctx context.Context) (DriftState, error) {
	if err := w.flush(ctx); err != nil {
		return w.State(), err
	}
	text, err := w.client.Get(ctx, driftKey).Result()
	if err != nil && !errors.Is(err, store.Nil) {
		return w.State(), err
	}
	state := parseDrift(text)
	n, err := w.Numbers(ctx)
	if err != nil {
		return w.State(), err
	}
	next, limits := state, w.limits()
	why := limits.over(n, 1)
	switch {
	case !limits.Enabled:
		next = DriftState{}
	case !state.Halved && why != "":
		next = DriftState{Halved: true, Since: w.now().UTC(), Why: why}
	case state.Halved && limits.over(n, 0.5) == "":
		next = DriftState{}
	}
	if next != state {
		if err := w.set(ctx, text, next); err != nil {
			return w.State(), err
		}
	}
	w.state.Store(&next)
	return next, nil
}

func parseDrift(text string) (s DriftState) {
	if json.Unmarshal([]byte(text), &s) != nil {
		return DriftState{} // there is none
	}
	return s
}

// set writes a state in place of another; when it was changed meanwhile the next Look sees that.
func (w *BayesWatch) set(ctx context.Context, was string, next DriftState) error {
	text := ""
	if next.Halved {
		b, err := json.Marshal(next)
		if err != nil {
			return err
		}
		text = string(b)
	}
	return store.NewScript(driftLua).Run(ctx, w.client, []string{driftKey}, was, text).Err()
}

// Read reads the state without changing it.
func (w *BayesWatch) Read(ctx context.Context) (DriftState, error) {
	text, err := w.client.Get(ctx, driftKey).Result()
	if err != nil && !errors.Is(err, store.Nil) {
		return DriftState{}, err
	}
	state := parseDrift(text)
	w.state.Store(&state)
	return state, nil
}

// Clear gives the check its whole weight back, and forgets what people said against it within the window.
func (w *BayesWatch) Clear(ctx context.Context) error {
	pipe := w.client.Pipeline()
	for _, key := range w.hours() {
		pipe.Del(ctx, key)
	}
	pipe.Del(ctx, driftKey)
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	w.state.Store(&DriftState{})
	return nil
}

// Run looks until ctx ends, and tells told of every state that it finds; the first one and then those that differ.
func (w *BayesWatch) Run(ctx context.Context, told func(DriftState)) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var last *DriftState
	for {
		look, stop := context.WithTimeout(ctx, 5*time.Second)
		s, err := w.Look(look) // the store has a warning of its own, and what was counted waits
		stop()
		if err == nil && (last == nil || *last != s) {
			told(s)
			last = &s
		}
		select {
		case <-ctx.Done():
			final, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			_ = w.flush(final) // counts of seconds, at the worst
			stop()
			return
		case <-tick.C:
		}
	}
}
