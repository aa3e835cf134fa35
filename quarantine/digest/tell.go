package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/quarantine"
)

// recover brings to an end what this host was handing over when it died: what its queue knows was sent, what it does not know was
// not, and is taken again.
func (r *Runner) recover(ctx context.Context, jobs []*job, taken []people.Taken) error {
	var ids []string
	at := map[int]string{}
	for i, t := range taken {
		if b := t.Before; b.State == people.Handing && b.Node == r.o.Node {
			at[i] = EntryID(jobs[i].person, b.Due)
			ids = append(ids, at[i])
		}
	}
	if len(ids) == 0 {
		return nil
	}
	sent, err := r.o.Sender.Known(ctx, ids)
	if err != nil {
		return err
	}
	for i, id := range at {
		t, j := &taken[i], jobs[i]
		switch {
		case sent[id]:
			r.o.Log.Info("a digest was handed over before this host stopped", "person", j.person.String(), "id", id)
			if err := r.handed(ctx, j, t, id); err != nil {
				return err
			}
		case !t.Mine:
			slot, ok, err := r.o.People.Back(ctx, j.person, t.Slot)
			if err != nil {
				return err
			}
			t.Slot, t.Mine = slot, ok
		}
	}
	return nil
}

// handed writes down what a digest told that an earlier run handed over.
func (r *Runner) handed(ctx context.Context, j *job, t *people.Taken, id string) error {
	defer r.desks.take(j.person)()
	if !r.desks.retracted(id) {
		if err := r.o.Keeper.Announce(ctx, r.told(j, t.IDs, t.Before.Due)); err != nil {
			return err
		}
	}
	if t.Mine {
		return nil
	}
	if err := r.o.People.Done(ctx, j.person, t.Slot, len(t.IDs)); err != nil {
		return err
	}
	t.Slot.State = people.Sent
	return nil
}

// told is what a digest said whose mails are known by their ids only.
func (r *Runner) told(j *job, ids []string, by int64) []quarantine.Told {
	var list []quarantine.Told
	for _, box := range j.boxes {
		t := quarantine.Told{Person: j.person, Addr: box, IDs: ids, By: by}
		if len(r.o.Directory.Readers(box)) == 1 {
			t.Drop = ids
		}
		list = append(list, t)
	}
	return list
}

// tell makes one person's digest, hands it over, and writes down that it was. The claim stands.
func (r *Runner) tell(ctx context.Context, j *job, claim people.Slot) error {
	entries, told, err := r.collect(ctx, j)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		r.Counters.Nothing.Add(1)
		return r.settle(ctx, j, told, claim, 0)
	}
	m := Mail{ID: EntryID(j.person, j.next), To: j.person, Names: idsOf(entries)}
	if m.Content, err = r.compose(ctx, j.person, entries, j.settings, m.ID, false); err != nil {
		return err
	}
	defer r.desks.take(j.person)()
	handing, ours, err := r.o.People.Hand(ctx, j.person, claim, m.Names)
	if err != nil || !ours {
		return err // the claim has lapsed: another host tells
	}
	if err := r.o.Sender.Queue(ctx, m); err != nil {
		_, _, berr := r.o.People.Back(ctx, j.person, handing)
		return errors.Join(err, berr)
	}
	r.Counters.Sent.Add(1)
	r.Counters.Mails.Add(int64(len(entries)))
	return r.settle(ctx, j, told, handing, len(entries))
}

// settle marks the mails as told and then the slot as done. What fails is done when this host looks again: until then the slot is
// being handed over.
func (r *Runner) settle(ctx context.Context, j *job, told []quarantine.Told, slot people.Slot, count int) error {
	if err := r.o.Keeper.Announce(ctx, told); err != nil {
		return err
	}
	err := r.o.People.Done(ctx, j.person, slot, count)
	j.finished = err == nil
	return err
}

func idsOf(entries []Entry) []string {
	ids := make([]string, len(entries))
	for i := range entries {
		ids[i] = entries[i].Item.ID
	}
	return ids
}

// collect reads what is new for a person, and says what is to be marked as told.
func (r *Runner) collect(ctx context.Context, j *job) ([]Entry, []quarantine.Told, error) {
	lists, err := r.o.Keeper.NewIDs(ctx, j.boxes, mostNew)
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	for _, l := range lists {
		ids = append(ids, l...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	items := map[string]*quarantine.Item{}
	for step := range slices.Chunk(ids, stepGet) {
		got, err := r.o.Keeper.Items(ctx, step)
		if err != nil {
			return nil, nil, err
		}
		for i := range got {
			items[got[i].ID] = &got[i]
		}
	}
	var entries []Entry
	told := make([]quarantine.Told, len(j.boxes))
	in := map[string]int{} // mails that stand in entries already
	for b, box := range j.boxes {
		told[b] = quarantine.Told{Person: j.person, Addr: box, By: j.next}
		others := r.others(ctx, box, j.person)
		for _, id := range lists[b] {
			item := items[id]
			to := heldFor(item, box)
			switch {
			case len(to) == 0: // gone, or decided about
				told[b].Drop = append(told[b].Drop, id)
				continue
			case !item.ToldTo(j.person):
				told[b].IDs = append(told[b].IDs, id)
				if at, twice := in[id]; twice {
					entries[at].To = append(entries[at].To, to...)
				} else {
					in[id] = len(entries)
					entries = append(entries, Entry{Item: *item, To: to, Again: item.MaybeToldTo(j.person)})
				}
			}
			if !slices.ContainsFunc(others, func(a mail.Address) bool { return !item.ToldTo(a) }) {
				told[b].Drop = append(told[b].Drop, id)
			}
		}
	}
	return entries, told, nil
}

// others are those who are to be told of an address's mail as well.
func (r *Runner) others(ctx context.Context, box, but mail.Address) []mail.Address {
	readers := slices.DeleteFunc(slices.Clone(r.o.Directory.Readers(box)), func(a mail.Address) bool { return a.Key() == but.Key() })
	states, err := r.o.People.Get(ctx, readers)
	if err != nil {
		return readers
	}
	list := readers[:0]
	for i, a := range readers {
		if schedule, _ := r.o.Directory.Schedule(a, states[i].Schedule); !schedule.Off() {
			list = append(list, a)
		}
	}
	return list
}

// heldFor returns the recipients whose copies belong to an address and are held still.
func heldFor(i *quarantine.Item, box mail.Address) []mail.Address {
	if i == nil {
		return nil
	}
	var list []mail.Address
	for _, s := range i.States {
		if s.State == quarantine.StateHeld && slices.ContainsFunc(i.ReadersOf(s.Rcpt), func(a mail.Address) bool { return a.Key() == box.Key() }) {
			list = append(list, s.Rcpt)
		}
	}
	return list
}

// compose writes the mail, signed where that is configured.
func (r *Runner) compose(ctx context.Context, a mail.Address, entries []Entry, settings config.DigestOf, id string, requested bool) ([]byte, error) {
	states, err := r.o.People.Get(ctx, []mail.Address{a})
	if err != nil {
		return nil, err
	}
	return r.write(ctx, r.o.Directory.PersonAt(a, states[0].Lang), entries, settings, id, requested)
}

func (r *Runner) write(ctx context.Context, p people.Person, entries []Entry, settings config.DigestOf, id string, requested bool) ([]byte, error) {
	d, err := r.digest(ctx, p, entries, settings, id, requested)
	if err != nil {
		return nil, err
	}
	message, err := d.Message()
	if err != nil {
		return nil, err
	}
	s, err := r.signs(r.o.Config())
	if err != nil || s == nil {
		return message, err
	}
	return s.Sign(message)
}

func (r *Runner) digest(ctx context.Context, p people.Person, entries []Entry, settings config.DigestOf, id string, requested bool) (*Digest, error) {
	marks, err := r.o.People.Marks(ctx, []mail.Address{p.Address})
	if err != nil {
		return nil, err
	}
	cfg := r.o.Config()
	sortItems(entries)
	return &Digest{
		ID: id, Person: p, Mark: marks[0], Total: len(entries), Settings: settings, URL: cfg.HTTP.PublicURL, Now: r.o.Now(),
		Links: r.o.Links, Dangerous: r.o.Dangerous, Requested: requested, Entries: entries[:min(len(entries), cfg.Digest.MaxItems)],
	}, nil
}

// signs returns the Signer of a configuration, nil when digests are not signed.
func (r *Runner) signs(cfg *config.Config) (*Signer, error) {
	if x := r.signer.Load(); x != nil && x.of == cfg {
		return x.s, nil
	}
	s, err := NewSigner(cfg.Digest.DKIM)
	if err != nil {
		return nil, err
	}
	r.signer.Store(&signing{cfg, s})
	return s, nil
}

// ErrNobody says that an address belongs to no single person of ours.
var ErrNobody = errors.New("digest: this address belongs to no single person of ours")

// SendListNow mails a person the list of all that is held for them at present, at most once a minute. What it names counts as told.
// ErrNobody; every other error means that it was not sent. It asks nothing of the schedule: a person who wants no digests gets it too.
func (r *Runner) SendListNow(ctx context.Context, a mail.Address) error {
	p, ok := r.o.Directory.Person(ctx, a)
	if !ok {
		return fmt.Errorf("%w: %s", ErrNobody, a)
	}
	number := r.o.Now().Unix() / 60
	entries, told, err := r.all(ctx, &p, number)
	if err != nil {
		return err
	}
	settings := r.o.Config().DigestOf(p.Address.Domain)
	m := Mail{ID: "list-" + EntryID(p.Address, number), To: p.Address, Names: idsOf(entries)}
	if m.Content, err = r.write(ctx, p, entries, settings, m.ID, true); err != nil {
		return err
	}
	defer r.desks.take(p.Address)()
	if err := r.o.Sender.Queue(ctx, m); err != nil {
		return err
	}
	if err := r.o.Keeper.Announce(ctx, told); err != nil {
		r.o.Log.Warn("what a person was sent may be told again", "person", p.Address.String(), "error", err)
	}
	return nil
}

// mostListed bounds SendListNow.
const mostListed = 500

// all collects everything that is held for a person, the newest of each box; by is the number of the list.
func (r *Runner) all(ctx context.Context, p *people.Person, by int64) ([]Entry, []quarantine.Told, error) {
	var entries []Entry
	var told []quarantine.Told
	in := map[string]int{}
	for _, box := range p.All() {
		found, err := r.o.Keeper.List(ctx, quarantine.Query{Rcpt: box.String(), Limit: mostListed})
		if err != nil {
			return nil, nil, err
		}
		t := quarantine.Told{Person: p.Address, Addr: box, By: by}
		for i := range found.Items {
			item := &found.Items[i]
			to := heldFor(item, box)
			if len(to) == 0 {
				continue
			}
			t.IDs = append(t.IDs, item.ID)
			if at, twice := in[item.ID]; twice {
				entries[at].To = append(entries[at].To, to...)
				continue
			}
			in[item.ID] = len(entries)
			entries = append(entries, Entry{Item: *item, To: to})
		}
		if len(r.o.Directory.Readers(box)) == 1 {
			t.Drop = t.IDs
		}
		told = append(told, t)
	}
	return entries, told, nil
}
