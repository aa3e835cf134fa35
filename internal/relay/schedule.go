package relay

import (
	"math"
	"time"

	"sekimori/internal/config"
)

// never asks after for the longest wait.
const never = math.MaxInt

// usual is the time between attempts where relay.retry says nothing; the last one repeats.
func usual() []config.Duration {
	return []config.Duration{
		config.Duration(time.Minute), config.Duration(2 * time.Minute), config.Duration(5 * time.Minute),
		config.Duration(10 * time.Minute), config.Duration(20 * time.Minute), config.Duration(30 * time.Minute),
	}
}

// after returns when a mail is tried again that was tried so many times.
func (r *Relay) after(attempts int) time.Time {
	list := r.config().Relay.Retry
	if len(list) == 0 {
		list = usual()
	}
	i := min(max(attempts-1, 0), len(list)-1)
	return r.o.Now().Add(time.Duration(float64(list[i].D()) * jitter(r.o.Rand)))
}

// secondTry is how soon a mail is tried for the second time when the connection of the first broke and another backend lives.
const secondTry = 2 * time.Second

// next returns when the parcel is tried again. A connection that broke says nothing against the other backends: the second try does
// not wait for the schedule. Later ones do, so that a server which drops every mail behind the final dot makes few duplicates.
func (p *parcel) next(s *set) time.Time {
	n := p.attempts()
	next := p.r.after(n)
	if n > 1 || !p.broke || !s.aliveBeside(p.lostBy) {
		return next
	}
	if soon := p.r.o.Now().Add(time.Duration(float64(secondTry) * jitter(p.r.o.Rand))); soon.Before(next) {
		return soon
	}
	return next
}

// jitter is a factor that spreads a time by a fifth to either side.
func jitter(random func() float64) float64 { return 0.8 + 0.4*random() }

// concurrency returns how many deliveries of a domain's queued mail the configuration allows at once.
func concurrency(c *config.Config) func(domain string) int {
	own := map[string]int{}
	for i := range c.Domains {
		if d := &c.Domains[i]; d.Concurrency > 0 {
			for _, name := range d.Names {
				own[name] = d.Concurrency
			}
		}
	}
	return func(domain string) int {
		if n := own[domain]; n > 0 {
			return n
		}
		return c.Relay.DomainConcurrency
	}
}
