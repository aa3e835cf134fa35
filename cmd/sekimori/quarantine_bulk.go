package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sekimori/internal/text"
	"sekimori/quarantine/acts"
)

// bulkReport is what `--json` prints of a bulk act.
type bulkReport struct {
	Plan     acts.Plan      `json:"plan"`
	Receipt  string         `json:"receipt,omitempty"` // for `quarantine undo`
	Progress *acts.Progress `json:"progress,omitempty"`
}

// bulk releases or deletes all mail that matches.
func (a *app) bulk(d *desk, c decision) error {
	q := acts.BulkQuery{Act: c.act, Rule: c.Rule, From: c.From, Subject: c.Subject, Class: c.Class, Since: c.Since.Time, Until: c.Until.Time}
	if len(c.rcpts) == 1 {
		q.Rcpt = c.rcpts[0]
	}
	plan, err := d.Preview(a.ctx, d.actor, q)
	if err != nil {
		return err
	}
	report := bulkReport{Plan: plan}
	if !c.json {
		a.printPlan(plan)
	}
	if c.DryRun || plan.Count == 0 {
		if c.json {
			return a.json(report)
		}
		return nil
	}
	r, err := d.Bulk(a.ctx, d.actor, plan.ID)
	if err != nil {
		return err
	}
	p, err := a.follow(d, r.ID, !c.json)
	if err != nil {
		return err
	}
	report.Receipt, report.Progress = r.ID, &p
	if c.json {
		err = a.json(report)
	} else {
		a.printBulk(c.act, r, p)
	}
	if err == nil && p.Failed > 0 {
		err = found
	}
	return err
}

// follow works at a bulk act beside the running servers until it is done, and says how far it is.
func (a *app) follow(d *desk, receipt string, show bool) (acts.Progress, error) {
	last := time.Now()
	for {
		d.Tick(a.ctx)
		p, err := d.Progress(a.ctx, d.actor, receipt)
		if err != nil || p.State == "done" || p.State == "undone" {
			return p, err
		}
		if show && time.Since(last) > 2*time.Second {
			last = time.Now()
			fmt.Fprintf(a.err, "%d of %d …\n", p.Done, p.Total)
		}
		select {
		case <-a.ctx.Done():
			return p, fmt.Errorf("%s goes on in the running server: %w", receipt, a.ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (a *app) printPlan(p acts.Plan) {
	fmt.Fprintf(a.out, "%d mails match, %d octets", p.Count, p.Octets)
	for _, class := range slices.Sorted(maps.Keys(p.Classes)) {
		fmt.Fprintf(a.out, ", %s %d", class, p.Classes[class])
	}
	fmt.Fprintln(a.out)
	a.printSamples(p.Samples)
	if p.Count > len(p.Samples) {
		fmt.Fprintf(a.out, "  … and %d more\n", p.Count-len(p.Samples))
	}
	if p.More {
		fmt.Fprintln(a.out, "more match than one command takes: give it again for the rest")
	}
	if p.Dangers > 0 {
		fmt.Fprintf(a.out, "left out, because mail of this class is released by its ID only: %d\n", p.Dangers)
		a.printSamples(p.Excluded)
	}
}

func (a *app) printSamples(list []acts.Sample) {
	w := a.table()
	for _, s := range list {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Time.Local().Format("01-02 15:04"), text.Clean(s.From, 40),
			text.Clean(strings.Join(s.Rcpts, ","), 40), text.Clean(s.Subject, 40), s.Class)
	}
	_ = w.Flush()
}

func (a *app) printBulk(act string, r acts.Receipt, p acts.Progress) {
	word := map[string]string{"release": "will be delivered by the running server", "delete": "deleted"}[act]
	fmt.Fprintf(a.out, "%d mails: %s\n", p.Done-p.Failed, word)
	if !r.UndoUntil.IsZero() {
		fmt.Fprintf(a.out, "until %s all of it can be undone: sekimori quarantine undo %s\n", r.UndoUntil.Local().Format("15:04:05"), r.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(p.Errors)) {
		fmt.Fprintf(a.err, "sekimori: %s: %s\n", id, p.Errors[id])
	}
}

type quarantineUndoCmd struct {
	Receipt string `arg:"" help:"The receipt that release or delete printed."`
}

// Run takes an act back.
func (c quarantineUndoCmd) Run(a *app) error {
	d, done, err := a.openDesk(true)
	if err != nil {
		return err
	}
	defer done()
	r, err := d.Undo(a.ctx, d.actor, c.Receipt)
	switch {
	case errors.Is(err, acts.ErrNotFound):
		return fmt.Errorf("there is no receipt %s; receipts are kept for a day", c.Receipt)
	case err != nil:
		return err
	}
	if strings.HasPrefix(r.Act, "bulk.") {
		p, err := a.follow(d, c.Receipt, true)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s: %d mails are held again\n", c.Receipt, p.Done-p.Failed)
		return nil
	}
	fmt.Fprintf(a.out, "%s: %s is held again\n", c.Receipt, strings.Join(r.Mails, ", "))
	return nil
}
