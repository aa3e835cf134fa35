package rules

import (
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// Modes are those of a whole policy, from the mildest to the one without a limit.
//
//   - observe: everything is delivered, malware too, and the verdict says what would have been done
//   - tag: at most tagged; only malware is held
//   - hold: nothing is refused, put off or thrown away: that is held instead
//   - soft: what would be rejected is put off (450), so that the sender's server keeps it and tries again
//   - enforce: as the rules say
func Modes() []string { return slices.Clone(modes) }

var modes = []string{"observe", "tag", "hold", "soft", "enforce"}

// Mode returns the mode in force for a recipient: that of his domain's section, else that of the policy.
func (p *Policy) Mode(rcpt mail.Address) string {
	if d := p.domains[strings.ToLower(rcpt.Domain)]; d != nil && d.mode != "" {
		return d.mode
	}
	return p.mode
}

// DomainModes returns the modes of the domains that have one of their own, by name.
func (p *Policy) DomainModes() map[string]string {
	all := map[string]string{}
	for name, d := range p.domains {
		if d.mode != "" {
			all[name] = d.mode
		}
	}
	return all
}

// mode checks the mode of the configuration.
func (l *loader) mode() {
	if l.p.mode == "" {
		l.p.mode = "enforce"
	}
	if !slices.Contains(modes, l.p.mode) {
		l.d.errorf(nil, 0, "policy.mode: unknown mode %q: one of %s%s", l.o.Mode, strings.Join(modes, ", "), suggest(l.o.Mode, modes))
	}
}

// domainMode reads the mode of a domain's section.
func (x *decoder) domainMode(t *table) string {
	s, off := x.str(t, "mode")
	if t.get("mode") == nil || slices.Contains(modes, s) {
		return s
	}
	if t.get("mode").val.kind == kindString {
		x.errorf(off, "unknown mode %q: one of %s%s", clip(s, 80), strings.Join(modes, ", "), suggest(s, modes))
	}
	return ""
}

// Soften applies the mode in force for the verdict's recipient, and notes in Would what would have been done without it. keep says
// that what is rejected is kept: the relay in front would try it again for days and then send it back all the same. It is for who
// makes a verdict harsher after Judge, which has done it for its own.
func (p *Policy) Soften(v mail.Verdict, keep bool) mail.Verdict {
	would := v.Word()
	switch p.Mode(v.Rcpt) {
	case "observe":
		if would != mail.Deliver.String() && !slices.Contains(v.Observed, v.RuleID) {
			v.Observed = append(slices.Clip(v.Observed), v.RuleID)
		}
		v.Action, v.Redirect, v.Discard, v.Copies = mail.Deliver, mail.Address{}, false, nil
		v.Strip, v.Original, v.Header = nil, 0, nil
	case "tag":
		v = tagged(v)
	case "hold":
		if v.Action > mail.Hold || v.Discard {
			v.Action, v.Discard = mail.Hold, false
		}
	case "soft":
		if v.Action == mail.Reject && !keep {
			v.Action, v.Keep = mail.Defer, 0
			if e := v.Reply.Enhanced(); !v.Reply.IsZero() {
				v.Reply = mail.Transient(450, e[1], e[2], v.Reply.Text())
			}
		}
	}
	if v.Action < mail.Defer {
		v.Reply, v.Keep = mail.Reply{}, 0
	}
	if v.Action >= mail.Hold {
		v.Strip, v.Original, v.Header = nil, 0, nil
	}
	if v.Would == "" && v.Word() != would {
		v.Would = would
	}
	return v
}

// tagged takes a verdict down to a tag, malware to a hold. Nothing is taken out of the mail.
func tagged(v mail.Verdict) mail.Verdict {
	v.Strip, v.Original = nil, 0
	switch {
	case v.Action <= mail.Tag && !v.Discard && v.Redirect.IsNull():
		return v
	case v.Class == classMalware:
		v.Action = mail.Hold
	default:
		v.Action = mail.Tag
	}
	v.Redirect, v.Discard, v.Final = mail.Address{}, false, false
	return v
}

// milder returns the lower of two ceilings.
func milder(a, b ceiling) ceiling {
	if a == noCeiling || b != noCeiling && b < a {
		return b
	}
	return a
}

// ceiling is the most that a rule may do for the recipient at hand: its mode, where it has stepped back, and whether he is among the
// share to whom it applies.
func (j *judging) ceiling(r *rule) ceiling {
	c := r.mode
	if j.back != nil {
		c = milder(c, j.back.by[r])
	}
	if r.partial && !concernsShare(r.id, j.rcpt, r.percent) {
		c = observeOnly
	}
	return c
}
