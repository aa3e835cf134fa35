package history

import (
	"net/netip"
	"sync"
	"time"
)

// Refusals puts together what comes by the hundred: of one client, place and reason the first few of a minute are told one by one, the
// others are counted and told as one event when the minute is over. It is safe for concurrent use.
type Refusals struct {
	tell func(*Event)
	now  func() time.Time

	mu     sync.Mutex
	minute time.Time
	seen   map[refusal]*Event // nil: none was put together yet
	count  map[refusal]int
}

type refusal struct {
	client     netip.Prefix // the network when there are too many clients
	kind       Kind
	stage, why string
}

const (
	tellSingly   = 5      // of a client, place and reason in a minute
	mostRefusals = 20_000 // clients, places and reasons that are counted apart
)

// NewRefusals returns one that hands events to tell.
func NewRefusals(tell func(*Event), now func() time.Time) *Refusals {
	return &Refusals{tell: tell, now: now, seen: map[refusal]*Event{}, count: map[refusal]int{}}
}

// Add tells of a refusal, now or when the minute is over. alone reports whether it is told by itself.
func (r *Refusals) Add(e *Event) (alone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if e.Time.IsZero() {
		e.Time = now
	}
	if m := now.Truncate(time.Minute); !m.Equal(r.minute) {
		r.flush()
		r.minute = m
	}
	k := refusal{kind: e.Kind, stage: e.Stage, why: e.Why}
	if e.Client.IsValid() {
		c := e.Client.Unmap().WithZone("")
		k.client = netip.PrefixFrom(c, c.BitLen())
		if len(r.count) >= mostRefusals {
			k.client = netip.Prefix{}
		}
	}
	r.count[k]++
	if r.count[k] <= tellSingly && len(r.count) < mostRefusals {
		r.tell(e)
		return true
	}
	if sum := r.seen[k]; sum != nil {
		sum.Count++
		sum.Until = e.Time
		return false
	}
	sum := *e
	sum.ID, sum.Conn, sum.Count, sum.Until = "", "", 1, e.Time
	sum.Rcpts, sum.From, sum.Findings = nil, "", nil
	if !k.client.IsValid() {
		sum.Client, sum.Host, sum.Helo = netip.Addr{}, "", ""
	}
	r.seen[k] = &sum
	return false
}

// Flush tells what was counted; it is called about once a minute, and at the end.
func (r *Refusals) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.now().Truncate(time.Minute); !m.Equal(r.minute) {
		r.flush()
		r.minute = m
	}
}

// Close tells everything.
func (r *Refusals) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush()
}

func (r *Refusals) flush() {
	for _, e := range r.seen {
		r.tell(e)
	}
	clear(r.seen)
	clear(r.count)
}
