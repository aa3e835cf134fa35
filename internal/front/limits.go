package front

import (
	"net/netip"
	"sync"
)

// limiter counts open connections, in all and for each client. IPv6 clients are counted by their /64, which is what one
// customer is given.
type limiter struct {
	mu                  sync.Mutex
	maxTotal, maxClient int

	total  int
	client map[netip.Addr]int
}

func newLimiter(maxTotal, maxClient int) *limiter {
	return &limiter{maxTotal: maxTotal, maxClient: maxClient, client: map[netip.Addr]int{}}
}

// set changes the limits; those who are in stay.
func (l *limiter) set(maxTotal, maxClient int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.maxTotal, l.maxClient = maxTotal, maxClient
}

// enter takes one place in all; a limit of 0 is none. Every true answer is followed by one leave.
func (l *limiter) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maxTotal > 0 && l.total >= l.maxTotal {
		return false
	}
	l.total++
	return true
}

func (l *limiter) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
}

// enterClient takes one of a client's places. Every true answer is followed by one leaveClient.
func (l *limiter) enterClient(a netip.Addr) bool {
	key := clientKey(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.maxClient > 0 && l.client[key] >= l.maxClient {
		return false
	}
	l.client[key]++
	return true
}

func (l *limiter) leaveClient(a netip.Addr) {
	key := clientKey(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client[key]--; l.client[key] <= 0 {
		delete(l.client, key)
	}
}

func clientKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}
