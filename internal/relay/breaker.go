package relay

import (
	"sync"
	"sync/atomic"
)

const softFailures = 3 // in a row

// breaker knows whether a backend is worth asking. A connection that breaks or stalls opens it at once; refusals in words
// (421 at the banner) and late answers only when they come in a row, as a busy server does that as well.
type breaker struct {
	open atomic.Bool
	soft atomic.Int32

	mu    sync.Mutex
	cause error
}

// isOpen reports whether the backend is held to be dead.
func (b *breaker) isOpen() bool { return b.open.Load() }

// ok notes that the backend works.
func (b *breaker) ok() {
	if b.soft.Load() != 0 {
		b.soft.Store(0)
	}
}

// fail notes a failure and reports whether it has opened the breaker; the caller then starts the probing.
func (b *breaker) fail(hard bool, cause error) bool {
	if !hard && b.soft.Add(1) < softFailures {
		return false
	}
	if !b.open.CompareAndSwap(false, true) {
		return false
	}
	b.mu.Lock()
	b.cause = cause
	b.mu.Unlock()
	return true
}

// close notes that a probe has succeeded.
func (b *breaker) close() {
	b.soft.Store(0)
	b.open.Store(false)
}

// why returns what opened it, nil while it is closed.
func (b *breaker) why() error {
	if !b.isOpen() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}
