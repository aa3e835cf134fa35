package digest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/quarantine"
)

// desks keep what a host does for one person in order: handing a digest over and writing down what it told, and taking that back.
type desks struct {
	mu   [64]sync.Mutex // by person
	gone sync.Map       // ids of the digests that were taken back
}

// take is the desk of a person; what it returns gives it back.
func (d *desks) take(person mail.Address) func() {
	m := &d.mu[place(person.Key())%uint64(len(d.mu))]
	m.Lock()
	return m.Unlock
}

func (d *desks) retracted(id string) bool {
	_, is := d.gone.Load(id)
	return is
}

// Retract is that of the Announcer, beside a running Runner.
func (r *Runner) Retract(ctx context.Context, m Mail, unsure bool) error {
	defer r.desks.take(m.To)()
	a := Announcer{Keeper: func() *quarantine.Store { return r.o.Keeper }, People: r.o.People, Directory: r.o.Directory}
	if err := a.Retract(ctx, m, unsure); err != nil {
		return err
	}
	r.desks.gone.Store(m.ID, true)
	return nil
}

// Retract takes back what a digest told that was handed over: it was refused, or, unsure, nobody knows whether it arrived. Then what it
// named is new again, and stands in the person's next digest with a note. It can be repeated. Content is not needed.
func (a Announcer) Retract(ctx context.Context, m Mail, unsure bool) error {
	number, err := numberOf(m.ID)
	if err != nil {
		return err
	}
	states, err := a.People.Get(ctx, []mail.Address{m.To})
	if err != nil {
		return err
	}
	// The slot was not brought to its end: nobody may do that later, and call the mails told.
	if slot := states[0].Slot; slot.State == people.Handing && m.ID == EntryID(m.To, slot.Due) {
		if err := a.People.Done(ctx, m.To, slot, 0); err != nil {
			return err
		}
	}
	told := map[string]*quarantine.Told{}
	for step := range slices.Chunk(m.Names, stepGet) {
		items, err := a.Keeper().Items(ctx, step)
		if err != nil {
			return err
		}
		for i := range items {
			for _, box := range items[i].Readers() {
				if !slices.ContainsFunc(a.Directory.Readers(box), func(p mail.Address) bool { return p.Key() == m.To.Key() }) {
					continue
				}
				t := told[box.Key()]
				if t == nil {
					t = &quarantine.Told{Person: m.To, Addr: box, By: number}
					told[box.Key()] = t
				}
				t.IDs = append(t.IDs, items[i].ID)
			}
		}
	}
	list := make([]quarantine.Told, 0, len(told))
	for _, t := range told {
		list = append(list, *t)
	}
	return a.Keeper().Untell(ctx, list, unsure)
}

// numberOf is the number at the end of a digest's id: under it stands what it told.
func numberOf(id string) (int64, error) {
	n, err := strconv.ParseInt(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("digest: %q is no id of a digest", id)
	}
	return n, nil
}
