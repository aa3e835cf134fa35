package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/recipients"
	"sekimori/internal/store"
	"sekimori/internal/text"
	"sekimori/quarantine/digest"
)

type digestCmd struct {
	Run    digestRunCmd    `cmd:"" help:"Let the running server tell people now what is held for them."`
	Show   digestShowCmd   `cmd:"" help:"Print the digest that a person would get now."`
	People digestPeopleCmd `cmd:"" help:"List the people who have held mail or chose something: language, schedule, last digest."`
	Set    digestSetCmd    `cmd:"" help:"Change what a person chose, or give a new recognition mark."`
}

// digestDesk is what the commands work with, beside a running serve.
type digestDesk struct {
	cfg     *config.Config
	store   *store.Store
	rcpts   *recipients.Directory
	people  *people.Store
	persons *people.Directory
	runner  *digest.Runner
}

func (a *app) openDigestDesk() (*digestDesk, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, found
	}
	d := &digestDesk{cfg: cfg}
	if d.store, err = dialStore(a.ctx, cfg); err != nil {
		return nil, err
	}
	if d.rcpts, err = peekRecipients(cfg); err != nil {
		_ = d.store.Close()
		return nil, err
	}
	d.people = people.NewStore(d.store.Client(), time.Now, nil)
	d.persons = people.NewDirectory(d.config, func() people.Recipients { return d.rcpts }, d.people)
	keeper, _, err := a.keeperOf(cfg, d.store)
	if err != nil {
		_ = d.rcpts.Close()
		return nil, err
	}
	links, err := openLinks(cfg, d.store.Client())
	if err != nil {
		d.close()
		return nil, err
	}
	d.runner = digest.New(digest.Options{
		Keeper: keeper, People: d.people, Directory: d.persons, Config: d.config, Node: "command", Now: time.Now,
		Links: linkPort{links, d.config}, Dangerous: dangerous(d.config),
	})
	return d, nil
}

func (d *digestDesk) config() *config.Config { return d.cfg }

func (d *digestDesk) close() {
	_ = d.rcpts.Close()
	_ = d.store.Close()
}

// person reads an address of one person of ours.
func (d *digestDesk) person(ctx context.Context, s string) (people.Person, error) {
	a, err := mail.ParseAddress(s, true)
	if err != nil {
		return people.Person{}, usage("%s: %v", s, err)
	}
	p, ok := d.persons.Person(ctx, a)
	if ok {
		return p, nil
	}
	if readers := d.persons.Readers(a); len(readers) > 0 {
		var names []string
		for _, r := range readers {
			names = append(names, r.String())
		}
		return p, fmt.Errorf("%s is read by several people: %s", a, strings.Join(names, ", "))
	}
	return p, fmt.Errorf("%s is not in one of our domains; see sekimori recipients lookup %s", a, a)
}

type digestRunCmd struct {
	Now    bool     `help:"Also those for whom no digest is due yet."`
	Person []string `placeholder:"ADDRESS" help:"Only this person, due or not; may be repeated."`
	DryRun bool     `help:"Only say who would be told, and of how many mails."`
	Wait   bool     `default:"true" negatable:"" help:"Wait until all are told, and show how far it is."`
	JSON   bool     `help:"Print JSON."`
}

// Help is the long help.
func (digestRunCmd) Help() string {
	return "People with nothing new get nothing. The server that sends must run, with role all or console; several may share the store: each person is told once."
}

// digestRow is a person with something new.
type digestRow struct {
	Person   string    `json:"person"`
	Lang     text.Lang `json:"lang"`
	Schedule string    `json:"schedule"`
	Due      time.Time `json:"due,omitzero"` // since when a digest is due; zero: none is
	Since    time.Time `json:"since"`        // the oldest that is new
	Mails    int       `json:"mails,omitempty"`
}

func (c digestRunCmd) Run(a *app) error {
	d, err := a.openDigestDesk()
	if err != nil {
		return err
	}
	defer d.close()
	only := map[string]bool{}
	for _, s := range c.Person {
		p, err := d.person(a.ctx, s)
		if err != nil {
			return err
		}
		only[p.Address.Key()] = true
	}
	waiting, err := d.runner.Waiting(a.ctx)
	if err != nil {
		return err
	}
	waiting = slices.DeleteFunc(waiting, func(w digest.Waiting) bool {
		return len(only) > 0 && !only[w.Person.Key()] || len(only) == 0 && !c.Now && w.Due.IsZero()
	})
	if c.DryRun {
		return c.print(a, d, waiting)
	}
	if !d.cfg.Digest.Enabled {
		return errors.New("digests are off: set digest.enabled and http.public_url in the configuration")
	}
	for i, w := range waiting {
		if err := d.people.Ask(a.ctx, w.Person); err != nil {
			return err
		}
		a.progress(!c.JSON && len(waiting) > 1000, "asked for %d of %d", i+1, len(waiting))
	}
	return c.follow(a, d, waiting)
}

// progress rewrites one line on standard error, every hundredth time.
func (a *app) progress(show bool, format string, done, of int) {
	if show && (done%100 == 0 || done == of) {
		fmt.Fprintf(a.err, "\r"+format, done, of)
		if done == of {
			fmt.Fprintln(a.err)
		}
	}
}

func (c digestRunCmd) print(a *app, d *digestDesk, waiting []digest.Waiting) error {
	rows := make([]digestRow, 0, len(waiting))
	for _, w := range waiting {
		n, err := d.runner.Count(a.ctx, w)
		if err != nil {
			return err
		}
		if n > 0 {
			rows = append(rows, digestRow{w.Person.String(), w.Lang, w.Schedule.String(), w.Due, w.Since, n})
		}
	}
	if c.JSON {
		return a.json(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.out, "nobody would be told: nothing is new"+map[bool]string{false: ", or nothing is due yet (--now)"}[c.Now])
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "PERSON\tLANG\tSCHEDULE\tDUE\tNEW")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", text.Clean(r.Person, 60), r.Lang, r.Schedule, orDash(r.Due), r.Mails)
	}
	return w.Flush()
}

func orDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// follow waits until all who were asked for are told.
func (c digestRunCmd) follow(a *app, d *digestDesk, waiting []digest.Waiting) error {
	begun := time.Now()
	left := waiting
	sent, by := 0, map[string]int{}
	for c.Wait && len(left) > 0 {
		select {
		case <-a.ctx.Done():
			return a.ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		var err error
		if left, err = d.untold(a.ctx, left, by); err != nil {
			return err
		}
		sent = len(waiting) - len(left)
		if !c.JSON {
			fmt.Fprintf(a.err, "\rtold %d of %d", sent, len(waiting))
		}
		if sent == 0 && time.Since(begun) > 30*time.Second {
			fmt.Fprintln(a.err)
			return errors.New("nobody was told within 30 seconds: is sekimori serve running, with role all or console? What was asked for is done when it is")
		}
	}
	if c.Wait && len(waiting) > 0 && !c.JSON {
		fmt.Fprintln(a.err)
	}
	if c.JSON {
		return a.json(map[string]any{"asked": len(waiting), "told": sent, "by": by})
	}
	fmt.Fprintf(a.out, "%d people asked for, %d told\n", len(waiting), sent)
	return nil
}

// untold returns those whose request stands, and counts the others by the node that told them.
func (d *digestDesk) untold(ctx context.Context, list []digest.Waiting, by map[string]int) ([]digest.Waiting, error) {
	var left []digest.Waiting
	for step := range slices.Chunk(list, 500) {
		who := make([]mail.Address, len(step))
		for i, w := range step {
			who[i] = w.Person
		}
		states, err := d.people.Get(ctx, who)
		if err != nil {
			return nil, err
		}
		for i, st := range states {
			if !st.Asked.IsZero() {
				left = append(left, step[i])
			} else {
				by[st.Slot.Node]++
			}
		}
	}
	return left, nil
}

type digestShowCmd struct {
	Address string `arg:"" help:"The person."`
	Lang    string `enum:",en,ja" default:"" help:"Language: en or ja; default: the person's."`
	All     bool   `help:"Everything that is held, not only what is new."`
	Raw     bool   `help:"Print the mail as it would be sent."`
	HTML    bool   `help:"Print the HTML part."`
}

func (c digestShowCmd) Run(a *app) error {
	d, err := a.openDigestDesk()
	if err != nil {
		return err
	}
	defer d.close()
	p, err := d.person(a.ctx, c.Address)
	if err != nil {
		return err
	}
	if c.Lang != "" {
		p.Lang = text.Lang(c.Lang)
	}
	m, err := d.runner.Compose(a.ctx, p, c.All)
	if err != nil {
		return err
	}
	if m == nil {
		fmt.Fprintf(a.out, "nothing is new for %s; --all shows everything that is held\n", p.Address)
		return nil
	}
	switch {
	case c.Raw:
		raw, err := m.Message()
		if err != nil {
			return err
		}
		_, err = a.out.Write(raw)
		return err
	case c.HTML:
		_, html, err := m.Parts()
		fmt.Fprintln(a.out, html)
		return err
	}
	plain, _, err := m.Parts()
	fmt.Fprint(a.out, plain)
	return err
}
