package main

import (
	"fmt"

	"sekimori/filters/bayes"
	"sekimori/reputation"
)

type unlearnCmd struct {
	Paths []string `arg:"" name:"path" help:"As for learn."`
	Scope string   `help:"Only what was learned for @DOMAIN or an address, or for all of them: all. Default: wherever it was learned."`
	JSON  bool     `help:"Print JSON."`
}

// Help is the long help.
func (unlearnCmd) Help() string {
	return "Takes away exactly what each mail contributed, in the month and for whom it was learned, whoever taught it. A mail is known again " +
		"by its Message-ID, date, sender and body, whatever fields stand on top of it. Mails that were never learned change nothing."
}

// unlearned says what became of the mails.
type unlearned struct {
	Mails   int `json:"mails"`
	Taken   int `json:"taken"`   // of which something was taken away
	Lessons int `json:"lessons"` // as for how many scopes
	Unknown int `json:"unknown"`
}

// Run takes away what was learned from every message.
func (c unlearnCmd) Run(a *app) error {
	var scopes []reputation.Scope
	if c.Scope != "" {
		s, err := parseScope(c.Scope)
		if err != nil {
			return err
		}
		scopes = append(scopes, s)
	}
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	reader := &learnReader{tokens: bayes.Tokenizer{Hostname: l.cfg.Hostname}}
	bar := newProgressBar(a.err, c.JSON, octetsOf(c.Paths))
	var n unlearned
	for s := range reader.samples(c.Paths) {
		taken, e := l.Unlearn(a.ctx, s.Tokens, s.Fingerprint, scopes...)
		if e != nil {
			err = fmt.Errorf("%w; what was taken away before is, and the same command can simply be given again", e)
			break
		}
		n.Mails++
		n.Lessons += len(taken)
		if len(taken) > 0 {
			n.Taken++
		} else {
			n.Unknown++
		}
		bar.show(reader.octets, fmt.Sprintf("%d mails, %d unlearned", n.Mails, n.Taken))
	}
	bar.end()
	for _, e := range reader.errs {
		fmt.Fprintln(a.err, "sekimori:", e)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		if err := a.json(n); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "%d mails: what %d had taught is taken away, %d were not known\n", n.Mails, n.Taken, n.Unknown)
	}
	return reader.result(a, c.Paths)
}
