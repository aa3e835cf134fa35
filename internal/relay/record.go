package relay

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// What the relay writes into the ledger. Without one (Options.Ledger nil) nothing is written, and an entry counts as it stands.

// record makes the parcel safe and writes down that it was taken over; only then the client may be told so. On an error it
// may stand in the spool and is to be discarded.
func (p *parcel) record(state string, next time.Time) error {
	if err := p.keep(state, next); err != nil {
		return err
	}
	return p.r.accept([]*parcel{p})
}

// accept writes down that the parcels, which are safe, were taken over: all of them or none.
func (r *Relay) accept(parcels []*parcel) error {
	if r.o.Ledger == nil {
		return nil
	}
	mails := make([]ledger.Mail, len(parcels))
	for i, p := range parcels {
		mails[i] = p.line()
	}
	if err := r.o.Ledger.Accept(ledger.Queue, mails...); err != nil {
		return fmt.Errorf("relay: the mail is not acknowledged: %w", err)
	}
	for _, p := range parcels {
		p.accepted = true
	}
	return nil
}

// line is the parcel's acceptance: for whom something is left to do.
func (p *parcel) line() ledger.Mail {
	m := ledger.Mail{ID: p.e.ID, Rcpts: make([]mail.Address, 0, len(p.e.Rcpts))}
	for i := range p.e.Rcpts {
		if !p.e.Rcpts[i].Done {
			m.Rcpts = append(m.Rcpts, p.e.Rcpts[i].Addr)
		}
	}
	return m
}

// withdraw ends what was written down of a mail that is not acknowledged after all.
func (p *parcel) withdraw() {
	if !p.accepted {
		return
	}
	p.accepted = false
	var ends []ledger.Ending
	for i := range p.e.Rcpts {
		ends = append(ends, ledger.Ending{Rcpt: p.e.Rcpts[i].Addr, State: ledger.Withdrawn})
	}
	if err := p.r.o.Ledger.End(p.e.ID, ends...); err != nil {
		p.r.o.Log.Error("relay: the ledger cannot be written", "id", p.e.ID, "error", err)
	}
}

// end notes what became of a recipient, in the envelope first; settle writes it into the ledger.
func (p *parcel) end(i int, state ledger.State, detail string) {
	c := &p.e.Rcpts[i]
	c.Done, c.End, c.Detail = true, string(state), detail
}

// settle writes down the ends of recipients. It must be done before the entry is changed or removed. What cannot be written is
// remembered, with the notice that must not go out before.
func (p *parcel) settle(notice *Staged) error {
	if p.r.o.Ledger == nil {
		return nil
	}
	if err := p.r.o.Ledger.End(p.e.ID, ends(&p.e)...); err != nil {
		p.r.o.Log.Error("relay: the ledger cannot be written; the entry stays", "id", p.e.ID, "error", err)
		p.r.unwritten.Store(p.e.ID, unsettled{p.e, notice})
		return err
	}
	p.r.unwritten.Delete(p.e.ID)
	return nil
}

// ends returns the ends that stand in an envelope.
func ends(e *spool.Entry) []ledger.Ending {
	var list []ledger.Ending
	for i := range e.Rcpts {
		if c := &e.Rcpts[i]; c.Done {
			list = append(list, ledger.Ending{Rcpt: c.Addr, State: ledger.State(cmp.Or(c.End, c.Status)), Detail: c.Detail})
		}
	}
	return list
}

// remembered takes an entry whose ends could not be written from memory: the one on the disk does not know of them.
// unsaved says that the spool lacks something of it.
func (r *Relay) remembered(e spool.Entry) (_ spool.Entry, notice *Staged, unsaved bool) {
	if kept, ok := r.unwritten.Load(e.ID); ok {
		u := kept.(unsettled)
		e, notice, unsaved = u.entry, u.notice, true
	}
	if r.o.Ledger == nil {
		return e, notice, unsaved
	}
	for i := range e.Rcpts {
		// Every entry was accepted or adopted. Who is not open has ended, and the envelope was not written afterwards.
		if c := &e.Rcpts[i]; !c.Done && !r.o.Ledger.IsOpen(e.ID, c.Addr) {
			c.Done = true
			if c.Status != spool.Failed {
				c.Status = spool.Delivered
			}
		}
	}
	return e, notice, unsaved
}

// adopt brings the spool and the ledger together at start: what has ended in the ledger is not sent again, what has ended in
// the spool is written down, and what has no line gets one. It returns the entries that are left.
func (r *Relay) adopt(list []spool.Entry) ([]spool.Entry, error) {
	if r.o.Ledger == nil {
		return list, nil
	}
	past, err := r.past(list)
	if err != nil {
		return nil, err
	}
	left := list[:0]
	for i := range list {
		e := list[i]
		keep, err := r.adoptOne(&e, past)
		if err != nil {
			return nil, err
		}
		if keep {
			left = append(left, e)
		}
	}
	return left, nil
}

type line struct{ id, rcpt string }

// past returns what became of those recipients in the spool that are not open in the ledger. Usually there are none, and
// the older segments are not read.
func (r *Relay) past(list []spool.Entry) (map[line]ledger.Event, error) {
	ids := map[string]bool{}
	for i := range list {
		for _, c := range list[i].Rcpts {
			if !c.Done && !r.o.Ledger.IsOpen(list[i].ID, c.Addr) {
				ids[list[i].ID] = true
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	events, err := r.o.Ledger.History(func(id string) bool { return ids[id] })
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	past := map[line]ledger.Event{}
	for _, e := range events {
		past[line{e.ID, e.Rcpt}] = e // the last one counts
	}
	return past, nil
}

func (r *Relay) adoptOne(e *spool.Entry, past map[line]ledger.Event) (keep bool, err error) {
	var fresh []mail.Address
	changed, open := false, 0
	for i := range e.Rcpts {
		c := &e.Rcpts[i]
		if c.Done {
			continue
		}
		if r.o.Ledger.IsOpen(e.ID, c.Addr) {
			open++
			continue
		}
		if was, ok := past[line{e.ID, ledger.Key(c.Addr)}]; ok && was.Ends() {
			c.Done, c.End, c.Detail, changed = true, was.Word, was.Detail, true
			if c.Status != spool.Failed {
				c.Status = spool.Delivered
			}
			continue
		}
		fresh = append(fresh, c.Addr)
	}
	if len(fresh) > 0 {
		if open == 0 && !changed {
			// Nobody was told that we have it. When it is not whole, a power cut has come before it was.
			if err := r.o.Spool.Check(e); err != nil {
				r.o.Log.Error("relay: a mail that was never acknowledged is not whole; it is set aside", "id", e.ID, "error", err)
				return false, r.o.Spool.SetAside(e)
			}
		}
		r.o.Log.Warn("relay: an entry without a line in the ledger was never acknowledged, or is older than it; it is taken up", "id", e.ID)
		if err := r.o.Ledger.Accept(ledger.Queue, ledger.Mail{ID: e.ID, Rcpts: fresh, Detail: "found at start"}); err != nil {
			return false, fmt.Errorf("relay: %w", err)
		}
	}
	if err := r.o.Ledger.End(e.ID, ends(e)...); err != nil {
		return false, fmt.Errorf("relay: %w", err)
	}
	p := parcel{r: r, e: *e}
	switch {
	case p.finished():
		r.o.Log.Info("relay: left the queue before the last run ended", "id", e.ID)
		if err := r.o.Spool.Remove(e.ID); err != nil && !errors.Is(err, spool.ErrNotFound) {
			return false, fmt.Errorf("relay: %w", err)
		}
		return false, nil
	case changed:
		return true, r.o.Spool.Update(*e)
	}
	return true, nil
}
