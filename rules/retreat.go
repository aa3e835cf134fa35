package rules

import (
	"hash/fnv"
	"io"
	"slices"

	"sekimori/internal/mail"
)

// Retreat says that a rule has stepped back, because people released too much of what it held: it does no more than Mode until it is
// changed.
type Retreat struct {
	ID   string
	Sum  string // of the rule as it was (RuleInfo.Sum); a rule that is not the same any more is not concerned
	Mode string // hold, tag or observe; never makes a rule stricter than it is written
}

// retreats are those in force, as judging needs them.
type retreats struct {
	list []Retreat
	by   map[*rule]ceiling
}

// SetRetreats puts these in force and no others, from the next Judge on. Those that are for no rule of the policy, or for one that
// may not step back, do nothing. It may be called at any time, also while mail is judged.
func (p *Policy) SetRetreats(list []Retreat) { p.back.Store(p.retreatsOf(list)) }

// Retreats returns those in force, in the order in which they were given.
func (p *Policy) Retreats() []Retreat {
	if b := p.back.Load(); b != nil {
		return slices.Clone(b.list)
	}
	return nil
}

// retreatsOf finds the rules that are meant; nil when there are none.
func (p *Policy) retreatsOf(list []Retreat) *retreats {
	var b *retreats
	for _, x := range list {
		r := p.byID(x.ID)
		c, ok := ceilings[x.Mode]
		if r == nil || !ok || r.sum != x.Sum || !p.mayRetreat(r) {
			continue
		}
		if b == nil {
			b = &retreats{by: map[*rule]ceiling{}}
		}
		b.list = append(b.list, x)
		b.by[r] = milder(b.by[r], c)
	}
	return b
}

// mayRetreat reports whether a rule steps back by itself: one that can hold a mail, but for what the administrator marked as firm
// (final, retreat = false, a class that only administrators release, malware).
func (p *Policy) mayRetreat(r *rule) bool {
	decides := r.action >= mail.Hold || r.discard
	return decides && !r.stays && !p.isFirm(r)
}

// Ceiling says what a rule does at most at the moment: its mode and where it has stepped back; "reject" is no limit. next is the mode
// to which it would step back from there, "" for none.
func (p *Policy) Ceiling(id string) (mode, next string) {
	r := p.byID(id)
	if r == nil {
		return "", ""
	}
	c := r.mode
	if b := p.back.Load(); b != nil {
		c = milder(c, b.by[r])
	}
	if mode = c.String(); !p.mayRetreat(r) {
		return mode, ""
	}
	// From what it does, not from what it might: a rule that holds steps back to a tag.
	switch d := r.decision(c); {
	case c == observeOnly, c == tagAtMost:
		return mode, "" // nothing is held, so nothing is released of which one could learn
	case d.action > mail.Hold || d.discard:
		return mode, "hold"
	case d.action == mail.Hold:
		return mode, "tag"
	}
	return mode, ""
}

// retreat reads retreat = false.
func (x *decoder) retreat(r *rule, t *table) {
	e := t.get("retreat")
	if !x.want(e, kindBool) {
		return
	}
	if r.stays = !e.val.b; r.action < mail.Hold && !r.discard {
		x.errorf(e.off, "only a rule that holds, defers, rejects or discards can step back")
	}
}

// identifyRule takes the sum over all that a rule does: not over its id, its texts and its tests.
func identifyRule(t *table) string {
	h := fnv.New64a()
	for _, k := range t.keys {
		switch k.name {
		case "id", "describe", "reply", "test":
			continue
		}
		text := k.val.source()
		if k.val.kind == kindOther {
			text = k.val.str
		}
		_, _ = io.WriteString(h, k.name+"="+text+"\x00")
	}
	return string(hex64(h.Sum64()))
}
