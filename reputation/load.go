package reputation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"sekimori/internal/store"
)

// Load reads the model from the store and puts it in place of the one in memory; on an error that stays. A mail that
// another process learns meanwhile may be missed or counted twice until the next Load.
func (l *Learner) Load(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.load(ctx)
}

// load is Load with the mutex held. No mail waits for it: the model of before is asked meanwhile, without any lock.
func (l *Learner) load(ctx context.Context) error {
	m := NewModel()
	now := l.now()
	learned := map[Scope][2]int{}
	entries := 0 // at most, since a token may stand in several months
	var sources []source
	for n := range months {
		month := monthBefore(now, n)
		for _, c := range []Class{Ham, Spam} {
			sources = append(sources, source{hashKey(Everybody, c, month), func(token string, n int) {
				entries++
				m.put(c, token, n)
			}})
		}
		sources = append(sources, source{scopesKey(month), func(field string, n int) {
			if c, scope, ok := cutField(field); ok {
				mails := learned[Scope(scope)]
				mails[index(c)] += n
				learned[Scope(scope)] = mails
			}
		}})
	}
	if err := l.scan(ctx, sources); err != nil {
		return fmt.Errorf("loading the Bayes model: %w", err)
	}
	if most := l.limits().Vocabulary; entries > most {
		m = m.capped(most)
	}
	l.model.Store(m)
	l.narrow.load(learned)
	return nil
}

// How often the model is loaded: as a rule, after a failure, and after a hint that much was learned elsewhere.
const (
	reloadEvery = time.Hour
	reloadRetry = 5 * time.Second
	reloadSoon  = 2 * time.Second
)

// Run keeps the model up to date until ctx ends: it loads it, follows the deltas that other processes publish, and loads
// it anew every hour, since a delta is only a hint that may get lost, and after a change of which nobody knows whether it was done. Hashes that are too old to count are deleted.
func (l *Learner) Run(ctx context.Context) {
	sub := l.client.Subscribe(ctx, channel)
	defer sub.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	messages := sub.Channel()
	failed, doubted := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-messages:
			if !ok {
				messages = nil // closed with the client; what is left is the timer
			} else if l.follow(m.Payload) {
				timer.Reset(reloadSoon)
			}
		case <-l.doubts:
			doubted = true
			timer.Reset(reloadSoon)
		case <-timer.C:
			err := l.reload(ctx)
			if err == nil && doubted {
				l.publishReload(ctx) // nobody was told of what may have been done
				doubted = false
			}
			if err != nil && !failed && ctx.Err() == nil {
				l.log.Warn("the Bayes model could not be loaded", "error", err)
			}
			if failed = err != nil; failed {
				timer.Reset(reloadRetry)
			} else {
				timer.Reset(reloadEvery)
			}
		}
	}
}

func (l *Learner) publishReload(ctx context.Context) {
	message, _ := json.Marshal(delta{Node: l.node, Reload: true})
	l.client.Publish(ctx, channel, message)
}

func (l *Learner) reload(ctx context.Context) error {
	if err := l.Load(ctx); err != nil {
		return err
	}
	return l.expire(ctx)
}

// follow applies a delta of another process and says whether the model must be loaded instead.
func (l *Learner) follow(payload string) (reload bool) {
	var d delta
	if json.Unmarshal([]byte(payload), &d) != nil {
		return true
	}
	if d.Node == l.node {
		return false
	}
	if d.Reload {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, byClass := range append(slices.Collect(maps.Values(d.Scoped)), d.Counts) {
		for c := range byClass {
			if _, ok := ParseClass(string(c)); !ok {
				return true
			}
		}
	}
	addCounts(l.Model(), d.Counts, 1)
	l.narrow.follow(d.Scoped, false)
	return false
}

// expire deletes the hashes that have just become too old.
func (l *Learner) expire(ctx context.Context) error {
	const lookBack = 3 // months in which no process may have run
	now := l.now()
	_, err := l.client.Pipelined(ctx, func(p store.Pipeliner) error {
		for n := months; n < months+lookBack; n++ {
			p.Unlink(ctx, hashKey(Everybody, Ham, monthBefore(now, n)))
			p.Unlink(ctx, hashKey(Everybody, Spam, monthBefore(now, n)))
		}
		return nil
	})
	return err
}
