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
	case p.isFirm(d.rule):
		return false
	}
	return d.action <= mail.Hold && !d.discard && d.redirect.IsNull()
}

// isFirm reports whether what a rule does stands against what a recipient allows.
func (p *Policy) isFirm(r *rule) bool { return r.final || slices.Contains(p.protected, r.class) }

// tooMuch holds what is allowed but has so many points that it would be rejected: a sender who is who he says can have been
// broken into.
func (j *judging) tooMuch(v *mail.Verdict) {
	if j.tx.Stage < mail.Conclude {
		return
	}
	for _, t := range j.limits() {
		if t.action == mail.Reject && v.Score >= t.points-1e-9 {
			v.Action, v.Class, v.Rule, v.RuleID, v.Describe, v.Final = mail.Hold, "spam", "", "threshold.reject", nil, false
			v.Limit = t.points
			return
		}
	}
}
