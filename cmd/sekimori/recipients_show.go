package main

import (
	"fmt"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/recipients"
)

type recipientsShowCmd struct {
	Address string `arg:"" help:"The recipient, such as taro@example.jp."`
	JSON    bool   `help:"Print JSON."`
}

// Help is the long help.
func (recipientsShowCmd) Help() string {
	return "Files, the copies on the disk and what a backend said before are looked at; directories, databases and the accounts of the " +
		"machine are asked as serve would. A backend (callout) is asked by the running serve only. Exit code 1 when the address does not take mail."
}

// shownRecipient is the JSON of show.
type shownRecipient struct {
	recipients.Resolution
	Groups []string `json:"groups,omitempty"` // that rules see as rcpt.groups
	// Attributes are those that rules see by rcpt.attr; one that is not there nobody knows.
	Attributes map[string][]string `json:"attributes,omitempty"`
	Place      *recipients.Status  `json:"place,omitempty"`
}

func (c recipientsShowCmd) Run(a *app) error {
	addr, err := mail.ParseAddress(c.Address, true)
	if err != nil {
		return usage("%q: %v", c.Address, err)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	d, err := peekRecipients(cfg)
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	defer func() { _ = d.Close() }()
	r := shownRecipient{Resolution: d.Find(a.ctx, addr)}
	if r.Result != recipients.Foreign { // an error is said by the status of the place
		r.Groups, _ = d.Groups(addr)
		r.Attributes, _ = d.Attributes(addr)
	}
	for _, s := range recipientStatus(cfg, d) {
		for _, name := range s.Domains {
			if name == addr.Domain {
				r.Place = &s
			}
		}
	}
	if c.JSON {
		err = a.json(r)
	} else {
		err = a.showRecipient(cfg, r)
	}
	if err == nil && r.Result != recipients.Known && r.Result != recipients.Internal {
		return found
	}
	return err
}

func (a *app) showRecipient(cfg *config.Config, r shownRecipient) error {
	said := map[recipients.Result]string{
		recipients.Foreign:  "is not ours: relaying is denied (550 5.7.1)",
		recipients.Known:    "takes mail",
		recipients.Internal: "takes mail from mynetworks only; others are told 550 5.7.1",
		recipients.Unknown:  "is unknown: 550 5.1.1",
		recipients.NotNow:   "cannot be looked up at the moment: 451 4.4.3",
	}[r.Result]
	fmt.Fprintf(a.out, "%s %s\n", r.Address, said)
	w := a.table()
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", name, value)
		}
	}
	line("says who", r.Source)
	line("why", r.Why)
	line("stands there as", joinAddresses(r.Via, " > "))
	if r.Result == recipients.Known || r.Result == recipients.Internal {
		line("quarantine of", joinAddresses(r.Mailboxes, ", "))
	}
	line("language", r.Lang)
	line("in groups", strings.Join(r.Groups, ", "))
	if r.Result != recipients.Foreign {
		for _, name := range cfg.RuleAttributes() {
			line(name, attributeWords(r.Attributes, name))
		}
	}
	for _, n := range r.Notes {
		line("~/.forward", n)
	}
	if r.Place != nil {
		line("kept in", r.Place.Source+": "+r.Place.Words(time.Now()))
	} else {
		var ours []string
		for _, d := range cfg.Domains {
			ours = append(ours, d.Names...)
		}
		line("our domains", strings.Join(ours, ", "))
	}
	return w.Flush()
}

func attributeWords(all map[string][]string, name string) string {
	values, known := all[strings.ToLower(name)]
	switch {
	case !known:
		return "unknown to rules: what keeps the recipients of this domain is not read for it, or did not answer"
	case len(values) == 0:
		return "(none)"
	}
	return strings.Join(values, " | ")
}

func joinAddresses(list []mail.Address, sep string) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.String()
	}
	return strings.Join(texts, sep)
}

// checkRecipients says where each domain's recipients are kept and how old what we have of it is; its error names every
// line of a file that cannot be read.
func (a *app) checkRecipients(cfg *config.Config) error {
	d, err := peekRecipients(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for _, s := range recipientStatus(cfg, d) {
		fmt.Fprintf(a.out, "recipients of %s: %s: %s\n", strings.Join(s.Domains, ", "), s.Source, s.Words(time.Now()))
		if s.Source == "unix" && len(cfg.Recipients.ForwardHomes) == 0 {
			fmt.Fprintln(a.out, "note: no ~/.forward is read, so that a mail belongs to the account alone; recipients.forward_homes = [\"/home\"] follows them")
		}
		for _, problem := range s.Forward {
			fmt.Fprintln(a.out, "warning:", problem)
		}
		for _, name := range s.Accepts {
			fmt.Fprintf(a.out, "warning: the backend of %s accepts every address, so callout cannot tell who exists: every recipient is accepted\n", name)
		}
	}
	return nil
}
