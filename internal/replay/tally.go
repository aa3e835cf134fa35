package replay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/rules"
)

// tally is what one goroutine counts.
type tally struct {
	limit int
	wants func(*Move) bool

	Result
	cells  map[[2]string]*Cell
	rules  map[string]*RuleCount
	blind  map[string]int
	failed map[string]int
}

func newTally(o *Options) *tally {
	return &tally{
		limit: o.Limit, wants: o.Wants, cells: map[[2]string]*Cell{}, rules: map[string]*RuleCount{}, blind: map[string]int{}, failed: map[string]int{},
	}
}

func (t *tally) rule(id string) *RuleCount {
	r := t.rules[id]
	if r == nil {
		r = &RuleCount{ID: strings.Clone(id)}
		t.rules[r.ID] = r
	}
	return r
}

// seen notes that there were facts of a time.
func (t *tally) seen(at time.Time) {
	if t.From.IsZero() || at.Before(t.From) {
		t.From = at
	}
	if at.After(t.To) {
		t.To = at
	}
}

// judged counts a mail by what the new set says of it.
func (t *tally) judged(verdicts []mail.Verdict) {
	t.Mails++
	t.Recipients += len(verdicts)
	for i := range verdicts {
		v := &verdicts[i]
		for k := range v.Counted {
			if c := &v.Counted[k]; c.Rule != "" {
				t.rule(c.Name).Hits++
			}
		}
		for _, id := range v.Observed {
			t.rule(id).Observed++
		}
		for _, id := range v.Unknown {
			t.rule(id).Unknown++
		}
		if v.Rule != "" {
			t.rule(v.RuleID).Decides++
		}
	}
	if n := len(verdicts); n > 0 {
		for _, d := range verdicts[n-1].Degraded {
			if why, ok := strings.CutPrefix(d, "rules: "); ok {
				t.count(t.failed, why)
			}
		}
	}
}

// count bounds how many texts there are: they can hold what a sender wrote.
func (t *tally) count(in map[string]int, text string) {
	if _, ok := in[text]; ok || len(in) < 1000 {
		in[strings.Clone(text)]++
	}
}

// unseen counts the rules that could not be judged.
func (t *tally) unseen(ids []string) {
	for _, id := range ids {
		t.rule(id).NotJudged++
	}
}

// notJudged counts a mail of which nobody knows what the new set would say.
func (t *tally) notJudged(why string) {
	t.NotJudged.Mails++
	t.count(t.blind, why)
}

// move counts one recipient.
func (t *tally) move(m *Move) {
	t.MovedRcpts++
	c := t.cells[[2]string{m.From, m.To}]
	if c == nil {
		c = &Cell{From: m.From, To: m.To}
		t.cells[[2]string{m.From, m.To}] = c
	}
	c.Recipients++
	if m.Released {
		c.Released++
	}
	if m.Known {
		c.Known++
	}
	for _, id := range m.Changed {
		t.rule(id).Moves++
	}
	if t.limit <= 0 || t.wants != nil && !t.wants(m) {
		return
	}
	t.Moves = append(t.Moves, *m)
	if len(t.Moves) >= 2*t.limit {
		t.cutMoves()
	}
}

func (t *tally) cutMoves() {
	slices.SortFunc(t.Moves, func(a, b Move) int { return a.before(&b) })
	t.Moves = slices.Clone(t.Moves[:min(len(t.Moves), t.limit)])
}

// mismatch notes a verdict that was not reproduced.
func (t *tally) mismatch(m Mismatch) {
	t.Mismatches = append(t.Mismatches, m)
	if len(t.Mismatches) >= 2*mostMismatches {
		t.cutMismatches()
	}
}

func (t *tally) cutMismatches() {
	slices.SortFunc(t.Mismatches, func(a, b Mismatch) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID), strings.Compare(a.Rcpt, b.Rcpt))
	})
	t.Mismatches = slices.Clone(t.Mismatches[:min(len(t.Mismatches), mostMismatches)])
}

func (t *tally) damaged(err error) {
	t.Damaged++
	if len(t.Errors) < mostErrors && !slices.Contains(t.Errors, err.Error()) {
		t.Errors = append(t.Errors, err.Error())
	}
}

// add takes over what another goroutine counted.
func (t *tally) add(o *tally) {
	if !o.From.IsZero() {
		t.seen(o.From)
		t.seen(o.To)
	}
	for _, n := range []struct{ to, from *int }{
		{&t.Mails, &o.Mails},
		{&t.Recipients, &o.Recipients},
		{&t.Moved, &o.Moved},
		{&t.MovedRcpts, &o.MovedRcpts},
		{&t.Released, &o.Released},
		{&t.Known, &o.Known},
		{&t.Reasons, &o.Reasons},
		{&t.NotJudged.Mails, &o.NotJudged.Mails},
		{&t.Bodies, &o.Bodies},
		{&t.Certain, &o.Certain},
		{&t.Mismatch, &o.Mismatch},
		{&t.Suspended, &o.Suspended},
		{&t.Damaged, &o.Damaged},
	} {
		*n.to += *n.from
	}
	t.Moves, t.Mismatches = append(t.Moves, o.Moves...), append(t.Mismatches, o.Mismatches...)
	t.Errors = append(t.Errors, o.Errors...)
	for k, c := range o.cells {
		if have := t.cells[k]; have != nil {
			have.Recipients, have.Released, have.Known = have.Recipients+c.Recipients, have.Released+c.Released, have.Known+c.Known
		} else {
			t.cells[k] = c
		}
	}
	for id, r := range o.rules {
		have := t.rule(id)
		have.Hits, have.Observed, have.Decides = have.Hits+r.Hits, have.Observed+r.Observed, have.Decides+r.Decides
		have.Unknown, have.NotJudged, have.Moves = have.Unknown+r.Unknown, have.NotJudged+r.NotJudged, have.Moves+r.Moves
	}
	for text, n := range o.blind {
		t.blind[text] += n
	}
	for text, n := range o.failed {
		t.failed[text] += n
	}
}

// result brings what was counted in order.
func (t *tally) result(p *rules.Policy) *Result {
	r := &t.Result
	t.cutMoves()
	t.cutMismatches()
	if r.Mails > 0 {
		r.Share = float64(r.Moved) / float64(r.Mails)
	}
	r.Table = []Cell{}
	for _, c := range t.cells {
		r.Table = append(r.Table, *c)
	}
	slices.SortFunc(r.Table, func(a, b Cell) int {
		return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	r.Rules = []RuleCount{}
	for _, info := range p.Rules() {
		c := t.rule(info.ID)
		c.Place = info.Place
		r.Rules = append(r.Rules, *c)
		delete(t.rules, info.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(t.rules)) { // rules that are gone, symbols whose points changed
		r.Rules = append(r.Rules, *t.rules[id])
	}
	r.NotJudged.Why, r.Failed = said(t.blind), said(t.failed)
	slices.Sort(r.Errors)
	r.Errors = slices.Compact(r.Errors)
	r.Errors = r.Errors[:min(len(r.Errors), mostErrors)]
	return r
}

// words says for a mismatch all that SameVerdict compares.
func words(v *mail.Verdict) string {
	s := fmt.Sprintf("%s by %s, class %s, %g points", v.Word(), cmp.Or(v.RuleID, "nothing"), cmp.Or(v.Class, "none"), v.Score)
	for _, x := range []struct {
		name string
		list []string
	}{{"unknown", v.Unknown}, {"observed", v.Observed}} {
		if len(x.list) > 0 {
			s += ", " + x.name + " " + strings.Join(x.list, " ")
		}
	}
	if v.Final {
		s += ", final"
	}
	if !v.Redirect.IsNull() {
		s += ", redirect " + v.Redirect.String()
	}
	if len(v.Copies)+len(v.Strip) > 0 || v.Keep+v.Original > 0 {
		s += fmt.Sprintf(", copies %v, strip %v, keep %s, original %s", v.Copies, v.Strip, v.Keep, v.Original)
	}
	return s
}
