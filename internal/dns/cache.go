package dns

import (
	"time"

	"github.com/maypok86/otter/v2"
)

// Bounds on how long an answer is believed, whatever its TTL says.
const (
	maxPositive = 24 * time.Hour
	maxNegative = time.Hour   // RFC 2308 section 5 asks for one to three hours at most
	keepFailure = time.Second // so that the checks of one mail do not each wait for the same dead name
)

// cache holds answers and errors within a bound of octets.
type cache struct {
	entries *otter.Cache[question, entry]
	now     func() time.Time
}

type entry struct {
	a       *answer
	err     error
	expires time.Time
}

func newCache(octets int, now func() time.Time) *cache {
	return &cache{now: now, entries: otter.Must(&otter.Options[question, entry]{
		MaximumWeight: uint64(octets),
		Weigher:       weigh,
		Executor:      func(f func()) { f() },
	})}
}

// get returns what was stored and is not over its time. The third result says whether there is such an entry.
func (c *cache) get(q question) (*answer, error, bool) {
	e, ok := c.entries.GetIfPresent(q)
	if !ok || !c.now().Before(e.expires) {
		return nil, nil, false
	}
	return e.a, e.err, true
}

func (c *cache) put(q question, a *answer, err error, keep time.Duration) {
	c.entries.Set(q, entry{a: a, err: err, expires: c.now().Add(keep)})
}

// weigh estimates the heap that an entry holds.
func weigh(q question, e entry) uint32 {
	n := 240 + len(q.name)
	if e.a == nil {
		return uint32(n + 120)
	}
	n += 24 * len(e.a.addrs)
	for _, t := range e.a.texts {
		n += 16 + len(t)
	}
	for _, name := range e.a.names {
		n += 16 + len(name)
	}
	for i := range e.a.mx {
		n += 24 + len(e.a.mx[i].Host)
	}
	return uint32(n)
}
