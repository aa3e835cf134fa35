package digest

import (
	"context"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

// Waiting is a person for whom something is new.
type Waiting struct {
	Person   mail.Address
	Lang     text.Lang
	Schedule config.Schedule // that holds
	Due      time.Time       // since when a digest is due; zero: none is
	Since    time.Time       // the oldest that is new

	boxes []mail.Address
}

// Waiting returns everybody for whom something may be new, who waits longest first. It changes nothing. It must not be called beside
// Run on the same Runner.
func (r *Runner) Waiting(ctx context.Context) ([]Waiting, error) {
	news, err := r.o.Keeper.News(ctx)
	if err != nil {
		return nil, err
	}
	jobs := jobsOf(news, r.o.Directory)
	who := make([]mail.Address, len(jobs))
	for i, j := range jobs {
		who[i] = j.person
	}
	states := make([]people.State, 0, len(jobs))
	for from := 0; from < len(who); from += stepGet {
		got, err := r.o.People.Get(ctx, who[from:min(len(who), from+stepGet)])
		if err != nil {
			return nil, err
		}
		states = append(states, got...)
	}
	now := r.o.Now()
	list := make([]Waiting, len(jobs))
	for i, j := range jobs {
		w := Waiting{Person: j.person, Since: j.since, boxes: j.boxes, Lang: r.o.Directory.PersonAt(j.person, states[i].Lang).Lang}
		w.Schedule, _ = r.o.Directory.Schedule(j.person, states[i].Schedule)
		if r.isDue(j, now, states[i].Schedule) && states[i].Slot.Due < j.next {
			w.Due = j.due
		}
		list[i] = w
	}
	return list, nil
}

// Count returns of how many mails the person would be told.
func (r *Runner) Count(ctx context.Context, w Waiting) (int, error) {
	entries, _, err := r.collect(ctx, &job{person: w.Person, boxes: w.boxes})
	return len(entries), err
}

// Compose makes the digest that a person would get now, or with all the list of everything that is held; nil when there is nothing.
// It sends nothing and marks nothing.
func (r *Runner) Compose(ctx context.Context, p people.Person, all bool) (*Digest, error) {
	var entries []Entry
	var err error
	settings := r.o.Config().DigestOf(p.Address.Domain)
	if all {
		entries, _, err = r.all(ctx, &p, 0)
	} else {
		entries, err = r.newFor(ctx, &p)
	}
	if err != nil || len(entries) == 0 && !all {
		return nil, err
	}
	return r.digest(ctx, p, entries, settings, EntryID(p.Address, r.o.Now().Unix()), all)
}

// newFor collects what a person was not told yet, of the own address, what stands for it, and the boxes.
func (r *Runner) newFor(ctx context.Context, p *people.Person) ([]Entry, error) {
	news, err := r.o.Keeper.News(ctx)
	if err != nil {
		return nil, err
	}
	var mine []quarantine.News
	for _, n := range news {
		for _, a := range r.o.Directory.Readers(n.Addr) {
			if a.Key() == p.Address.Key() {
				mine = append(mine, n)
			}
		}
	}
	for _, j := range jobsOf(mine, r.o.Directory) {
		if j.person.Key() == p.Address.Key() {
			entries, _, err := r.collect(ctx, j)
			return entries, err
		}
	}
	return nil, nil
}
