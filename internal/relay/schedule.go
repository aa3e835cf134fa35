package relay

import "time"

// schedule is the time between attempts; the last one repeats.
var schedule = [...]time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
}

// after returns when a mail is tried again that was tried so many times.
func (r *Relay) after(attempts int) time.Time {
	i := min(max(attempts-1, 0), len(schedule)-1)
	return r.o.Now().Add(time.Duration(float64(schedule[i]) * jitter(r.o.Rand)))
}

// jitter is a factor that spreads a time by a fifth to either side.
func jitter(random func() float64) float64 { return 0.8 + 0.4*random() }
