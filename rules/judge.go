package rules

import (
	"math"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// Judge decides for each recipient, in their order, and never returns fewer verdicts than recipients.
//
// It judges the rules of tx.Stage and of every stage before it, so that what was decided earlier carries forward without
// any state between the calls: at Rcpt the caller asks for one recipient, at Conclude for all that were accepted. Rules
// that read nothing of one recipient are evaluated once per call. Thresholds apply at Conclude only.
//
// tx is only read; tx.Facts holds what is known. Of facts that differ between recipients, those named rcpt
// come from rcpts and tx.Mailboxes; others from tx.RcptFacts.
func (p *Policy) Judge(tx *mail.Transaction, rcpts []mail.Address) []mail.Verdict {
	return p.judge(tx, rcpts, nil, nil)
}

// judge is Judge. With a case it keeps there, or takes from there, the outcomes of conditions.
// Rules in skip do not hit.
func (p *Policy) judge(tx *mail.Transaction, rcpts []mail.Address, c *Case, skip map[*rule]bool) []mail.Verdict {
	s := p.states.Get().(*state)
	defer p.states.Put(s)
	s.kase = c
	defer func() { s.kase = nil }()
	s.mail, s.failed = 0, s.failed[:0]
	j := &judging{p: p, s: s, tx: tx, skip: skip, cache: s.cache, cached: s.cached, lean: c != nil && c.lean}
	clear(j.cached)
	j.differ, j.back = findingsDiffer(tx), p.backOf(c)
	var degraded []string
	if !j.lean {
		degraded = notLookedAt(tx, p.vocab.checks)
	}
	verdicts := make([]mail.Verdict, 0, len(rcpts))
	for i, rcpt := range rcpts {
		s.at = i
		if i == 0 || j.differ {
			s.fill(tx, rcpt, p.decode)
		} else {
			s.rcpt(tx, rcpt)
		}
		v := j.one(rcpt)
		v.Degraded, v.Rules = degraded, p.name
		for _, why := range s.failed {
			v.Degraded = append(slices.Clip(v.Degraded), "rules: "+why)
		}
		verdicts = append(verdicts, p.Soften(v, tx.Session.KeepRefused))
	}
	return verdicts
}

// judging is the work of one Judge.
type judging struct {
	p      *Policy
	s      *state
	tx     *mail.Transaction
	cache  []tri // by number of the rule
	cached []bool
	skip   map[*rule]bool
	lean   bool      // what only people read is left out: evidence, points of findings, the reply
	back   *retreats // in force; nil: none
	differ bool      // a finding names a recipient, so symbols differ between them

	// Of the recipient that is being judged: by which rule he lets the sender through, and what that does not lift although another
	// rule came first.
	allowed *rule
	firm    *decision
	whole   *rule // that takes out all that the mail is
	rcpt    mail.Address
	domain  *domainPolicy // of the recipient; nil: nothing is different for it
	today   string        // the day of the mail; "" until it is asked for
}

func findingsDiffer(tx *mail.Transaction) bool {
	for i := range tx.Outcomes {
		for k := range tx.Outcomes[i].Findings {
			if !tx.Outcomes[i].Findings[k].Rcpt.IsNull() {
				return true
			}
		}
	}
	return false
}

// decision is the winner of one stage.
type decision struct {
	rule     *rule
	action   mail.Action
	redirect mail.Address
	discard  bool
}

// one judges one recipient.
func (j *judging) one(rcpt mail.Address) mail.Verdict {
	v := mail.Verdict{Rcpt: rcpt}
	j.rcpt, j.domain = rcpt, j.p.domains[rcpt.Domain]
	j.sum(&v, rcpt)
	j.allowed, j.firm, j.whole = nil, nil, nil
	var accepted, decided *decision
	for stage := mail.Connect; stage <= j.tx.Stage && stage <= mail.Conclude; stage++ {
		d, acc := j.stage(&v, stage, accepted != nil)
		if acc != nil {
			// What was only tagged or held before is let through; malware is not.
			accepted = acc
			if decided != nil && decided.rule.class != classMalware {
				decided = nil
			}
			if j.firm != nil && j.firm.rule.class != classMalware {
				j.firm = nil
			}
		}
		if d != nil && (decided == nil || d.rank() > decided.rank()) {
			decided = d
		}
	}
	switch {
	case j.allowed != nil && j.firm != nil && j.p.lifts(decided):
		j.decide(&v, j.firm)
	case j.allowed != nil && j.p.lifts(decided):
		j.decide(&v, &decision{rule: j.allowed})
		j.tooMuch(&v)
	case decided != nil:
		j.decide(&v, decided)
	case accepted != nil:
		j.decide(&v, accepted)
	}
	if j.tx.Stage >= mail.Conclude {
		v.Limits = limitsOf(j.limits())
		if !v.Final && v.Limit == 0 {
			j.threshold(&v)
		}
	}
	j.holdWhole(&v)
	j.reachable(&v)
	if v.Action >= mail.Hold {
		v.Strip, v.Original, v.Header = nil, 0, nil // what is kept is kept whole
	}
	if v.Action >= mail.Defer && !j.lean {
		v.Reply = j.reply(&v, decided)
	}
	return v
}

// classMalware is the class that no accept lets through.
const classMalware = "malware"

// sum adds up what the checks found.
func (j *judging) sum(v *mail.Verdict, rcpt mail.Address) {
	for i := range j.tx.Outcomes {
		o := &j.tx.Outcomes[i]
		for k := range o.Findings {
			f := &o.Findings[k]
			if !counts(f, rcpt) {
				continue
			}
			points := j.score(f.Symbol) * f.Factor()
			if v.Score = plus(v.Score, points); j.lean {
				continue
			}
			v.Counted = append(v.Counted, mail.Counted{Name: f.Symbol, Points: points, Evidence: f.Evidence})
		}
	}
}

// plus adds points as people add decimals: 0.5, 0.3, -1 and 0.2 are 0, and not 5.55e-17.
func plus(sum, points float64) float64 { return math.Round((sum+points)*1e9)/1e9 + 0 }

// score is what a symbol weighs for the recipient.
func (j *judging) score(symbol string) float64 {
	if j.domain != nil {
		if points, ok := j.domain.scores[symbol]; ok {
			return points
		}
	}
	return j.p.scores[symbol]
}

// stage judges the rules of one stage: the first action wins, accept ends the evaluation but for malware.
func (j *judging) stage(v *mail.Verdict, stage mail.Stage, accepted bool) (decided, accept *decision) {
	for _, r := range j.p.stages[stage] {
		if (accepted || accept != nil) && (r.scores || r.aside || r.class != classMalware) {
			continue
		}
		if decided != nil && !r.scores && !r.aside && !r.allow && !j.p.isFirm(r) {
			continue
		}
		switch j.result(r) {
		case unknown:
			v.Unknown = append(v.Unknown, r.id)
			continue
		case miss:
			continue
		}
		ceiling := j.ceiling(r)
		switch {
		case ceiling == observeOnly:
			v.Observed = append(v.Observed, r.id)
		case r.scores:
			v.Score = plus(v.Score, r.score)
			v.Counted = append(v.Counted, mail.Counted{Name: r.id, Points: r.score, Evidence: j.evidence(r), Rule: r.place(), Describe: r.describe})
		case r.aside:
			j.aside(v, r)
		case r.allow:
			if j.allowed == nil {
				j.allowed = r
			}
		case r.accept:
			accept = &decision{rule: r}
		default:
			d := r.decision(ceiling)
			if j.p.isFirm(r) && (j.firm == nil || d.rank() > j.firm.rank()) {
				j.firm = d
			}
			if decided == nil {
				decided = d
			}
		}
	}
	return decided, accept
}

// result evaluates a rule, once per mail where it reads nothing of the recipient.
func (j *judging) result(r *rule) tri {
	if j.cached[r.n] {
		return j.cache[r.n]
	}
	t := miss
	switch {
	case j.skip[r] || !j.concerns(r):
	case r.weekly != nil && j.tx.When().IsZero():
		t = unknown
	case r.weekly == nil || r.weekly.holds(j.tx.When()):
		t = j.assumed(r)
	}
	if !r.perRcpt && !(r.symbols && j.differ) {
		j.cache[r.n], j.cached[r.n] = t, true
	}
	return t
}

// decide enters what a rule decided. A tag is not final: a mail that scores enough is still held or rejected.
func (j *judging) decide(v *mail.Verdict, d *decision) {
	r := d.rule
	// A redirected mail is looked at further, like a tagged one.
	v.Action, v.Final = d.action, d.action != mail.Tag && d.redirect.IsNull()
	v.Redirect, v.Discard, v.Keep = d.redirect, d.discard, 0
	if d.action == mail.Reject {
		v.Keep = r.keep
	}
	v.Class, v.Rule, v.RuleID, v.Describe = r.class, r.place(), r.id, r.describe
	v.Counted = append(v.Counted, mail.Counted{Name: r.id, Evidence: j.evidence(r), Rule: r.place(), Describe: r.describe})
}

// limits are the thresholds for the recipient.
func (j *judging) limits() []threshold {
	if j.domain != nil && j.domain.thresholds != nil {
		return j.domain.thresholds
	}
	return j.p.thresholds
}

// threshold applies the harshest threshold that the score reaches, unless a rule has already done as much.
func (j *judging) threshold(v *mail.Verdict) {
	for _, t := range j.limits() {
		if t.action <= v.Action {
			return
		}
		if v.Score >= t.points-1e-9 {
			v.Action, v.Class, v.Rule, v.RuleID, v.Describe = t.action, "spam", "", "threshold."+t.action.String(), nil
			v.Limit = t.points
			if t.action >= mail.Hold {
				v.Redirect = mail.Address{}
			}
			return
		}
	}
}

// reachable keeps postmaster and abuse open (RFC 5321 section 4.5.1, RFC 2142): they are held at worst.
func (j *judging) reachable(v *mail.Verdict) {
	if v.Action < mail.Reject && !v.Discard {
		return // a deferral comes again, and a flood must not end in the quarantine
	}
	switch strings.ToLower(v.Rcpt.Local) {
	case "postmaster", "abuse":
		v.Action, v.Discard, v.Keep = mail.Hold, false, 0
	}
}

const maxEvidence = 200
