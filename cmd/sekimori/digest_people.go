package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/text"
)

type digestPeopleCmd struct {
	Marks bool `help:"Also the recognition marks, to answer a person who asks whether a digest is genuine."`
	JSON  bool `help:"Print JSON."`
}

type personRow struct {
	Person string `json:"person"`
	people.State
	Lang     text.Lang `json:"lang"`     // that holds
	Schedule string    `json:"schedule"` // that holds
	Next     time.Time `json:"next,omitzero"`
	New      bool      `json:"new"` // something is held of which the person was not told
	Mark     string    `json:"mark,omitempty"`
}

func (c digestPeopleCmd) Run(a *app) error {
	d, err := a.openDigestDesk()
	if err != nil {
		return err
	}
	defer d.close()
	rows, err := d.rows(a.ctx, c.Marks)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.out, "nothing is held for anybody, and nobody chose anything")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "PERSON\tLANG\tSCHEDULE\tNEXT\tNEW\tLAST DIGEST\tMAILS\tMARK\tTROUBLE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", text.Clean(r.Person, 60), r.Lang, r.Schedule, orDash(r.Next),
			map[bool]string{true: "yes", false: "-"}[r.New], orDash(r.Sent), r.Count, r.Mark, text.Clean(r.Fail, 60))
	}
	return w.Flush()
}

func (d *digestDesk) rows(ctx context.Context, marks bool) ([]personRow, error) {
	all, err := d.people.All(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := d.runner.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	fresh := map[string]bool{}
	for _, w := range waiting {
		fresh[w.Person.Key()] = true
		if !slices.ContainsFunc(all, func(a mail.Address) bool { return a.Key() == w.Person.Key() }) {
			all = append(all, w.Person)
		}
	}
	slices.SortFunc(all, func(a, b mail.Address) int { return strings.Compare(a.Key(), b.Key()) })
	rows := make([]personRow, 0, len(all))
	for step := range slices.Chunk(all, 500) {
		states, err := d.people.Get(ctx, step)
		if err != nil {
			return nil, err
		}
		for i, st := range states {
			schedule, settings := d.persons.Schedule(step[i], st.Schedule)
			next, _ := schedule.Next(time.Now(), settings.Location())
			p := d.persons.PersonAt(step[i], st.Lang)
			r := personRow{Person: step[i].String(), State: st, Lang: p.Lang, Schedule: schedule.String(), Next: next, New: fresh[step[i].Key()]}
			if marks {
				r.Mark = st.Mark.Words(p.Lang)
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

type digestSetCmd struct {
	Address  string  `arg:"" help:"The person."`
	Lang     *string `placeholder:"LANG" help:"ja or en; \"default\" takes the choice back."`
	Schedule *string `placeholder:"TEXT" help:"off, hourly, \"daily 08:00 16:00\", \"workdays 08:30\" or \"weekly mon thu 09:00\"; \"default\" takes the choice back."`
	NewMark  bool    `help:"Draw a new recognition mark, because the old one has become known to somebody else."`
}

func (c digestSetCmd) Run(a *app) error {
	if c.Lang == nil && c.Schedule == nil && !c.NewMark {
		return usage("nothing to change: --lang, --schedule or --new-mark")
	}
	d, err := a.openDigestDesk()
	if err != nil {
		return err
	}
	defer d.close()
	p, err := d.person(a.ctx, c.Address)
	if err != nil {
		return err
	}
	if c.Lang != nil {
		lang := strings.Replace(*c.Lang, "default", "", 1)
		if lang != "" && lang != "ja" && lang != "en" {
			return usage("--lang %s: ja, en or default", *c.Lang)
		}
		if err := d.people.SetLang(a.ctx, p.Address, text.Lang(lang)); err != nil {
			return err
		}
	}
	if c.Schedule != nil {
		schedule, err := config.ParseSchedule(strings.Replace(*c.Schedule, "default", "", 1))
		if err != nil {
			return usage("--schedule: %v", err)
		}
		if err := d.people.SetSchedule(a.ctx, p.Address, schedule); err != nil {
			return err
		}
	}
	if c.NewMark {
		mark, err := d.people.RenewMark(a.ctx, p.Address)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "the recognition mark of %s is now %s (%s)\n", p.Address, mark.Words(text.Ja), mark.Words(text.En))
		return nil
	}
	fmt.Fprintf(a.out, "noted for %s\n", p.Address)
	return nil
}
