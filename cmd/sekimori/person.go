package main

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	auditlog "sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/web/session"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

// personDesk is what the commands about one person's data work with.
type personDesk struct {
	*desk
	people   *people.Store
	sessions *session.Store
	learner  *reputation.Learner
	who      []mail.Address // as it was given, and the mailbox for which that stands
	notes    []string       // about who it is
	close    func()
}

// openPerson finds out who a person is. Somebody whom no directory knows any more is a person all the same; a group is none.
func (a *app) openPerson(s string) (*personDesk, error) {
	addr, err := mail.ParseAddress(s, true)
	if err != nil {
		return nil, usage("--person %s: %v", s, err)
	}
	d, err := a.openDigestDesk()
	if err != nil {
		return nil, err
	}
	p := &personDesk{people: d.people, who: []mail.Address{addr}, close: d.close}
	switch found, ok := d.persons.Person(a.ctx, addr); {
	case ok && found.Address.Key() != addr.Key():
		p.who = append(p.who, found.Address)
		p.notes = append(p.notes, fmt.Sprintf("%s stands for %s: both are meant", addr, found.Address))
	case !ok:
		readers := slices.DeleteFunc(d.persons.Readers(addr), func(r mail.Address) bool { return r.Key() == addr.Key() })
		if len(readers) > 0 {
			d.close()
			return nil, fmt.Errorf("%s is no person but read by %s: name one of them", addr, joinAddresses(readers, ", "))
		}
		p.notes = append(p.notes, fmt.Sprintf("no directory knows %s now: what is kept under this address is meant", addr))
	}
	keeper, _, err := a.keeperOf(d.cfg, d.store)
	if err != nil {
		d.close()
		return nil, err
	}
	p.learner, _ = newLearner(d.store.Client(), func() *config.Config { return d.cfg }, slog.New(slog.DiscardHandler))
	p.desk = a.deskOf(d.cfg, d.store, keeper, false)
	p.sessions = session.New(session.Options{
		Client: d.store.Client(), Idle: d.cfg.Console.SessionIdle.D(), Lifetime: d.cfg.Console.SessionLifetime.D(),
	})
	return p, nil
}

func (p *personDesk) is(s string) bool {
	return slices.ContainsFunc(p.who, func(a mail.Address) bool { return strings.EqualFold(a.String(), s) })
}

// held calls f with every mail of the person, and shows on a terminal how far it is.
func (p *personDesk) held(a *app, quiet bool, f func(quarantine.Kept) error) error {
	show := !quiet && terminal(a.err)
	shown := false
	err := p.keeper.EachOf(a.ctx, p.who, func(n int) {
		if show {
			fmt.Fprintf(a.err, "\rlooked at %d mails", n)
			shown = true
		}
	}, f)
	if shown {
		fmt.Fprintln(a.err)
	}
	return err
}

// personRest is what is kept of a person beside mails.
type personRest struct {
	known    bool // something of it is in people.Store
	state    people.State
	acts     acts.Remembered
	sessions []session.Known
}

func (p *personDesk) rest(ctx context.Context) (personRest, error) {
	var r personRest
	states, err := p.people.Get(ctx, p.who)
	if err != nil {
		return r, err
	}
	for _, s := range states {
		if !reflect.DeepEqual(s, people.State{}) {
			r.state, r.known = s, true
		}
	}
	if r.acts, err = p.Of(ctx, p.who); err != nil {
		return r, err
	}
	r.sessions, err = p.sessions.Of(ctx, p.who)
	return r, err
}

// audited returns the entries of the audit log by the person, about the person, and about the person's mails; of others it names only
// who acted.
func (p *personDesk) audited(ctx context.Context, mails map[string]bool) ([]auditlog.Entry, error) {
	list := []auditlog.Entry{}
	for q := (auditlog.Query{Limit: 5000}); ; {
		page, err := p.log.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			own := p.is(e.Actor)
			about := slices.DeleteFunc(slices.Clone(e.Rcpts), func(r string) bool { return !p.is(r) })
			ids := slices.DeleteFunc(slices.Clone(e.IDs), func(id string) bool { return !mails[id] })
			if !own && len(about) == 0 && len(ids) == 0 {
				continue
			}
			if !own {
				e.Rcpts, e.IDs = about, ids
			}
			list = append(list, e)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return list, nil
		}
	}
}

// note writes an act on the person's data into the audit log, which names no mail.
func (p *personDesk) note(ctx context.Context, act, detail string) error {
	var who []string
	for _, a := range p.who {
		who = append(who, a.String())
	}
	return p.log.Append(ctx, auditlog.Entry{
		Time: time.Now(), Actor: p.actor.Name, Role: string(p.actor.Role), Act: act, Rcpts: who, Via: p.actor.Via, Detail: detail,
	})
}
