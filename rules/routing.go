package rules

import (
	"fmt"
	"slices"

	"sekimori/internal/mail"
)

// maxCopies is how many addresses one bcc may name.
const maxCopies = 10

// routing reads redirect or bcc: a rule that changes where a mail goes instead of whether it does.
func (x *decoder) routing(r *rule, t *table) {
	if e := t.get("redirect"); x.want(e, kindString) {
		r.redirect = x.address(e.val)
	}
	x.strip(r, t)
	x.addHeader(r, t)
	r.aside = t.get("redirect") == nil
	e := t.get("bcc")
	switch {
	case e == nil:
	case e.val.kind == kindString:
		r.bcc = append(r.bcc, x.address(e.val))
	case e.val.kind != kindArray || len(e.val.items) == 0:
		x.errorf(e.val.off, "bcc must be an address or a list of addresses")
	case len(e.val.items) > maxCopies:
		x.errorf(e.val.off, "bcc names at most %d addresses", maxCopies)
	default:
		for _, item := range e.val.items {
			if item.kind != kindString {
				x.errorf(item.off, "bcc must be an address or a list of addresses")
				continue
			}
			r.bcc = append(r.bcc, x.address(item))
		}
	}
}

// address reads an address that mail can be sent to.
func (x *decoder) address(v *value) mail.Address {
	a, err := mail.ParseAddress(v.str, true)
	if err != nil {
		x.errorf(v.off, "%q: %s", clip(v.str, 80), err)
		return a
	}
	if x.env.reachable != nil {
		if err := x.env.reachable(a); err != nil {
			x.errorf(v.off, "%s", err)
		}
	}
	return a
}

// decision is what the rule does when it hits, under a ceiling. Discarding is harsher than holding and gives way to it; a
// redirection is milder than holding, so that only observe and tag stop it.
func (r *rule) decision(c ceiling) *decision {
	d := &decision{rule: r, action: c.under(r.action)}
	switch {
	case r.discard && c == holdAtMost:
		d.action = mail.Hold
	case c == tagAtMost && (r.discard || !r.redirect.IsNull()):
		d.action = mail.Tag
	default:
		d.discard, d.redirect = r.discard, r.redirect
	}
	return d
}

// rank orders decisions: accept, tag, redirect, hold, discard, defer, reject.
func (d *decision) rank() int {
	switch {
	case d.discard:
		return 2*int(mail.Hold) + 1
	case !d.redirect.IsNull():
		return 2*int(mail.Tag) + 1
	}
	return 2 * int(d.action)
}

// aside does what a rule does beside the verdict.
func (j *judging) aside(v *mail.Verdict, r *rule) {
	switch {
	case r.strip != nil:
		j.strip(v, r)
	case r.header != nil:
		j.header(v, r)
	default:
		j.copy(v, r)
	}
}

// copy enters a bcc.
func (j *judging) copy(v *mail.Verdict, r *rule) {
	for _, a := range r.bcc {
		if !slices.Contains(v.Copies, a) {
			v.Copies = append(v.Copies, a)
		}
	}
	v.Counted = append(v.Counted, mail.Counted{Name: r.id, Evidence: append(j.evidence(r), mail.Evidence{Key: "bcc", Value: fmt.Sprint(r.bcc)}), Rule: r.place(), Describe: r.describe})
}
