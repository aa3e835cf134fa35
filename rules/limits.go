package rules

import (
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// dates reads from which day on and until which, that day counted, the rule holds.
func (x *decoder) dates(r *rule, t *table) {
	r.from, r.until = x.date(t, "from"), x.date(t, "until")
	if r.from != "" && r.until != "" && r.until < r.from {
		x.errorf(t.get("until").val.off, "the rule ends (%s) before it begins (%s)", r.until, r.from)
		return
	}
	switch {
	case r.until == "":
	case r.until < x.env.today:
		x.d.warnf(x.f, t.get("until").val.off, "%s has ended on %s and does nothing any more", nameOf(r), r.until)
	case r.until <= x.env.soon:
		x.d.warnf(x.f, t.get("until").val.off, "%s ends on %s", nameOf(r), r.until)
	}
}

func (x *decoder) date(t *table, key string) string {
	e := t.get(key)
	if e == nil {
		return ""
	}
	if (e.val.kind != kindString && e.val.kind != kindOther) || !isDate(e.val.str) {
		x.errorf(e.val.off, "%s is a day such as \"2026-12-31\"", key)
		return ""
	}
	return e.val.str
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// domains reads for whose recipients the rule is.
func (x *decoder) domains(r *rule, t *table) {
	e := t.get("domains")
	if !x.want(e, kindArray) {
		return
	}
	if len(e.val.items) == 0 {
		x.errorf(e.val.off, "domains is empty, so that the rule is for nobody; leave it out for everybody")
	}
	for _, v := range e.val.items {
		if v.kind != kindString {
			x.errorf(v.off, "domains lists domains as strings, not %s", v.kind)
			continue
		}
		if d := x.ourDomain(v.str, v.off); d != "" {
			r.domains = append(r.domains, d)
		}
	}
	r.perRcpt = true
}

// ourDomain reads the name of one of our domains; "" after an error.
func (x *decoder) ourDomain(s string, off int) string {
	d, err := mail.ParseDomain(s)
	switch {
	case err != nil:
		x.errorf(off, "%q is not a domain", clip(s, 80))
	case x.env.domains != nil && !slices.Contains(x.env.domains, d):
		x.errorf(off, "%q is none of our domains%s", clip(s, 80), suggest(d, x.env.domains))
	default:
		return d
	}
	return ""
}

// domainPolicy is a [domain."NAME"] of a rule file: what is different for the recipients of one domain.
type domainPolicy struct {
	place      string
	mode       string      // "": that of the policy
	thresholds []threshold // nil: as for everybody
	scores     map[string]float64
	disable    []disabledID
	off        map[*rule]bool
}

// domainSections reads [domain."NAME"] of one file.
func (l *loader) domainSections(x *decoder, e *entry) {
	if !x.want(e, kindTable) {
		return
	}
	for _, k := range e.val.tab.keys {
		name := x.ourDomain(k.name, k.off)
		if !x.want(k, kindTable) || name == "" {
			continue
		}
		if l.p.domains[name] != nil {
			x.errorf(k.off, "there is a section for %s already, at %s", name, l.p.domains[name].place)
			continue
		}
		l.p.domains[name] = l.domainSection(x, k)
	}
}

func (l *loader) domainSection(x *decoder, k *entry) *domainPolicy {
	t := k.val.tab
	d := &domainPolicy{place: (&rule{f: x.f, off: k.off}).place(), scores: map[string]float64{}, off: map[*rule]bool{}, mode: x.domainMode(t)}
	x.unknownKeys(t, []string{"mode", "thresholds", "scores", "disable"}, "a section of a domain")
	if e := t.get("thresholds"); x.want(e, kindTable) {
		d.thresholds = l.limitList(x.limits(e.val.tab))
	}
	l.scores(x, t.get("scores"), d.scores)
	d.disable = x.disabled(t.get("disable"))
	return d
}

// resolveDomains finds the rules that domains leave out, once all are known.
func (l *loader) resolveDomains() {
	ids := map[string]*rule{}
	for _, r := range l.p.rules {
		ids[r.id] = r
	}
	for _, name := range keysOf(l.p.domains) {
		d := l.p.domains[name]
		for _, dis := range d.disable {
			r := ids[dis.id]
			if r == nil {
				l.d.errorf(dis.f, dis.off, "there is no rule %q%s", dis.id, suggest(dis.id, keysOf(ids)))
				continue
			}
			d.off[r], r.left, r.perRcpt = true, true, true
		}
	}
}

// concerns reports whether the rule is for a recipient today.
func (j *judging) concerns(r *rule) bool {
	if r.from != "" || r.until != "" {
		if t := j.tx.When(); j.today == "" && !t.IsZero() {
			j.today = t.Format(time.DateOnly)
		}
		if j.today == "" { // of a kept case; it is made of the same time
			j.today, _ = j.tx.Facts["time.date"].(string)
		}
		if j.today < r.from || r.until != "" && j.today > r.until {
			return false
		}
	}
	if len(r.domains) > 0 && !slices.Contains(r.domains, strings.ToLower(j.rcpt.Domain)) {
		return false
	}
	return !r.left || j.domain == nil || !j.domain.off[r]
}
