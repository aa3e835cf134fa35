package rules

import (
	"slices"

	"sekimori/internal/mail"
)

// lifts reports whether a recipient's own permission lifts what was decided: a tag or a hold that is not final, and not of a class
// that only administrators let through.
func (p *Policy) lifts(d *decision) bool {
	switch {
	case d == nil:
		return true
	case d.rule.final, slices.Contains(p.protected, d.rule.class):
		return false
	}
	return d.action <= mail.Hold && !d.discard && d.redirect.IsNull()
}

// tooMuch holds what is allowed but has so many points that it would be rejected: a sender who is who he says can have been
// broken into.
func (j *judging) tooMuch(v *mail.Verdict) {
	if j.tx.Stage < mail.Conclude {
		return
	}
	for _, t := range j.p.thresholds {
		if t.action == mail.Reject && v.Score >= t.points-1e-9 {
			v.Action, v.Class, v.Rule, v.RuleID, v.Describe, v.Final = mail.Hold, "spam", "", "threshold.reject", nil, false
			v.Limit = t.points
			return
		}
	}
}
