package recipients

import (
	"context"
	"strings"

	"sekimori/internal/mail"
)

// Bounds of following aliases.
const (
	maxDepth  = 32
	maxFollow = 1000 // addresses that are looked at for one recipient
	maxOwners = 100  // mail to more than so many mailboxes belongs to the alias itself
)

// Resolve says whether an address is ours and whose it is. An answer from memory waits as long as one that was asked for,
// so that the time does not tell who exists; Find does not wait.
func (d *Directory) Resolve(ctx context.Context, a mail.Address) Resolution {
	r := d.Find(ctx, a)
	if !r.asked && r.place != nil && !AlwaysOpen(a) {
		if p := r.place.tempo(); p != nil {
			sleep(ctx, p.draw(d.o.Random))
		}
	}
	return r
}

// Find is Resolve for those from whom the time need not be hidden. Nobody is asked for postmaster and abuse.
func (d *Directory) Find(ctx context.Context, a mail.Address) Resolution {
	dom := d.domains[a.Domain]
	if dom == nil {
		return Resolution{Result: Foreign, Address: a}
	}
	r, m := d.locate(ctx, dom, a)
	if AlwaysOpen(a) && r.Result != Known {
		r, m = Resolution{Result: Known, Address: a, Source: "always open"}, match{at: a}
	}
	r.place = dom.place
	d.o.Observe(orElse(r.Source, dom.place.label()), r.Result.String())
	if r.Result != Known {
		r.Mailboxes = []mail.Address{a}
		return r
	}
	r.Lang = m.rec.lang
	if _, only := dom.internal[m.at.Key()]; (only || m.rec.internal) && !AlwaysOpen(a) {
		r.Result = Internal
	}
	d.follow(&r, m.at, m.rec)
	d.followAccounts(ctx, &r, m)
	return r
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// locate finds the entry of an address: what memory has, else what the place says when it is asked.
func (d *Directory) locate(ctx context.Context, dom *domain, a mail.Address) (Resolution, match) {
	r := Resolution{Result: Unknown, Address: a}
	if m, ok := dom.inMemory(a); ok {
		r.Source = m.source
		if !m.rec.refused {
			r.Result = Known
		}
		return r, m
	}
	r.Source = dom.place.label()
	if AlwaysOpen(a) {
		return r, match{at: a}
	}
	for _, v := range dom.variants(a) {
		w := dom.place.ask(ctx, v)
		r.asked = r.asked || w.asked
		if w.result == Known {
			r.Result, r.Why = Known, ""
			return r, match{at: v, rec: w.rec}
		}
		if w.result == NotNow || r.Result == Unknown {
			r.Result, r.Why = w.result, w.why
		}
	}
	return r, match{at: a}
}

// match is the address under which an entry was found.
type match struct {
	at     mail.Address
	rec    record
	source string
}

// inMemory finds the address itself before the one without its tag, and both before what catches all.
func (dom *domain) inMemory(a mail.Address) (match, bool) {
	variants := dom.variants(a)
	for _, v := range variants {
		if rec, source, ok := dom.known(v); ok {
			return match{v, rec, source}, true
		}
	}
	rec, source, ok := dom.known(mail.Address{Domain: a.Domain})
	return match{variants[len(variants)-1], rec, source}, ok
}

// variants are the address and, with subaddressing, the address without its tag: cut at each separator, the last first, as
// a name may hold the character too.
func (dom *domain) variants(a mail.Address) []mail.Address {
	list := []mail.Address{a}
	if dom.tags == "" {
		return list
	}
	for i := len(a.Local) - 1; i > 0 && len(list) < 5; i-- {
		if strings.IndexByte(dom.tags, a.Local[i]) >= 0 {
			list = append(list, mail.Address{Local: a.Local[:i], Domain: a.Domain})
		}
	}
	return list
}

// known asks memory: the alias files in their order, then the place.
func (dom *domain) known(a mail.Address) (rec record, source string, ok bool) {
	for _, f := range dom.aliases {
		if rec, ok := f.get(a); ok {
			return rec, "aliases:" + f.path, true
		}
	}
	rec, ok = dom.place.known(a)
	return rec, dom.place.label(), ok
}

// step is an address on the way from an alias to the mailboxes.
type step struct {
	at    mail.Address
	rec   record
	depth int
}

// follow fills in whose mailboxes an entry stands for. Only memory is asked: a target that it does not have is taken for a
// mailbox. Addresses outside, commands and files have no quarantine here; mail for nothing else, or for more than can be
// followed, belongs to the alias itself.
func (d *Directory) follow(r *Resolution, at mail.Address, rec record) {
	seen := map[string]bool{at.Key(): true}
	owners := map[string]bool{}
	todo := []step{{at, rec, 0}}
	deep := false
	for len(todo) > 0 && len(seen) <= maxFollow && len(owners) <= maxOwners {
		s := todo[0]
		todo = todo[1:]
		r.Notes = append(r.Notes, s.rec.notes...)
		if len(s.rec.targets) == 0 || s.rec.keeps {
			d.own(r, s, owners)
		}
		if len(s.rec.targets) == 0 {
			continue
		}
		if deep = s.depth >= maxDepth; deep {
			break
		}
		r.Via = append(r.Via, s.at)
		for _, t := range s.rec.targets {
			t = complete(t, s.at)
			key := t.Key()
			if key == s.at.Key() { // it keeps a copy for itself
				d.own(r, step{at: t}, owners)
			}
			if seen[key] {
				continue
			}
			seen[key] = true
			if n, ours := d.next(t); ours {
				n.depth = s.depth + 1
				todo = append(todo, n)
			}
		}
	}
	if deep || len(r.Mailboxes) == 0 || len(owners) > maxOwners || len(seen) > maxFollow {
		r.Mailboxes = []mail.Address{at}
	}
}

// own notes the mailbox at the end of a way.
func (d *Directory) own(r *Resolution, s step, owners map[string]bool) {
	owner := s.at
	if !s.rec.owner.IsNull() {
		owner = s.rec.owner
	}
	if key := owner.Key(); !owners[key] {
		owners[key] = true
		r.Mailboxes = append(r.Mailboxes, owner)
	}
}

// next finds what memory has about a target; false when it is none of our domains.
func (d *Directory) next(t mail.Address) (step, bool) {
	dom := d.domains[t.Domain]
	if dom == nil {
		return step{}, false
	}
	if m, ok := dom.inMemory(t); ok && !m.rec.refused {
		return step{at: m.at, rec: m.rec}, true
	}
	return step{at: t}, true
}

// Owners says for each recipient that stands for others whose quarantine its mail belongs to, by Key. Only memory is asked.
func (d *Directory) Owners(rcpts []mail.Address) map[string][]mail.Address {
	var all map[string][]mail.Address
	for _, a := range rcpts {
		dom := d.domains[a.Domain]
		if dom == nil {
			continue
		}
		s, _ := d.next(a)
		r := Resolution{Address: a}
		d.follow(&r, s.at, s.rec)
		if r.IsAlias() {
			if all == nil {
				all = map[string][]mail.Address{}
			}
			all[a.Key()] = r.Mailboxes
		}
	}
	return all
}

// complete fills in what a target leaves out: the domain of a mere name, the local part of a mere domain.
func complete(t, of mail.Address) mail.Address {
	if t.Domain == "" {
		t.Domain = of.Domain
	}
	if t.Local == "" {
		t.Local = of.Local
	}
	return t
}

// Ours reports whether the domain is one of ours.
func (d *Directory) Ours(a mail.Address) bool { return d.domains[a.Domain] != nil }
