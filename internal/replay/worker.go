package replay

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/rules"
)

// worker judges, in one goroutine.
type worker struct {
	o      *Options
	t      *tally
	fresh  *rules.Replayer
	now    *rules.Replayer // nil: none
	sameAs string          // fingerprint of Options.Now
}

func newWorker(o *Options) *worker {
	w := &worker{o: o, t: newTally(o), fresh: o.New.Replayer()}
	if o.Now != nil {
		w.now, w.sameAs = o.Now.Replayer(), o.Now.Fingerprint()
	}
	return w
}

// judge judges one mail, and counts.
func (w *worker) judge(ctx context.Context, r *history.Record) {
	c, is, err := w.fresh.Judge(r.Data)
	if err == nil && len(c.Verdicts) != len(c.Rcpts) {
		err = errNoVerdict
	}
	if err != nil {
		w.t.damaged(err)
		return
	}
	w.t.seen(r.Time)
	if c.Suspended() {
		w.t.Suspended++
	}
	w.t.unseen(c.NotJudged)
	if unsettled(w.o.New, c) {
		w.onText(ctx, r)
		return
	}
	if c.Rules == w.o.New.Fingerprint() && len(c.NotJudged) == 0 {
		w.reproduced(r, c, is)
	}
	was := c.Verdicts
	if w.now != nil && c.Rules != w.sameAs {
		old, before, err := w.now.Judge(r.Data)
		if err != nil || unsettled(w.o.Now, old) {
			w.t.notJudged(whyNow)
			return
		}
		was = before
	}
	if allSame(was, is, c.Tx.Stage) {
		w.alike(was, is)
		return
	}
	// Once more, with all that is to be told.
	if c, err = rules.DecodeCase(r.Data); err != nil {
		w.t.damaged(err)
		return
	}
	w.settle(r, c, w.o.New.JudgeCase(c), false)
}

var errNoVerdict = errors.New("replay: facts without the verdicts")

const whyNow = "another set was in force then, and what the one in force now would have said is not known"

// alike counts a mail that is treated as it was.
func (w *worker) alike(was, is []mail.Verdict) {
	w.t.judged(is)
	for i := range was {
		if was[i].RuleID != is[i].RuleID {
			w.t.Reasons++
		}
	}
}

// unsettled reports whether what a set does is not known, because it depends on rules that could not be judged.
func unsettled(p *rules.Policy, c *rules.Case) bool {
	return slices.ContainsFunc(c.NotJudged, func(id string) bool { return !p.Observes(id) })
}

// reproduced compares with what the same rules said then.
func (w *worker) reproduced(r *history.Record, c *rules.Case, is []mail.Verdict) {
	wrong := false
	for i := range c.Verdicts {
		if i < len(is) && rules.SameVerdict(&is[i], &c.Verdicts[i]) {
			continue
		}
		if c.Suspended() { // between two recipients, maybe
			return
		}
		m := Mismatch{Time: r.Time, ID: r.ID, Rcpt: c.Verdicts[i].Rcpt.String(), Was: words(&c.Verdicts[i]), Is: "no verdict"}
		if i < len(is) {
			m.Is = words(&is[i])
		}
		w.t.mismatch(m)
		wrong = true
	}
	if wrong {
		w.t.Mismatch++
	}
}

// onText judges a mail for which rules need a text that was not kept: on the mail itself, or for all that they may say.
func (w *worker) onText(ctx context.Context, r *history.Record) {
	c, err := rules.DecodeCase(r.Data)
	if err != nil {
		w.t.damaged(err)
		return
	}
	if w.o.Body != nil && c.Tx.Stage >= mail.Data {
		if m := w.o.Body(ctx, r.ID); m != nil && c.Fill(m) {
			if is := w.o.New.JudgeCase(c); !unsettled(w.o.New, c) {
				w.t.Bodies++
				w.settle(r, c, is, true)
				return
			}
		}
	}
	w.o.New.JudgeCase(c)
	blind := slices.Clone(c.NotJudged)
	var first []mail.Verdict
	certain := w.o.New.Whatever(c, func(is []mail.Verdict) bool {
		if first == nil {
			first = is
			return true
		}
		return allSame(first, is, c.Tx.Stage)
	})
	if !certain {
		blind = slices.DeleteFunc(blind, w.o.New.Observes)
		slices.Sort(blind)
		w.t.notJudged("the text was not kept, and the mail is not in the quarantine: " + strings.Join(blind, ", "))
		return
	}
	w.t.Certain++
	w.settle(r, c, first, false)
}

// before is what was done, or what the set in force does; ok is false when nobody knows.
func (w *worker) before(c *rules.Case) (was []mail.Verdict, ok bool) {
	if w.now == nil || c.Rules == w.sameAs {
		return c.Verdicts, true
	}
	was = w.o.Now.JudgeCase(c)
	return was, !unsettled(w.o.Now, c)
}

// settle counts a mail of which it is known what the new set says.
func (w *worker) settle(r *history.Record, c *rules.Case, is []mail.Verdict, body bool) {
	blind := slices.Clone(c.NotJudged)
	was, ok := w.before(c)
	if !ok {
		w.t.notJudged(whyNow)
		return
	}
	at := c.Tx.Stage
	if allSame(was, is, at) {
		w.alike(was, is)
		return
	}
	w.t.judged(is)
	var detail []mail.Verdict // with points, which are not kept
	if w.o.Now != nil {
		detail = w.o.Now.JudgeCase(c)
	}
	base := Move{Time: r.Time, ID: strings.Clone(r.ID), Sender: text(c, "from.address"), Subject: text(c, "message.subject"), Body: body, Blind: blind}
	base.Released = w.o.Released != nil && w.o.Released(r.ID)
	knows := false
	for i := range is {
		if same(&was[i], &is[i], at) {
			continue
		}
		m := base
		m.Rcpt, m.From, m.To = is[i].Rcpt.String(), Outcome(&was[i], at), Outcome(&is[i], at)
		m.Known, m.Was, m.Is = known(c, i), reason(&was[i]), reason(&is[i])
		if detail != nil {
			m.Changed = changed(&detail[i], &is[i])
		} else {
			m.Changed = deciding(&was[i], &is[i])
		}
		m.Changed = slices.DeleteFunc(m.Changed, func(id string) bool { return slices.Contains(blind, id) })
		knows = knows || m.Known
		w.t.move(&m)
	}
	w.t.Moved++
	if base.Released {
		w.t.Released++
	}
	if knows {
		w.t.Known++
	}
}

func reason(v *mail.Verdict) Reason {
	return Reason{strings.Clone(v.RuleID), strings.Clone(v.Rule), math.Round(v.Score*1e6) / 1e6}
}

func text(c *rules.Case, fact string) string {
	s, _ := c.Text(fact)
	return strings.Clone(s)
}

// known reports whether a sender has sent mail to us before that was delivered or released and was not reported.
func known(c *rules.Case, rcpt int) bool {
	n := func(name string) int {
		v, _ := c.Tx.Facts[name].(int)
		return v
	}
	with := func(name string) int {
		v, _ := c.Tx.RcptFact(c.Rcpts[rcpt], name).(int)
		return v
	}
	return n("history.mails")+n("history.released")+with("history.rcpt_mails")+with("history.rcpt_released") > 0 &&
		n("history.reported")+with("history.rcpt_reported") == 0
}

// changed names the rules and symbols that say something else: that hit now or no more, give other points, or decide.
func changed(was, is *mail.Verdict) []string {
	points := map[string]float64{}
	there := map[string]int{}
	for _, c := range was.Counted {
		points[c.Name] -= c.Points
		there[c.Name]--
	}
	for _, c := range is.Counted {
		points[c.Name] += c.Points
		there[c.Name]++
	}
	list := []string{}
	for name, n := range there {
		if n != 0 || math.Abs(points[name]) > 1e-9 {
			list = append(list, strings.Clone(name))
		}
	}
	if len(list) == 0 { // the same rules, with another action; or other thresholds
		return deciding(was, is)
	}
	slices.Sort(list)
	return list
}

func deciding(was, is *mail.Verdict) []string {
	list := []string{}
	for _, v := range []*mail.Verdict{is, was} {
		if v.RuleID != "" && !slices.Contains(list, v.RuleID) {
			list = append(list, strings.Clone(v.RuleID))
		}
	}
	return list
}
