package recipients

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	failuresInARow = 3
	restAfter      = 10 * time.Second
	mostForgotten  = 50_000 // addresses that are remembered as unknown
)

var errCrowded = errors.New("too many questions at one time")

// errAboutOne marks an error that is about the address alone: whoever asks for such addresses must not be able to have the place left
// alone for everybody.
var errAboutOne = errors.New("not now")

var errResting = errors.New("it did not answer several times in a row and is left alone for some seconds")

// live asks a place outside: a few questions at a time, each once however many wait for it, none while the place does not
// answer anyway. What was said to be unknown is remembered for a short time. Safe for concurrent use.
type live struct {
	slots      chan struct{}
	timeout    time.Duration
	unknownFor time.Duration
	now        func() time.Time
	pace       pace

	mu     sync.Mutex
	calls  map[string]*call
	gone   map[string]time.Time // key -> until when it is unknown
	failed int
	rest   time.Time
}

// call is one question that is being asked.
type call struct {
	done chan struct{}
	got  []Entry
	err  error
}

func newLive(at int, timeout, unknownFor time.Duration, now func() time.Time) *live {
	return &live{
		slots: make(chan struct{}, at), timeout: timeout, unknownFor: unknownFor, now: now,
		calls: map[string]*call{}, gone: map[string]time.Time{},
	}
}

// unknown reports whether the address was said to be unknown a short time ago.
func (l *live) unknown(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.gone[key]
	if ok && !l.now().Before(until) {
		delete(l.gone, key)
		return false
	}
	return ok
}

// forget drops every remembered unknown.
func (l *live) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.gone)
}

// ask puts the question f, which returns no entries when there is no such address, and remembers that. It returns within
// the timeout, whatever f does; f goes on for those who ask the same.
func (l *live) ask(ctx context.Context, key string, f func(context.Context) ([]Entry, error)) ([]Entry, error) {
	begun := time.Now()
	defer func() { l.pace.add(time.Since(begun)) }()
	l.mu.Lock()
	c, running := l.calls[key]
	if !running {
		if l.now().Before(l.rest) {
			l.mu.Unlock()
			return nil, errResting
		}
		c = &call{done: make(chan struct{})}
		l.calls[key] = c
		go l.run(context.WithoutCancel(ctx), key, c, f)
	}
	l.mu.Unlock()
	t := time.NewTimer(l.timeout)
	defer t.Stop()
	select {
	case <-c.done:
		return c.got, c.err
	case <-t.C:
		return nil, fmt.Errorf("no answer within %s", l.timeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run carries a call out. Waiting for a slot counts as a part of its time.
func (l *live) run(ctx context.Context, key string, c *call, f func(context.Context) ([]Entry, error)) {
	end := time.Now().Add(l.timeout)
	ctx, stop := context.WithDeadline(ctx, end)
	defer stop()
	select {
	case l.slots <- struct{}{}:
		if c.err = errCrowded; time.Now().Before(end) { // both may have come at once
			c.got, c.err = guarded(ctx, f)
		}
		<-l.slots
	case <-ctx.Done():
		c.err = errCrowded
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, key)
	switch {
	case errors.Is(c.err, errCrowded), errors.Is(c.err, errAboutOne): // says nothing about the place
	case c.err != nil:
		if l.failed++; l.failed >= failuresInARow {
			l.failed, l.rest = 0, l.now().Add(restAfter)
		}
	case len(c.got) == 0:
		l.remember(key)
		fallthrough
	default:
		l.failed = 0
	}
	close(c.done)
}

// guarded turns a panic of a source into an error.
func guarded(ctx context.Context, f func(context.Context) ([]Entry, error)) (got []Entry, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f(ctx)
}

// remember notes an unknown address. The lock is held.
func (l *live) remember(key string) {
	now := l.now()
	if len(l.gone) >= mostForgotten {
		for k, until := range l.gone {
			if !now.Before(until) {
				delete(l.gone, k)
			}
		}
		if len(l.gone) >= mostForgotten {
			clear(l.gone) // a harvest; what is forgotten is asked again
		}
	}
	l.gone[key] = now.Add(l.unknownFor)
}
