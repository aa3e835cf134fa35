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
	if len(r.Limits) == 3 {
		v.Limits = mail.Limits{Tag: r.Limits[0], Hold: r.Limits[1], Reject: r.Limits[2]}
	}
	switch r.Rule {
	case "threshold.tag":
		v.Limit = v.Limits.Tag
	case "threshold.hold":
		v.Limit = v.Limits.Hold
	case "threshold.reject":
		v.Limit = v.Limits.Reject
	}
	v.Rules = e.Rules
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

// LimitsOf is what Rcpt.Limits holds of thresholds; nil when there are none.
func LimitsOf(l mail.Limits) []float64 {
	if l == (mail.Limits{}) {
		return nil
	}
	return []float64{l.Tag, l.Hold, l.Reject}
}
