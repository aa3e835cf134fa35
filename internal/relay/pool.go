package relay

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/mail"
)

const (
	idleLimit    = 30 * time.Second // a connection that waited longer is closed
	transactions = 1000             // on one connection
	oldest       = 5 * time.Minute  // a connection that has stood longer is not used again, so that a changed address is noticed
	growAfter    = time.Minute      // until a pool that was shrunk may have one connection more
)

var (
	errBusy   = errors.New("all connections to the backend are in use")
	errDead   = errors.New("the backend does not answer")
	errClosed = errors.New("the relay is shutting down")
)

// pool holds the connections to one backend, at most max at a time, and fewer after the server said that there were too many.
// Safe for concurrent use.
type pool struct {
	max int

	mu      sync.Mutex
	era     atomic.Int32 // how often the pool was shrunk
	limit   int          // of slots at present; at most max
	changed time.Time    // when limit last was
	idle    []*client    // the last one was used last
	live    map[*client]struct{}
	slots   int // connections that exist, are being made, or say QUIT
	leaving int // those that say QUIT
	waiters []chan grant
	closed  bool
}

// grant is what a waiter gets: a connection, the right to make one (c is nil), or an error.
type grant struct {
	c   *client
	err error
}

func newPool(most int) *pool {
	return &pool{max: most, limit: most, live: map[*client]struct{}{}}
}

// get returns an idle connection, or nil with the right to make one (then added or given back by forgo). It waits until the
// time given. fresh asks for a new connection, who for one that may be used for this client.
func (p *pool) get(ctx context.Context, until time.Time, fresh bool, who mail.Client) (*client, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errClosed
	}
	if !fresh {
		if c := p.take(who); c != nil {
			p.mu.Unlock()
			return c, nil
		}
	}
	if p.slots >= p.limit && len(p.idle) > 0 { // all of which are of no use here
		p.retire(p.idle[0])
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	if p.slots < p.limit {
		p.slots++
		p.mu.Unlock()
		return nil, nil
	}
	ch := make(chan grant, 1)
	p.waiters = append(p.waiters, ch)
	p.mu.Unlock()
	return p.wait(ctx, ch, until)
}

// take returns the idle connection that was used last and may be used for the client; nil when there is none. The lock is held.
func (p *pool) take(who mail.Client) *client {
	now := time.Now()
	for i := len(p.idle) - 1; i >= 0; i-- {
		c := p.idle[i]
		switch {
		case now.Sub(c.idle) >= idleLimit:
			p.retire(c)
		case !c.serves(who):
			continue
		default:
			p.idle = slices.Delete(p.idle, i, i+1)
			return c
		}
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	return nil
}

func (p *pool) wait(ctx context.Context, ch chan grant, until time.Time) (*client, error) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	var err error
	select {
	case g := <-ch:
		return g.c, g.err
	case <-t.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	i := slices.Index(p.waiters, ch)
	if i >= 0 {
		p.waiters = slices.Delete(p.waiters, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // it was granted at the same moment
		g := <-ch
		return g.c, g.err
	}
	return nil, err
}

// retire closes an idle connection politely. Its slot is free once the server has let it go, so that it never counts more of us
// than it should. The lock is held.
func (p *pool) retire(c *client) {
	delete(p.live, c)
	p.leaving++
	go func() {
		c.quit()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.leaving--
		p.slots--
		p.grantSlot()
	}()
}

// add makes a connection that was made with a slot known, so that a shutdown can close it.
func (p *pool) add(c *client) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	p.live[c] = struct{}{}
	return nil
}

// put gives a healthy connection to the next waiter or to the idle ones.
func (p *pool) put(c *client) {
	c.used++
	c.pooled = true
	c.idle = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || c.used >= transactions || c.idle.Sub(c.since) >= oldest,
		c.bound() && len(p.waiters) > 0, p.slots > p.limit && len(p.waiters) == 0:
		p.retire(c)
	case len(p.waiters) > 0:
		ch := p.waiters[0]
		p.waiters = slices.Delete(p.waiters, 0, 1)
		ch <- grant{c: c}
	default:
		p.idle = append(p.idle, c)
	}
}

// drop closes a connection on which something was wrong.
func (p *pool) drop(c *client) {
	c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, c)
	p.slots--
	p.grantSlot()
}

// forgo gives back the right to make a connection.
func (p *pool) forgo() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots--
	p.grantSlot()
}

func (p *pool) grantSlot() {
	if len(p.waiters) == 0 || p.slots >= p.limit {
		return
	}
	ch := p.waiters[0]
	p.waiters = slices.Delete(p.waiters, 0, 1)
	p.slots++
	ch <- grant{}
}

// try takes a slot without waiting.
func (p *pool) try() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.slots >= p.limit {
		return false
	}
	p.slots++
	return true
}

// flush closes the idle connections: the server was seen to close one, so the others are no better.
func (p *pool) flush() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	for _, c := range idle {
		delete(p.live, c)
		p.slots--
		c.close()
	}
	p.mu.Unlock()
}

// shrink halves how many connections there may be, once for all that were begun in one era. It returns whether the pool had its full
// size until now, and how many connections stand or are being made.
func (p *pool) shrink(era int32) (first bool, others int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.era.CompareAndSwap(era, era+1) {
		first = p.limit == p.max
		p.limit = max(p.limit/2, 1)
		p.changed = time.Now()
	}
	return first, p.slots
}

// grow allows one connection more when the last change was a minute ago, and reports whether the pool has its full size again.
func (p *pool) grow(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit >= p.max || now.Sub(p.changed) < growAfter {
		return false
	}
	p.limit++
	p.changed = now
	p.grantSlot()
	return p.limit == p.max
}

// size returns how many connections there may be at present.
func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// reap closes connections that have been idle for too long.
func (p *pool) reap(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 && now.Sub(p.idle[0].idle) >= idleLimit {
		p.retire(p.idle[0])
		p.idle = slices.Delete(p.idle, 0, 1)
	}
}

// wake ends the waiting of all who wait, with an error.
func (p *pool) wake(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ch := range p.waiters {
		ch <- grant{err: err}
	}
	p.waiters = nil
}

// shut refuses new connections and closes the idle ones; hard closes those in use as well.
func (p *pool) shut(hard bool) {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.idle {
		p.retire(c)
	}
	p.idle = nil
	if hard {
		for c := range p.live {
			c.close()
		}
	}
	p.mu.Unlock()
	p.wake(errClosed)
}

// counts returns how many connections are in use and idle, and how many wait for one.
func (p *pool) counts() (busy, idle, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slots - p.leaving - len(p.idle), len(p.idle), len(p.waiters)
}
