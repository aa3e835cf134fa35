package nodes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/store"
)

// Question is what is asked.
type Question struct {
	Version int           `json:"v"`
	At      time.Time     `json:"at"` // by the clock of who asks
	Within  time.Duration `json:"within"`
	By      string        `json:"by"` // the host that asks, for the log of the other
	Asks    []history.Ask `json:"asks"`
}

const (
	version   = 1
	askedKey  = "history:asked"
	hint      = "history:ask"
	mostOpen  = 64 // questions at one time, of all hosts
	clockAway = 10 * time.Minute
	// MostWait is the longest that who asks may wait.
	MostWait = time.Minute
)

func questionKey(id string) string { return "history:q:{" + id + "}" }
func answerKey(id string) string   { return "history:a:{" + id + "}" }

// Asker asks other hosts. Its fields are set before it is used; safe for concurrent use.
type Asker struct {
	Client store.Client
	Keys   *Keys
	Name   string // of this host
	Now    func() time.Time
	NewID  func() string // letters and digits, never the same twice
}

// Reply is what a host said, or why it said nothing.
type Reply struct {
	Host Host
	Told *history.Told // nil when Err is set
	Err  error
	// Skew is how far the clock of the host is in front of ours, at the least: what the way takes is not counted. Below two seconds it is 0.
	Skew time.Duration
}

// ErrBusy says that too many questions are open.
var ErrBusy = errors.New("nodes: too many questions are asked at this moment; try again in some seconds")

// Ask asks all hosts at once and waits, at most so long, until those have answered that are not silent. There is a Reply for each host, in
// their order. An error says that nothing could be asked.
func (a *Asker) Ask(ctx context.Context, hosts []Host, asks []history.Ask, within time.Duration) ([]Reply, error) {
	if err := history.CheckAsks(asks); err != nil {
		return nil, err
	}
	replies := make([]Reply, len(hosts))
	for i := range hosts {
		replies[i] = Reply{Host: hosts[i], Err: ErrSilent}
	}
	if len(hosts) == 0 {
		return replies, nil
	}
	id := a.NewID()
	begun := a.Now()
	if err := a.put(ctx, id, asks, within); err != nil {
		return nil, err
	}
	defer a.take(context.WithoutCancel(ctx), id)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	wait := 10 * time.Millisecond
	for {
		left, err := a.look(ctx, id, replies, begun, asks)
		if err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("nodes: %w", err)
		}
		if !left {
			return replies, nil
		}
		select {
		case <-ctx.Done():
			return replies, nil
		case <-time.After(wait):
		}
		wait = min(2*wait, 100*time.Millisecond)
	}
}

// put puts the question where the hosts look.
func (a *Asker) put(ctx context.Context, id string, asks []history.Ask, within time.Duration) error {
	b, err := history.Pack(Question{Version: version, At: a.Now(), Within: within, By: a.Name, Asks: asks})
	if err != nil {
		return err
	}
	open, err := a.Client.ZCard(ctx, askedKey).Result()
	if err == nil && open >= mostOpen { // those whose askers were killed are taken away when nobody answers, too
		old := strconv.FormatInt(a.Now().Add(-clockAway).UnixMilli(), 10)
		if err = a.Client.ZRemRangeByScore(ctx, askedKey, "-inf", old).Err(); err == nil {
			open, err = a.Client.ZCard(ctx, askedKey).Result()
		}
		if err == nil && open >= mostOpen {
			return ErrBusy
		}
	}
	if err == nil {
		err = a.Client.Set(ctx, questionKey(id), a.Keys.seal(b, placeQuestion(id)), within).Err()
	}
	if err == nil {
		err = a.Client.ZAdd(ctx, askedKey, store.Z{Score: float64(a.Now().UnixMilli()), Member: id}).Err()
	}
	if err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	a.Client.Publish(ctx, hint, id) // the others see it within a second anyway
	return nil
}

// take takes away what is not needed any more.
func (a *Asker) take(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, key := range []string{questionKey(id), answerKey(id)} {
		a.Client.Unlink(ctx, key) // it ends by itself soon
	}
	a.Client.ZRem(ctx, askedKey, id)
}

// look takes what has come. left says that somebody who is worth waiting for has not answered.
func (a *Asker) look(ctx context.Context, id string, replies []Reply, begun time.Time, asks []history.Ask) (left bool, err error) {
	var names []string
	var at []int
	for i := range replies {
		if errors.Is(replies[i].Err, ErrSilent) {
			names, at = append(names, replies[i].Host.ID), append(at, i)
		}
	}
	values, err := a.Client.HMGet(ctx, answerKey(id), names...).Result()
	if err != nil {
		return true, err
	}
	for k, v := range values[:min(len(values), len(at))] {
		r := &replies[at[k]]
		if said, ok := v.(string); ok {
			r.Told, r.Err = a.read([]byte(said), id, r.Host.ID, asks)
			r.Skew = skew(r.Told, begun, a.Now())
		} else if !r.Host.Silent(begun) {
			left = true
		}
	}
	return left, nil
}

// read opens an answer.
func (a *Asker) read(said []byte, id, host string, asks []history.Ask) (*history.Told, error) {
	plain, err := a.Keys.open(said, placeAnswer(id, host))
	if err != nil {
		return nil, err
	}
	t := &history.Told{}
	if err := history.Unpack(plain, t); err != nil {
		return nil, err
	}
	if err := t.Check(asks); err != nil {
		return nil, err
	}
	return t, nil
}

// skew is how far a clock is from ours; what lies between asking and reading counts for nothing.
func skew(t *history.Told, asked, read time.Time) time.Duration {
	const small = 2 * time.Second
	switch {
	case t == nil:
	case t.Time.After(read.Add(small)):
		return t.Time.Sub(read)
	case t.Time.Before(asked.Add(-small)):
		return t.Time.Sub(asked)
	}
	return 0
}
