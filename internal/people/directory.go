package people

import (
	"context"
	"slices"
	"sync/atomic"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// Recipients is what is needed of recipients.Directory.
type Recipients interface {
	// Whose says to which mailboxes the mail of an address belongs, and in which language its person reads; false when it is none
	// of ours.
	Whose(a mail.Address) (mailboxes []mail.Address, lang string, ours bool)
}

// Directory finds persons. Safe for concurrent use.
type Directory struct {
	cfg   func() *config.Config
	rcpts func() Recipients
	store *Store // nil: nobody has chosen anything
	boxes atomic.Pointer[boxes]
}

var _ Finder = (*Directory)(nil)

// NewDirectory makes a Directory of the configuration and the recipients in force. store may be nil.
func NewDirectory(cfg func() *config.Config, rcpts func() Recipients, store *Store) *Directory {
	return &Directory{cfg: cfg, rcpts: rcpts, store: store}
}

// boxes are the shared mailboxes of one configuration.
type boxes struct {
	of     *config.Config
	shared map[string]box            // by Key of the mailbox
	mine   map[string][]mail.Address // the boxes of a person, by Key
	told   map[string][]mail.Address // of these, those of which the person is told
}

type box struct{ readers, told []mail.Address }

func (d *Directory) shared() *boxes {
	cfg := d.cfg()
	if b := d.boxes.Load(); b != nil && b.of == cfg {
		return b
	}
	b := &boxes{of: cfg, shared: map[string]box{}, mine: map[string][]mail.Address{}, told: map[string][]mail.Address{}}
	for i := range cfg.Digest.Shared {
		at, owners, delegates := cfg.Digest.Shared[i].Addresses()
		x := box{readers: unique(slices.Concat(owners, delegates)), told: unique(owners)}
		if len(x.told) == 0 {
			x.told = x.readers
		}
		b.shared[at.Key()] = x
		for _, a := range x.readers {
			b.mine[a.Key()] = append(b.mine[a.Key()], at)
		}
		for _, a := range x.told {
			b.told[a.Key()] = append(b.told[a.Key()], at)
		}
	}
	d.boxes.Store(b)
	return b
}

func unique(list []mail.Address) []mail.Address {
	var out []mail.Address
	for _, a := range list {
		if !slices.ContainsFunc(out, func(b mail.Address) bool { return a.Key() == b.Key() }) {
			out = append(out, a)
		}
	}
	return out
}

// Readers returns who is told of the held mail of an address: the person behind it, those for whom an alias or a group stands, the
// owners of a shared mailbox, or its delegates when there are none. Nobody for an address that is none of ours.
func (d *Directory) Readers(a mail.Address) []mail.Address {
	shared := d.shared()
	if b, is := shared.shared[a.Key()]; is {
		return b.told
	}
	mailboxes, _, ours := d.rcpts().Whose(a)
	if !ours {
		return nil
	}
	var list []mail.Address
	for _, m := range mailboxes {
		if b, is := shared.shared[m.Key()]; is {
			list = append(list, b.told...)
		} else {
			list = append(list, m)
		}
	}
	return unique(list)
}

// Person implements Finder.
func (d *Directory) Person(ctx context.Context, a mail.Address) (Person, bool) {
	if _, is := d.shared().shared[a.Key()]; is {
		return Person{}, false
	}
	mailboxes, lang, ours := d.rcpts().Whose(a)
	if !ours || len(mailboxes) != 1 {
		return Person{}, false
	}
	if _, is := d.shared().shared[mailboxes[0].Key()]; is {
		return Person{}, false
	}
	var chosen text.Lang
	if d.store != nil {
		if states, err := d.store.Get(ctx, mailboxes); err == nil {
			chosen = states[0].Lang
		}
	}
	return d.person(mailboxes[0], chosen, lang), true
}

// PersonAt returns the person whose primary mailbox is at an address; chosen is the language that the person has chosen, or empty.
func (d *Directory) PersonAt(a mail.Address, chosen text.Lang) Person {
	lang := ""
	if chosen == "" {
		_, lang, _ = d.rcpts().Whose(a)
	}
	return d.person(a, chosen, lang)
}

func (d *Directory) person(a mail.Address, chosen text.Lang, known string) Person {
	shared := d.shared()
	p := Person{Address: a, Lang: chosen, Boxes: shared.mine[a.Key()], Told: shared.told[a.Key()]}
	if p.Lang == "" {
		p.Lang = text.Lang(known)
	}
	if p.Lang != text.Ja && p.Lang != text.En {
		o := d.cfg().DigestOf(a.Domain)
		p.Lang = text.Lang(o.Lang)
	}
	return p
}

// Schedule returns when the person is told: what was chosen, else what holds for the domain. Nothing that is chosen brings a digest
// where none is sent.
func (d *Directory) Schedule(a mail.Address, chosen config.Schedule) (config.Schedule, config.DigestOf) {
	o := d.cfg().DigestOf(a.Domain)
	if !chosen.IsZero() && !o.Schedule.Off() {
		return chosen, o
	}
	return o.Schedule, o
}
