package main

import (
	"fmt"
	"time"

	"sekimori/quarantine"
)

type quarantineForgetCmd struct {
	Person string `required:"" placeholder:"ADDRESS" help:"Whose data."`
	Yes    bool   `help:"Do it. It cannot be undone: not even a deletion of the last hour can, afterwards."`
	JSON   bool   `help:"Print JSON."`
}

// Help is the long help.
func (quarantineForgetCmd) Help() string {
	return "Mail of which this person is the only recipient goes at once, with subject, sender and reasons; that it was, and how it ended, is known for " +
		"seven days, until every host has closed its ledger. Mail that others have stays for them. Settings, permissions, sessions and questions go. " +
		"It can be given again, also after it was killed. Exit code 1: something is left; it says what and why."
}

// forgetReport is what goes, or went.
type forgetReport struct {
	Person    string                  `json:"person"`
	Addresses string                  `json:"addresses"`
	Done      bool                    `json:"done"` // false: it is a preview
	Held      int                     `json:"held"`
	Ended     int                     `json:"ended"`  // at an end, of which what is known goes
	Shared    int                     `json:"shared"` // of both: stay for others
	Octets    int64                   `json:"octets"` // of held mail that nobody else has, as it came in
	Settings  bool                    `json:"settings"`
	Allowed   int                     `json:"allowed"`
	Questions int                     `json:"questions"`
	Receipts  int                     `json:"receipts"`
	Sessions  int                     `json:"sessions"`
	Fates     map[quarantine.Fate]int `json:"fates,omitempty"` // of mails, when it was done
	Left      []unreadable            `json:"left"`            // what could not go, and why
	Stays     []string                `json:"stays"`           // and why
	Notes     []string                `json:"notes,omitempty"`
	ids       []string
}

func forgetStays() []string {
	return []string{
		"the audit log: who decided what must be provable, until audit.retention is over; it names no subjects",
		"the history and the logs of each host: they prove what became of mail, and end by their own retention",
		"what the Bayesian check has learned for a domain or everybody: it counts words and knows no persons; what it learned for the person alone goes",
		"mail that has been delivered, or is in the queue: it is not here any more, or is a promise to deliver",
		"copies on the disks of hosts until the store has saved, and backups: overwrite these by their own rules",
		"links in digests that were sent: they open a list without these mails",
	}
}

// Run shows what would go, or with --yes lets it go.
func (c quarantineForgetCmd) Run(a *app) error {
	p, err := a.openPerson(c.Person)
	if err != nil {
		return err
	}
	defer p.close()
	r := &forgetReport{
		Person: p.who[len(p.who)-1].String(), Addresses: joinAddresses(p.who, ", "), Left: []unreadable{}, Stays: forgetStays(), Notes: p.notes,
	}
	if err := p.survey(a, c.JSON, r); err != nil {
		return err
	}
	if c.Yes {
		if err := p.forget(a, r); err != nil {
			return fmt.Errorf("not all is done, give the command again: %w", err)
		}
	}
	if c.JSON {
		err = a.json(r)
	} else {
		r.print(a)
	}
	if err == nil && len(r.Left) > 0 {
		return found
	}
	return err
}

// survey counts what there is.
func (p *personDesk) survey(a *app, quiet bool, r *forgetReport) error {
	err := p.held(a, quiet, func(k quarantine.Kept) error {
		r.ids = append(r.ids, k.ID)
		switch {
		case k.Forgotten: // perhaps it was killed half way
			return nil
		case k.Open():
			r.Held++
		default:
			r.Ended++
		}
		if k.Shared {
			r.Shared++
		} else if k.Octets {
			r.Octets += k.Size
		}
		return nil
	})
	if err != nil {
		return err
	}
	rest, err := p.rest(a.ctx)
	r.Settings, r.Allowed, r.Questions = rest.known, len(rest.acts.Allows), len(rest.acts.Asked)
	r.Receipts, r.Sessions = len(rest.acts.Receipts), len(rest.sessions)
	return err
}

// leavingFor is how long a release that is on its way is waited for.
const leavingFor = 15 * time.Second

// forget lets everything go. Sessions first, so that nobody goes on; what chooses and allows last.
func (p *personDesk) forget(a *app, r *forgetReport) error {
	ctx := a.ctx
	what := fmt.Sprintf("%d held mails, %d at an end, %d permissions, %d questions, %d sessions", r.Held, r.Ended, r.Allowed, r.Questions, r.Sessions)
	if err := p.note(ctx, "forget", what); err != nil {
		return err
	}
	if _, err := p.sessions.Forget(ctx, p.who); err != nil {
		return err
	}
	if err := p.Service.Forget(ctx, p.who); err != nil {
		return err
	}
	r.Fates = map[quarantine.Fate]int{}
	end := time.Now().Add(leavingFor)
	for i, id := range r.ids {
		fate, err := p.keeper.Forget(ctx, id, p.who, p.actor.Name)
		for err == nil && fate == quarantine.FateLeaving && time.Now().Before(end) && ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)
			fate, err = p.keeper.Forget(ctx, id, p.who, p.actor.Name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		if fate != quarantine.FateNothing {
			r.Fates[fate]++
		}
		if why := leftBecause(fate); why != "" {
			r.Left = append(r.Left, unreadable{id, why})
		}
		a.progress(terminal(a.err), "forgotten %d of %d mails", i+1, len(r.ids))
	}
	for _, w := range p.who {
		if _, err := p.learner.Forget(ctx, w); err != nil {
			return fmt.Errorf("what was learned for %s: %w", w, err)
		}
	}
	if err := p.keeper.ForgetPlaces(ctx, p.who); err != nil {
		return err
	}
	for _, w := range p.who {
		if err := p.people.Forget(ctx, w); err != nil {
			return err
		}
	}
	r.Done = true
	return p.note(ctx, "forgotten", fmt.Sprintf("%d mails gone, %d stay for others, %d left", r.Fates[quarantine.FateForgotten],
		r.Fates[quarantine.FateShared], len(r.Left)))
}

func leftBecause(f quarantine.Fate) string {
	switch f {
	case quarantine.FateLeaving:
		return "it is on its way to the person, and the server does not hand it over: give the command again when it has left"
	case quarantine.FateUnread:
		return "it cannot be read, because its key is missing: it is deleted for the person as far as it is his, but others have it, or may, and who is " +
			"named in it cannot be changed; put the key back into quarantine.encryption_key_file and give the command again, or wait for its end"
	case quarantine.FateRequested:
		return "it is on this host's disk only: the server deletes it; give the command again when the store has it"
	}
	return ""
}

func (r *forgetReport) print(a *app) {
	for _, n := range r.Notes {
		fmt.Fprintln(a.err, "sekimori:", n)
	}
	head := "would go of %s:\n"
	if r.Done {
		head = "gone of %s:\n"
	}
	fmt.Fprintf(a.out, head, r.Addresses)
	fmt.Fprintf(a.out, "  %s held, %s at an end; %d of them stay for others; %d octets\n", count(r.Held, "mail"), count(r.Ended, "mail"), r.Shared, r.Octets)
	fmt.Fprintf(a.out, "  settings: %s; %s, %s, %s, %s\n", map[bool]string{true: "yes", false: "none"}[r.Settings], count(r.Allowed, "allowed sender"),
		count(r.Questions, "question"), count(r.Receipts, "receipt"), count(r.Sessions, "session"))
	for _, l := range r.Left {
		fmt.Fprintf(a.err, "sekimori: left: %s: %s\n", l.ID, l.Why)
	}
	fmt.Fprintln(a.out, "what stays:")
	for _, s := range r.Stays {
		fmt.Fprintln(a.out, "  "+s)
	}
	if !r.Done {
		fmt.Fprintln(a.out, "nothing has been changed; --yes does it, and it cannot be undone")
	}
}
