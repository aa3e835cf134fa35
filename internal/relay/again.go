package relay

import (
	"strings"

	"sekimori/internal/ledger"
	"sekimori/internal/spool"
)

// What an earlier run made of the failures that it did not settle. Their ends are in no ledger, so they are reported again; what
// the first report made has a line of its own and is not made a second time, even when it has left since.

// unsettled is an entry whose ends could not be written yet, with the notice that goes out when they are.
type unsettled struct {
	entry  spool.Entry
	notice *Staged
}

// recall reads which ids the ledger knows of what was made of those entries. The names begin with that of the entry.
func (r *Relay) recall(entries []string) error {
	if r.o.Ledger == nil || len(entries) == 0 {
		return nil
	}
	of := map[string]bool{}
	for _, id := range entries {
		of[id] = true
	}
	events, err := r.o.Ledger.History(func(id string) bool {
		i := strings.LastIndexByte(id, '.')
		return i > 0 && of[id[:i]]
	})
	if err != nil {
		return err
	}
	r.made = map[string]bool{}
	for _, e := range events { // the last one counts
		r.made[e.ID] = !(e.Ends() && e.Word == string(ledger.Withdrawn))
	}
	return nil
}

// known reports whether an earlier run has made something of this name, and made it safe.
func (r *Relay) known(id string) bool { return r.made[id] }

// failures returns who failed and was not reported, as OnFailed is told it.
func (p *parcel) failures() (f Failure, list []int) {
	f = Failure{Entry: p.e, Content: p.content, Known: p.r.known}
	for i := range p.e.Rcpts {
		if c := &p.e.Rcpts[i]; c.Status == spool.Failed && !c.Done {
			list = append(list, i)
			f.Rcpts = append(f.Rcpts, FailedRcpt{
				Addr: c.Addr, Reply: parseWords(c.Last), Unknown: c.Unknown, Own: c.Unknown || strings.Contains(c.Last, timeIsUp), By: c.By, At: c.At,
			})
		}
	}
	return f, list
}

// secured puts failures into the spool before they are reported, so that a run that comes after a crash knows that they were. When
// that cannot be done nothing is reported yet.
func (p *parcel) secured(changed bool, w way) bool {
	if !changed || !p.failed() {
		return true
	}
	err := p.keep(spool.StateQueued, p.r.o.Now())
	if err == nil {
		return true
	}
	p.r.o.Log.Error("relay: a spool entry cannot be written; the failure is reported later", "id", p.e.ID, "error", err)
	if p.settle(p.notice) == nil { // who got the mail is written down; what else is known is remembered
		p.notice.Commit()
		p.r.unwritten.Store(p.e.ID, unsettled{entry: p.e})
	}
	p.r.queue.add(p.e.ID, w, p.r.after(1), false)
	return false
}
