// Package gate runs the checks of a stage and then judges: checks find, rules weigh, the front (or `scan`) acts.
//
// A Visit is one connection, a Judging one transaction in it. Look-ups that need only the address start when the Visit
// does and hide behind the SMTP dialogue; a stage is waited for only when its findings are needed.
package gate

import (
	"context"
	"maps"
	"slices"
	"time"

	"sekimori/filters"
	"sekimori/internal/mail"
	"sekimori/rules"
)

// Gate judges mail. It is immutable but for the policy, and safe for concurrent use.
type Gate struct {
	chain    *filters.Chain
	policy   *rules.Policy
	degraded map[string]mail.Action // dependency -> at least this, when a check that needs it could not look
	keep     func(*rules.Policy, *rules.Case, []mail.Verdict)
	groups   func(mail.Address) ([]string, error)
	attrs    func(mail.Address) (map[string][]string, error)
	now      func() time.Time
	judged   func([]mail.Verdict)
}

// Options are what a Gate is made of.
type Options struct {
	Chain    *filters.Chain
	Policy   *rules.Policy
	Degraded map[string]mail.Action
	Now      func() time.Time
	// Groups says in which groups of the directory a recipient is, from memory; nil, or an error: nobody knows.
	Groups func(mail.Address) ([]string, error)
	// Attributes says what is known of the attributes of a recipient that rules ask for, by name in lower case; nil, or an error: nothing.
	Attributes func(mail.Address) (map[string][]string, error)
	// Keep is told what the rules saw and said, before [degraded] applies: of every message, and of a recipient whom they refuse or put
	// off. It must not keep what it is given. nil: nobody is told.
	Keep func(*rules.Policy, *rules.Case, []mail.Verdict)
	// Judged is told of the verdicts of every mail, and of a recipient that is deferred or refused before it, when there is no message.
	// It does not block and keeps nothing. nil: nobody is told.
	Judged func([]mail.Verdict)
}

// New returns a Gate.
func New(o Options) *Gate {
	return &Gate{chain: o.Chain, policy: o.Policy, degraded: o.Degraded, groups: o.Groups, attrs: o.Attributes, now: o.Now, keep: o.Keep, judged: o.Judged}
}

// Visit is one connection. Its methods are called by one goroutine, in the order of the dialogue.
type Visit struct {
	gate    *Gate
	ctx     context.Context
	cancel  context.CancelFunc
	session *mail.Session
	connect *filters.Run
	helo    *filters.Run
}

// Accept starts the connect checks for a new connection. The visit's checks end with ctx or with Close.
func (g *Gate) Accept(ctx context.Context, s *mail.Session) *Visit {
	v := &Visit{gate: g, session: s}
	v.ctx, v.cancel = context.WithCancel(ctx)
	if s.Relayed() {
		return v // the client is known when the header is: see Judging.Client
	}
	v.connect = g.chain.Start(v.ctx, mail.Transaction{Session: s, Stage: mail.Connect, Start: s.Start})
	return v
}

// Suspect waits for the connect checks, at most until ctx is done, and reports whether one of them found something that
// counts against the client.
func (v *Visit) Suspect(ctx context.Context) bool {
	if v.connect == nil {
		return false
	}
	sum := 0.0
	for _, o := range v.connect.Peek(ctx) {
		for _, f := range o.Findings {
			sum += v.gate.policy.Score(f.Symbol) * f.Factor()
		}
	}
	return sum > 0
}

// Refuse says with what a client is refused before the banner, by the rules that are written at = "connect"; the zero
// Reply lets it in. It waits for the connect checks until ctx is done; without such a rule it does not wait at all.
func (v *Visit) Refuse(ctx context.Context) mail.Reply {
	if v.session.Trusted || v.connect == nil || !v.gate.policy.Decides(mail.Connect) {
		return mail.Reply{}
	}
	tx := mail.Transaction{Session: v.session, Stage: mail.Connect, Start: v.gate.now(), Outcomes: v.connect.Peek(ctx), Facts: map[string]any{}}
	tx.AddFacts(tx.Outcomes)
	mail.AddBaseFacts(tx.Facts, &tx)
	// Only 554 and 421 may stand in place of a banner (RFC 5321 sections 3.1 and 3.8).
	switch r := v.gate.policy.Judge(&tx, []mail.Address{{}})[0].Reply; {
	case r.IsZero():
		return r
	case r.IsPermanent():
		return mail.Permanent(554, 7, 1, r.Text())
	default:
		return mail.Transient(421, 7, 1, r.Text())
	}
}

// Helo takes the session as it is after HELO, EHLO or STARTTLS and starts the helo checks; what was found about an
// earlier HELO is dropped (RFC 3207 section 4.2).
func (v *Visit) Helo(s *mail.Session) {
	if v.helo != nil {
		v.helo.Cancel()
	}
	v.session = s
	if s.Relayed() {
		return
	}
	v.helo = v.gate.chain.Start(v.ctx, mail.Transaction{Session: s, Stage: mail.Helo, Start: s.Start})
}

// Close ends whatever still runs for the connection.
func (v *Visit) Close() { v.cancel() }

// Begin starts a transaction and its mail-stage checks.
func (v *Visit) Begin(id string, from mail.Address, p mail.Params) *Judging {
	j := &Judging{visit: v, tx: mail.Transaction{
		Session: v.session, ID: id, Stage: mail.Mail, From: from, Params: p, Start: v.gate.now(),
	}}
	if !v.session.Relayed() {
		j.early = []*filters.Run{v.connect, v.helo, v.gate.chain.Start(v.ctx, j.tx)}
	}
	return j
}

// Judging is one transaction on its way through the gate. Its methods are called by one goroutine.
type Judging struct {
	visit  *Visit
	tx     mail.Transaction
	early  []*filters.Run // of the stages before RCPT; nil ones did not run
	data   *filters.Run   // when it was started before Conclude
	merged bool
	atRcpt []rcptState // of accepted recipients, in order
	last   rcptState   // of the recipient judged last
}

type rcptState struct {
	rcpt      mail.Address
	mailboxes []mail.Address
	outcomes  []mail.Outcome
}

// Transaction returns the transaction with all outcomes so far. It is the Judging's own: the caller reads it.
func (j *Judging) Transaction() *mail.Transaction { return &j.tx }

// Rcpt waits for the checks of the stages before, runs those about the recipient, and judges. mailboxes are those that it
// stands for; none when it is one. The caller calls Accept for a recipient that stays. Behind a trusted relay nothing is
// judged yet.
func (j *Judging) Rcpt(ctx context.Context, rcpt mail.Address, mailboxes []mail.Address) mail.Verdict {
	if j.relayed() {
		j.last = rcptState{rcpt: rcpt, mailboxes: mailboxes}
		return mail.Verdict{Rcpt: rcpt}
	}
	j.gather()
	g := j.visit.gate
	tx := j.tx
	tx.Stage, tx.Rcpt = mail.Rcpt, rcpt
	tx.Mailboxes = map[mail.Address][]mail.Address{rcpt: mailboxes}
	forChecks := j.forChecks(mail.Rcpt)
	forChecks.Rcpt = rcpt
	outcomes := g.chain.Start(ctx, forChecks).Wait()
	tx.Outcomes = slices.Concat(j.tx.Outcomes, outcomes)
	tx.Facts = maps.Clone(j.tx.Facts)
	tx.AddFacts(outcomes)
	g.person(&tx, rcpt)
	j.last = rcptState{rcpt: rcpt, mailboxes: mailboxes, outcomes: outcomes}
	v := g.judge(&tx, []mail.Address{rcpt})[0]
	v = g.degrade(v, &tx)
	if g.judged != nil && v.Action >= mail.Defer {
		g.judged([]mail.Verdict{v})
	}
	return v
}

// Accept remembers a recipient that Rcpt was asked about last.
func (j *Judging) Accept(rcpt mail.Address) {
	j.tx.Rcpts = append(j.tx.Rcpts, rcpt)
	if j.last.rcpt != rcpt {
		j.last = rcptState{rcpt: rcpt}
	}
	j.atRcpt = append(j.atRcpt, j.last)
	if len(j.last.mailboxes) > 0 {
		if j.tx.Mailboxes == nil {
			j.tx.Mailboxes = map[mail.Address][]mail.Address{}
		}
		j.tx.Mailboxes[rcpt] = j.last.mailboxes
	}
}

// Conclude runs the checks over the message and judges it for each accepted recipient, in the order of acceptance.
func (j *Judging) Conclude(ctx context.Context, msg *mail.Message) []mail.Verdict {
	g := j.visit.gate
	if j.relayed() {
		j.deferred(msg)
	}
	j.gather()
	for _, r := range j.atRcpt {
		j.tx.Outcomes = append(j.tx.Outcomes, r.outcomes...)
		j.tx.AddFacts(ofRcpt(r))
		g.person(&j.tx, r.rcpt)
	}
	j.tx.Message = msg
	for _, stage := range []mail.Stage{mail.Data, mail.Conclude} {
		j.tx.Stage = stage
		run := j.data
		if run == nil || stage != mail.Data {
			run = g.chain.Start(ctx, j.forChecks(stage))
		}
		outcomes := run.Wait()
		j.tx.Outcomes = slices.Concat(j.tx.Outcomes, outcomes)
		j.tx.AddFacts(outcomes)
	}
	mail.AddBaseFacts(j.tx.Facts, &j.tx)
	verdicts := g.judge(&j.tx, j.tx.Rcpts)
	for i := range verdicts {
		verdicts[i] = g.degrade(verdicts[i], &j.tx)
	}
	if g.judged != nil {
		g.judged(verdicts)
	}
	return verdicts
}

// judge asks the rules, and tells Keep.
func (g *Gate) judge(tx *mail.Transaction, rcpts []mail.Address) []mail.Verdict {
	if g.keep == nil {
		return g.policy.Judge(tx, rcpts)
	}
	c := rules.Case{Tx: tx, Rcpts: rcpts}
	verdicts := g.policy.JudgeCase(&c)
	if tx.Stage >= mail.Data || verdicts[0].Action >= mail.Defer {
		g.keep(g.policy, &c, verdicts)
	}
	return verdicts
}

// forChecks is the transaction as the checks of a stage see it. They get no Facts: one that outlives its deadline would
// read the map while it is filled.
func (j *Judging) forChecks(stage mail.Stage) mail.Transaction {
	tx := j.tx
	tx.Stage, tx.Facts = stage, nil
	return tx
}

// person enters what the directory knows of a recipient.
func (g *Gate) person(tx *mail.Transaction, rcpt mail.Address) {
	if g.groups != nil {
		if list, err := g.groups(rcpt); err == nil {
			tx.SetRcptFact(rcpt, "rcpt.groups", list)
		}
	}
	if g.attrs == nil {
		return
	}
	if all, err := g.attrs(rcpt); err == nil {
		for name, values := range all {
			tx.SetRcptFact(rcpt, mail.AttrFact(name), values)
		}
	}
}

// ofRcpt gives the outcomes of the checks at RCPT with the recipient whose facts they are.
func ofRcpt(r rcptState) []mail.Outcome {
	var all []mail.Outcome
	for _, o := range r.outcomes {
		facts := make([]mail.FactValue, len(o.Facts))
		for i, f := range o.Facts {
			f.Rcpt = r.rcpt
			facts[i] = f
		}
		o.Facts = facts
		all = append(all, o)
	}
	return all
}

// gather waits, once, for the stages before RCPT and takes over what they found.
func (j *Judging) gather() {
	if j.merged {
		return
	}
	j.merged = true
	j.tx.Outcomes = j.visit.gate.chain.Off()
	j.tx.Facts = make(map[string]any, 140)
	for _, run := range j.early {
		if run == nil {
			continue
		}
		outcomes := run.Wait()
		j.tx.Outcomes = append(j.tx.Outcomes, outcomes...)
		j.tx.AddFacts(outcomes)
	}
	mail.AddBaseFacts(j.tx.Facts, &j.tx)
}

// degrade applies [degraded]: when a check could not look because of a dependency for which the administrator wants mail
// deferred or held, the verdict is at least that, as far as the policy's mode lets it. A final verdict (an allow list, a rejection) stands.
func (g *Gate) degrade(v mail.Verdict, tx *mail.Transaction) mail.Verdict {
	if len(g.degraded) == 0 || v.Final || g.policy.Mode(v.Rcpt) == "observe" {
		return v
	}
	for _, o := range tx.Outcomes {
		if o.State != mail.StateTempError {
			continue
		}
		for _, need := range g.chain.Needs(o.Check) {
			want := g.degraded[need]
			if want <= v.Action || (want == mail.Hold && tx.Stage < mail.Conclude) {
				continue
			}
			w := v
			w.Action, w.RuleID, w.Class = want, "degraded."+need, "unchecked"
			if want == mail.Defer {
				w.Reply = mail.Transient(451, 4, 3, "A check of this message is not available at the moment, please try again later")
			}
			// What the mode leaves of it must not take the place of what is as harsh already, or harsher: malware is held where others are tagged.
			if w = g.policy.Soften(w, tx.Session.KeepRefused); w.Action > v.Action {
				v = w
			}
		}
	}
	return v
}
