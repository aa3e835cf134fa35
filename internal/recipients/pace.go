package recipients

import (
	"context"
	"sync"
	"time"
)

const paceSize = 64

// pace remembers how long the last questions took, so that answers from memory can take as long. Safe for concurrent use.
type pace struct {
	mu   sync.Mutex
	ring [paceSize]time.Duration
	n    int
	next int
}

func (p *pace) add(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ring[p.next] = d
	p.next = (p.next + 1) % paceSize
	p.n = min(p.n+1, paceSize)
}

// draw gives one of the recent durations; 0 when nothing was asked yet. random returns a number from 0 to n-1.
func (p *pace) draw(random func(n int) int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		return 0
	}
	return p.ring[random(p.n)]
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
