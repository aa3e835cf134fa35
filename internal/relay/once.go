package relay

import (
	"errors"
	"slices"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// What is sent at most once. Its entry is in flight on the disk before the last octet of the mail is given to a backend: until then
// everything that goes wrong is tried again as usual, and so is what the backend says no to. From then on only an answer tells.

var errDied = errors.New("the last run ended before the answer was written down")

// takeOff is job.beforeEnd: from here on the backend may have the mail.
func (p *parcel) takeOff() error {
	e := p.e
	e.State, e.Rcpts = spool.StateInflight, slices.Clone(p.e.Rcpts)
	e.Rcpts[0].Status = spool.Inflight
	p.unsaved = true // whatever comes of it
	return p.r.o.Spool.Update(e)
}

const notKnown = "whether the mail arrived is not known, and it is sent at most once" // in words of ours

// lose ends the only try whose answer was lost.
func (p *parcel) lose(backend string, why error) {
	c := &p.e.Rcpts[0]
	c.Status, c.Unknown, c.By, c.At = spool.Failed, true, backend, p.r.o.Now()
	c.Last = mail.Permanent(554, 4, 4, notKnown).String()
	c.Attempts++
	p.sooner, p.unsaved = false, true
	p.backend, p.lostBy = backend, backend
	p.r.Counters.Unknown.Add(1)
	p.r.o.Log.Warn("relay: the answer to the final dot was lost; the mail is sent at most once, so it is not sent again",
		"id", p.e.ID, "backend", backend, "error", why)
}
