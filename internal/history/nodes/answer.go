package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/store"
)

// Answerer answers the questions of other hosts. Its fields are set before Run.
type Answerer struct {
	Client store.Client
	ID     string // of this host, as in Host
	Keys   func(context.Context) (*Keys, error)
	Reader func() (*history.Reader, error) // is closed after each question
	Now    func() time.Time
	Log    *slog.Logger

	mu   sync.Mutex
	seen map[string]time.Time // questions that were taken up
}

const (
	lookEvery = time.Second
	atOnce    = 2
	spare     = 300 * time.Millisecond // of the time of a question, for the way back
	forget    = 2 * MostWait
)

// Run answers until ctx ends.
func (a *Answerer) Run(ctx context.Context) {
	hints := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() { a.listen(ctx, hints) })
	places := make(chan struct{}, atOnce)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	defer wg.Wait()
	for {
		ids, err := a.Client.ZRange(ctx, askedKey, 0, mostOpen-1).Result()
		if err != nil && ctx.Err() == nil {
			a.Log.Debug("questions of other hosts cannot be read", "err", err)
		}
		for _, id := range ids {
			if !a.fresh(id) {
				continue
			}
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				defer func() { <-places }()
				if err := a.answer(ctx, id); err != nil && ctx.Err() == nil {
					a.Log.Debug("a question of another host was not answered", "question", id, "err", err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-hints:
		}
	}
}

// listen passes hints on.
func (a *Answerer) listen(ctx context.Context, hints chan<- struct{}) {
	sub := a.Client.Subscribe(ctx, hint)
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-sub.Channel():
			if !ok {
				return
			}
			select {
			case hints <- struct{}{}:
			default:
			}
		}
	}
}

// fresh reports whether a question was not taken up yet, and notes that it is.
func (a *Answerer) fresh(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Now()
	if a.seen == nil {
		a.seen = map[string]time.Time{}
	}
	for old, at := range a.seen {
		if now.Sub(at) > forget {
			delete(a.seen, old)
		}
	}
	if _, ok := a.seen[id]; ok {
		return false
	}
	a.seen[id] = now
	return true
}

// answer answers one question.
func (a *Answerer) answer(ctx context.Context, id string) error {
	said, err := a.Client.Get(ctx, questionKey(id)).Bytes()
	if errors.Is(err, store.Nil) { // its time was over before it was taken away
		return a.Client.ZRem(ctx, askedKey, id).Err()
	}
	if err != nil {
		return err
	}
	keys, err := a.Keys(ctx)
	if err != nil {
		return err
	}
	out := a.say(ctx, keys, id, said)
	pipe := a.Client.Pipeline()
	pipe.HSet(ctx, answerKey(id), a.ID, out)
	pipe.PExpire(ctx, answerKey(id), MostWait)
	_, err = pipe.Exec(ctx)
	return err
}

// say returns the answer to a question, or a refusal.
func (a *Answerer) say(ctx context.Context, keys *Keys, id string, said []byte) []byte {
	q, err := a.question(keys, id, said)
	switch {
	case errors.Is(err, ErrKey):
		return refusal(noKey)
	case errors.Is(err, ErrClock):
		return refusal(noClock)
	case err != nil:
		return refusal(noIdea)
	}
	ctx, cancel := context.WithTimeout(ctx, max(min(q.Within, MostWait)-spare, spare))
	defer cancel()
	b, err := a.look(ctx, q)
	if err != nil {
		a.Log.Warn("the history cannot be read for another host", "by", q.By, "err", err)
		return refusal(noRead)
	}
	return keys.seal(b, placeAnswer(id, a.ID))
}

func (a *Answerer) look(ctx context.Context, q *Question) ([]byte, error) {
	r, err := a.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t, err := r.Within(ctx).Tell(q.Asks, a.Now())
	if err != nil {
		return nil, err
	}
	return history.Pack(t)
}

// question opens a question.
func (a *Answerer) question(keys *Keys, id string, said []byte) (*Question, error) {
	plain, err := keys.open(said, placeQuestion(id))
	if err != nil {
		return nil, err
	}
	q := &Question{}
	if err := history.Unpack(plain, q); err != nil {
		return nil, err
	}
	if q.Version != version {
		return nil, fmt.Errorf("%w: version %d", ErrOther, q.Version)
	}
	if d := a.Now().Sub(q.At); d > clockAway || d < -clockAway {
		return nil, ErrClock
	}
	return q, history.CheckAsks(q.Asks)
}
