package history

import (
	"strings"

	"sekimori/internal/mail"
)

// Verdict gives back, as far as it is kept, what was decided for a recipient of the event, for package text.
func (e *Event) Verdict(r *Rcpt) mail.Verdict {
	v := mail.Verdict{Class: r.Class, Score: r.Score, Rule: r.RuleAt, RuleID: r.Rule, Degraded: e.NotLooked, Unknown: r.Blind, Observed: r.Watch, Would: r.Would}
	v.Rcpt, _ = mail.ParseAddress(r.Addr, true)
	switch r.Action {
	case "discard":
		v.Discard = true
	case "redirect":
		v.Redirect, _ = mail.ParseAddress(r.To, true)
	default:
		v.Action, _ = mail.ParseAction(r.Action)
	}
	v.Final = r.Rule != "" && !strings.HasPrefix(r.Rule, "threshold.") && v.Action != mail.Tag && v.Redirect.IsNull()
	for _, f := range e.Findings {
		if f.Rcpt != "" && !strings.EqualFold(f.Rcpt, r.Addr) {
			continue
		}
		c := mail.Counted{Name: f.Name, Points: f.Points}
		for _, ev := range f.Evidence {
			c.Evidence = append(c.Evidence, mail.Evidence{Key: ev[0], Value: ev[1]})
		}
		v.Counted = append(v.Counted, c)
	}
	for _, o := range r.Own {
		v.Counted = append(v.Counted, mail.Counted{Name: o.Name, Points: o.Points, Rule: o.RuleAt})
	}
	return v
}
