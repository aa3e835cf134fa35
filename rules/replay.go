package rules

import (
	"slices"

	"sekimori/internal/mail"
)

// Replayer judges kept cases with one set of rules, for `rules replay`: many, and without what only people read. It is used by one
// goroutine.
type Replayer struct {
	p    *Policy
	m    caseMemory
	only wanted
}

// Replayer returns a new one.
func (p *Policy) Replayer() *Replayer {
	r := &Replayer{p: p}
	for _, w := range p.vocab.words {
		switch w.kind {
		case factWord:
			r.only.facts = append(r.only.facts, w.key)
		case attrWord, attrsWord:
			r.only.facts = append(r.only.facts, w.arg)
		case headerWord, headersWord, rawHeaderWord, rawHeadersWord:
			r.only.fields = append(r.only.fields, w.arg)
		}
	}
	r.only.facts = append(r.only.facts, "time.date")
	slices.Sort(r.only.facts)
	r.only.facts = slices.Compact(r.only.facts)
	r.only.parts = slices.ContainsFunc(p.rules, func(r *rule) bool { return r.strip != nil })
	return r
}

// Judge decodes what AppendCase wrote and judges it again. What it returns is valid until the next call; the verdicts are those of
// JudgeCase for Case.Rcpts, as far as SameVerdict compares them, and Counted names rules only. Of the facts those are there that the rules ask for.
func (r *Replayer) Judge(data []byte) (*Case, []mail.Verdict, error) {
	c, err := decodeCase(data, &r.m, &r.only)
	if err != nil {
		return nil, nil, err
	}
	c.lean = true
	return c, r.p.JudgeCase(c), nil
}

const mostAssumed = 4 // rules; each doubles the work

// Whatever judges a case for all that the rules of c.NotJudged may say: with hits and misses of each in turn. each is called with the
// verdicts of every way until it returns false; what is the same in all of them is certain, although some rules could not be judged.
// It reports whether all ways were tried: not when there are too many rules, or each said so. c.NotJudged is left as it was.
func (p *Policy) Whatever(c *Case, each func([]mail.Verdict) bool) bool {
	was := slices.Clone(c.NotJudged)
	defer func() { c.NotJudged, c.assume = was, nil }()
	ids := slices.Clone(was)
	for n := 0; len(ids) <= mostAssumed; n++ {
		if n == 1<<len(ids) {
			return true
		}
		c.assume = make(map[string]tri, len(ids))
		for i, id := range ids {
			c.assume[id] = tri(n >> i & 1)
		}
		verdicts := p.JudgeCase(c)
		if fresh := without(c.NotJudged, ids); len(fresh) > 0 { // which came to be asked
			ids, n = append(ids, fresh...), -1
			continue
		}
		if !each(verdicts) {
			return false
		}
	}
	return false
}

// Fill gives a decoded case what was not kept of its mail: m as package mime reads it. It reports whether m is that mail, as far as can
// be told from what was kept; when not, the case is as it was.
func (c *Case) Fill(m *mail.Message) bool {
	kept := c.Tx.Message
	if !c.kept || kept == nil || !sameHeader(kept.Header, m.Header) {
		return false
	}
	fresh := map[string]any{}
	mail.AddBaseFacts(fresh, &mail.Transaction{Session: &mail.Session{}, Stage: mail.Connect, Rcpts: c.Tx.Rcpts, Message: m})
	for _, name := range [...]string{"message.size", "message.id", "message.subject"} {
		if v, ok := c.Tx.Facts[name]; ok && !isCut(v) && v != fresh[name] {
			return false
		}
	}
	for _, f := range mail.BaseFacts {
		if f.Check() != "message" {
			continue
		}
		if v, ok := c.Tx.Facts[f.Name]; !ok || isCut(v) {
			c.Tx.Facts[f.Name] = fresh[f.Name]
		}
	}
	c.Tx.Message, c.filled = m, true
	return true
}

func isCut(v any) bool {
	_, is := v.(cutValue)
	return is
}

// sameHeader reports whether the fields that were kept are the first of a header.
func sameHeader(kept, whole []mail.Field) bool {
	for i := range kept {
		f := &kept[i]
		if f.Name == "" && f.End == cutField {
			return true
		}
		switch {
		case i >= len(whole), f.Name != whole[i].Name,
			f.End != cutField && f.Value != whole[i].Value,
			f.End == cutField && (len(f.Value) > len(whole[i].Value) || f.Value != whole[i].Value[:len(f.Value)]):
			return false
		}
	}
	return true
}

// Observes reports whether a rule does nothing but count what it would have done.
func (p *Policy) Observes(id string) bool {
	r := p.byID(id)
	return r != nil && r.mode == observeOnly
}

// assumed is what a rule is taken to say, or says.
func (j *judging) assumed(r *rule) tri {
	if c := j.s.kase; c != nil && c.assume != nil {
		if t, ok := c.assume[r.id]; ok {
			return t
		}
	}
	return j.bounded(r)
}

// Text is a fact of type String as far as it was kept; ok is false when it is not known.
func (c *Case) Text(fact string) (s string, ok bool) {
	switch v := c.Tx.Facts[fact].(type) {
	case string:
		return v, true
	case cutValue:
		s, ok = v.shown.(string)
	}
	return s, ok
}
