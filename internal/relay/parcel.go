package relay

import (
	"fmt"
	"time"

	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// parcel is a mail for one set of backends, with what became of each recipient.
type parcel struct {
	r        *Relay
	e        spool.Entry
	content  mail.Content
	meta     func() []byte // of the entry, until it stands in the spool
	stored   bool
	accepted bool    // it stands in the ledger
	backend  string  // that was asked last
	notice   *Staged // of an earlier report, to be committed once the ends are written
	unsaved  bool    // the spool lacks something of it
	sooner   bool    // nothing was handed over: it may be tried as soon as a backend lives again
	broke    bool    // the connection of the last try broke or stalled
	lostBy   string  // behind the final dot: of that backend
}

func (r *Relay) parcel(env Envelope, id string, rcpts []mail.Address) *parcel {
	p := &parcel{r: r, content: env.Content, meta: env.Meta, e: spool.Entry{
		ID: id, Kind: spool.KindQueue, From: env.From, Size: env.Content.Len(),
		EightBit: env.EightBit, UTF8: env.UTF8, Client: env.Client, Lane: env.Lane, Once: env.Once,
	}}
	p.e.Rcpts = make([]spool.Rcpt, len(rcpts))
	for i, a := range rcpts {
		p.e.Rcpts[i] = spool.Rcpt{Addr: a, Status: spool.Waiting}
	}
	return p
}

// waiting returns the indexes of the recipients that are to be tried.
func (p *parcel) waiting() []int {
	var list []int
	for i := range p.e.Rcpts {
		if p.e.Rcpts[i].Status == spool.Waiting {
			list = append(list, i)
		}
	}
	return list
}

func (p *parcel) job(to []int) *job {
	j := &job{id: p.e.ID, from: p.e.From, content: p.content, size: p.e.Size, eightBit: p.e.EightBit, utf8: p.e.UTF8, client: p.e.Client}
	j.rcpts = make([]mail.Address, len(to))
	for k, i := range to {
		j.rcpts[k] = p.e.Rcpts[i].Addr
	}
	return j
}

// note writes down what was said about the recipients of a job.
func (p *parcel) note(to []int, answers []answer) {
	p.tell(to, answers, nil)
	for k, i := range to {
		c := &p.e.Rcpts[i]
		c.Attempts++
		c.By, c.At = p.backend, p.r.o.Now()
		switch a := answers[k]; a.state {
		case delivered:
			c.Status, c.Last = spool.Delivered, ""
			p.end(i, ledger.Delivered, p.backend)
			p.r.Counters.Delivered.Add(1)
			if p.e.Lane == LaneJournal {
				p.r.o.Warn(WarnJournal, "") // the archive takes mail again
			}
		case accepted:
			c.Status = spool.Inflight
		case refused:
			c.Last = a.reply.mail().String()
			if p.e.Lane != LaneJournal { // an archive that says no is to be mended: the copy waits
				c.Status = spool.Failed
			}
		default:
			c.Last = a.reply.mail().String()
		}
	}
}

// failAll notes for recipients that nothing was handed over, and why.
func (p *parcel) failAll(to []int, err error) {
	p.tell(to, nil, err)
	for _, i := range to {
		p.e.Rcpts[i].Attempts++
		p.e.Rcpts[i].Last = printable([]byte(err.Error()))
	}
}

// count returns how many recipients have the status.
func (p *parcel) count(status string) int {
	n := 0
	for i := range p.e.Rcpts {
		if p.e.Rcpts[i].Status == status {
			n++
		}
	}
	return n
}

// secure is job.beforeData: it puts those who were not accepted into the spool. Those who were are left out: should we die now,
// the client has no answer and sends the mail again.
func (p *parcel) secure(answers []answer) error {
	all := p.e.Rcpts
	defer func() { p.e.Rcpts = all }()
	p.e.Rcpts = nil
	for i, a := range answers {
		c := all[i]
		switch a.state {
		case accepted:
			continue
		case refused:
			c.Status = spool.Failed
		}
		c.Attempts, c.Last = 1, a.reply.mail().String()
		p.e.Rcpts = append(p.e.Rcpts, c)
	}
	return p.keep(spool.StateQueued, p.r.o.Now())
}

// keep writes the parcel into the spool as it is now.
func (p *parcel) keep(state string, next time.Time) error {
	p.e.State, p.e.Next = state, next
	if p.e.Created.IsZero() {
		p.e.Created = p.r.o.Now()
	}
	if p.stored {
		return p.r.o.Spool.Update(p.e)
	}
	if p.meta != nil && p.e.Meta == nil {
		p.e.Meta = p.meta()
	}
	if err := p.r.o.Spool.Put(p.e, p.content); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	p.stored = true
	p.r.Counters.Spooled.Add(1)
	return nil
}

// discard takes the parcel out of the spool, where it stands only for what did not come to be.
func (p *parcel) discard() {
	if !p.stored {
		return
	}
	p.stored = false
	p.withdraw()
	if err := p.r.o.Spool.Remove(p.e.ID); err != nil {
		p.r.o.Log.Error("relay: a spool entry cannot be removed", "id", p.e.ID, "error", err)
	}
}
