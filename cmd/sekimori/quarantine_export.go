package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sekimori/internal/people"
	"sekimori/quarantine"
)

type quarantineExportCmd struct {
	Person string `required:"" placeholder:"ADDRESS" help:"Whose data."`
	Output string `short:"o" required:"" placeholder:"DIR|FILE" help:"A directory, or an archive when the name ends in .tar, .tar.gz or .tgz. Nobody but you can read it."`
	Force  bool   `help:"Write over an earlier export of that name."`
	JSON   bool   `help:"Print the summary as JSON."`
}

// Help is the long help.
func (quarantineExportCmd) Help() string {
	return "Held mail as it came in (mails/ID.eml) with what is known of it (mails/ID.json), also of mail that is at an end; what the person chose and " +
		"allows, sessions, questions, and the audit log as far as it is about the person. Other recipients of a mail are not named. " +
		"Exit code 1: something could not be read; summary.json names it."
}

// exportSummary says what an export holds.
type exportSummary struct {
	Person     string          `json:"person"`
	Addresses  string          `json:"addresses"`
	Made       time.Time       `json:"made"`
	By         string          `json:"by"`
	Held       int             `json:"held"`      // mails with something to decide yet
	Ended      int             `json:"ended"`     // of which only what is known of them stays
	Octets     int64           `json:"octets"`    // of the .eml files
	Forgotten  int             `json:"forgotten"` // mails of which only the end is known
	Unreadable []unreadable    `json:"unreadable"`
	Settings   bool            `json:"settings"` // the person chose something, or was told of mail
	Mark       bool            `json:"mark"`     // there is a recognition mark; it is not in the export, because whoever reads that could use it
	Allowed    int             `json:"allowed"`
	Questions  int             `json:"questions"`
	Acts       int             `json:"acts"`
	Sessions   int             `json:"sessions"`
	Audit      int             `json:"audit"`
	NotIn      []string        `json:"not_in_it"`
	Notes      []string        `json:"notes,omitempty"`
	mails      map[string]bool // ids
}

// unreadable is a mail of which something is missing.
type unreadable struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// exportedMail is mails/ID.json.
type exportedMail struct {
	quarantine.Item
	Told   time.Time `json:",omitzero"`
	Octets string    // the file, or why there is none
}

func notExported() []string {
	return []string{
		"the history and the logs of each host, which name senders, recipients and subjects: sekimori trace --to ADDRESS",
		"mail in the queue on its way to the mail server: sekimori queue list",
		"what the Bayesian check has learned; what it did for the person alone: sekimori bayes export FILE --scope ADDRESS",
		"backups and dumps of the store",
	}
}

// Run writes all that is stored of one person.
func (c quarantineExportCmd) Run(a *app) error {
	p, err := a.openPerson(c.Person)
	if err != nil {
		return err
	}
	defer p.close()
	now := time.Now().UTC().Truncate(time.Second)
	out, err := openSink(c.Output, c.Force, now)
	if err != nil {
		return err
	}
	defer out.drop()
	if err := p.note(a.ctx, "export", "of all that is kept of the person"); err != nil {
		return err
	}
	s := exportSummary{
		Person: p.who[len(p.who)-1].String(), Addresses: joinAddresses(p.who, ", "), Made: now, By: p.actor.Name, Unreadable: []unreadable{},
		NotIn: notExported(), Notes: p.notes, mails: map[string]bool{},
	}
	if err := p.held(a, c.JSON, func(k quarantine.Kept) error { return p.exportMail(a, out, &k, &s) }); err != nil {
		return err
	}
	if err := p.exportRest(a, out, &s); err != nil {
		return err
	}
	if err := errors.Join(putJSON(out, summaryFile, s), out.done()); err != nil {
		return err
	}
	if c.JSON {
		err = a.json(s)
	} else {
		s.print(a, c.Output)
	}
	if err == nil && len(s.Unreadable) > 0 {
		return found
	}
	return err
}

func putJSON(out sink, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return out.put(name, append(b, '\n'))
}

// exportMail writes one mail and what is known of it.
func (p *personDesk) exportMail(a *app, out sink, k *quarantine.Kept, s *exportSummary) error {
	if k.Forgotten {
		s.Forgotten++
		return nil
	}
	s.mails[k.ID] = true
	m := exportedMail{Item: k.Private(p.who), Told: k.Told, Octets: "they are deleted"}
	if k.Open() {
		s.Held++
	} else {
		s.Ended++
	}
	switch {
	case k.Unread != nil:
		m.Octets = k.Unread.Error()
		s.Unreadable = append(s.Unreadable, unreadable{k.ID, m.Octets})
	case k.Octets:
		raw, release, err := p.keeper.Raw(a.ctx, k.ID)
		if errors.Is(err, quarantine.ErrNotFound) {
			break // they went meanwhile
		}
		if err != nil {
			m.Octets = err.Error()
			s.Unreadable = append(s.Unreadable, unreadable{k.ID, m.Octets})
			break
		}
		m.Octets = "mails/" + k.ID + ".eml"
		s.Octets += raw.Len()
		err = out.put(m.Octets, raw...)
		release()
		if err != nil {
			return err
		}
	}
	return putJSON(out, "mails/"+k.ID+".json", m)
}

// exportRest writes what is kept beside mails.
func (p *personDesk) exportRest(a *app, out sink, s *exportSummary) error {
	r, err := p.rest(a.ctx)
	if err != nil {
		return err
	}
	entries, err := p.audited(a.ctx, s.mails)
	if err != nil {
		return err
	}
	s.Settings, s.Mark = r.known, !r.state.Mark.IsZero()
	s.Allowed, s.Questions, s.Acts, s.Sessions, s.Audit = len(r.acts.Allows), len(r.acts.Asked), len(r.acts.Receipts), len(r.sessions), len(entries)
	files := map[string]any{
		"settings.json": struct {
			Addresses string `json:"addresses"`
			people.State
		}{s.Addresses, r.state},
		"acts.json":     r.acts,
		"sessions.json": append([]any{}, sessionsOf(r)...),
		"audit.json":    entries,
	}
	for name, v := range files {
		if err := putJSON(out, name, v); err != nil {
			return err
		}
	}
	return nil
}

func sessionsOf(r personRest) []any {
	var list []any
	for _, n := range r.sessions {
		list = append(list, n)
	}
	return list
}

func (s *exportSummary) print(a *app, target string) {
	for _, n := range s.Notes {
		fmt.Fprintln(a.err, "sekimori:", n)
	}
	fmt.Fprintf(a.out, "%s: what is kept of %s\n", target, s.Addresses)
	fmt.Fprintf(a.out, "  %s held, %s at an end, %d octets\n", count(s.Held, "mail"), count(s.Ended, "mail"), s.Octets)
	fmt.Fprintf(a.out, "  %s, %s, %s, %s, %s\n", count(s.Allowed, "allowed sender"), count(s.Questions, "question"), count(s.Acts, "receipt"),
		count(s.Sessions, "session"), count(s.Audit, "entry of the audit log"))
	for _, u := range s.Unreadable {
		fmt.Fprintf(a.err, "sekimori: not readable: %s: %s\n", u.ID, strings.TrimPrefix(u.Why, u.ID+": "))
	}
	fmt.Fprintln(a.out, "not in it:")
	for _, n := range s.NotIn {
		fmt.Fprintln(a.out, "  "+n)
	}
}

// count says how many there are of something.
func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasPrefix(what, "entry"):
		return fmt.Sprintf("%d entries%s", n, what[len("entry"):])
	}
	return fmt.Sprintf("%d %ss", n, what)
}
