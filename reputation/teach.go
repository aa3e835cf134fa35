package reputation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sekimori/internal/store"
)

// batch is what the store knows of some mails, and the change that comes of teaching them.
type batch struct {
	*change
	month    string
	day      string
	limits   Limits
	taught   map[string]int           // by taughtField: what persons taught everybody this month
	alike    map[Class]map[string]int // by field of campaignKey, of this month
	today    map[string]int           // by field of autoDayKey
	spent    []string                 // of these, by the batch
	progress Progress
}

// read gets everything that deciding about a batch takes: the records, what the persons have taught, how large the campaigns are, in
// one round trip, and the models of its scopes.
func (l *Learner) read(ctx context.Context, list []Sample) (*batch, error) {
	now := l.now()
	b := &batch{
		change: newChange(l.node), month: monthOf(now), day: tallyDay(now), limits: l.limits(), taught: map[string]int{},
		alike: map[Class]map[string]int{Ham: {}, Spam: {}}, today: map[string]int{},
	}
	pipe := l.client.Pipeline()
	values := make([]*store.StringCmd, len(list))
	for i := range list {
		s := &list[i]
		values[i] = pipe.Get(ctx, recordKey(s.Fingerprint))
		if s.Source == Person {
			b.taught[taughtField(s.By, s.Class)] = 0
		}
		if b.limits.Campaign > 0 && slices.Contains(s.scopes(), Everybody) {
			for _, f := range campaignOf(s.Tokens) {
				b.alike[s.Class][f] = 0
			}
		}
	}
	counts := []func(){counted(ctx, pipe, taughtKey(b.month), b.taught), b.autos(ctx, pipe, list)}
	for c, fields := range b.alike {
		counts = append(counts, counted(ctx, pipe, campaignKey(c, b.month), fields))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return nil, err
	}
	for _, take := range counts {
		take()
	}
	for i := range list {
		if err := b.addRecord(recordKey(list[i].Fingerprint), values[i].Val(), oldest(now)); err != nil {
			return nil, err
		}
		if err := l.addModels(ctx, b.change, list[i].scopes()); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// counted asks for some fields of a hash and returns what puts the answer into them.
func counted(ctx context.Context, pipe store.Pipeliner, key string, fields map[string]int) func() {
	if len(fields) == 0 {
		return func() {}
	}
	names := make([]string, 0, len(fields))
	for f := range fields {
		names = append(names, f)
	}
	answer := pipe.HMGet(ctx, key, names...)
	return func() {
		for i, v := range answer.Val() {
			if s, ok := v.(string); ok {
				fields[names[i]] = parseCount(s)
			}
		}
	}
}

func (ch *change) addRecord(key, value, oldest string) error {
	if ch.records[key] != nil {
		return nil
	}
	r, err := parseRecord(value)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	r.forgetOld(oldest)
	ch.records[key] = &r
	return nil
}

// addModels puts the models of scopes where contribute finds them.
func (l *Learner) addModels(ctx context.Context, ch *change, scopes []Scope) error {
	for _, s := range scopes {
		if ch.models[s] != nil {
			continue
		}
		m := l.Model()
		if s != Everybody {
			var err error
			if m, err = l.narrow.get(ctx, l, s); err != nil {
				return err
			}
		}
		ch.models[s] = m
	}
	return nil
}

// teach decides what one mail teaches each scope, with the models growing as it goes.
func (b *batch) teach(s *Sample) error {
	r := b.records[recordKey(s.Fingerprint)]
	if r.learned() && r.blob == nil {
		r.tokens = s.Tokens // of a version that did not keep them
	}
	open := s.Source != Person || r.vouched(s.By, s.Class)
	quota := false // this mail is paid for by the person's own share
	if s.Source == Person {
		field := taughtField(s.By, s.Class)
		if !open && b.taught[field] < b.limits.Person {
			open, quota = true, true
		}
		r.vote(s.By, s.Class)
	}
	var shown, learned, moved, alike, waiting, refused bool
	for _, scope := range s.scopes() {
		wide := scope == Everybody || scope.Domain()
		e := r.find(scope)
		switch {
		case e != nil && e.Class == s.Class:
			if e.Source == Auto && s.Source != Auto {
				b.countAuto(*e, s.Fingerprint, -1)
				b.countWay(*e, -1)
				e.Source, e.By, e.Way = s.Source, s.By, s.way() // confirmed
				b.countWay(*e, 1)
			}
			continue
		case e != nil && s.Source == Auto:
			continue // it never overrules anybody, not even itself
		case e != nil && wide && !open && e.Source != Auto && e.By != s.By:
			waiting = true
			continue
		case e != nil:
			if err := b.take(r, *e, s); err != nil {
				return err
			}
			moved = true
		}
		if wide && !open {
			waiting = true
			continue
		}
		if s.Source == Auto {
			if why := b.refuse(s); why != "" {
				b.progress.refused[slices.Index(refusals[:], why)]++
				refused = true
				continue
			}
			b.spend(s)
		}
		n := entry{Scope: scope, Class: s.Class, Month: b.month, Source: s.Source, By: s.By, Way: s.way()}
		n.Learned = b.models[scope].needed(s.Class, s.Tokens)
		if n.Learned && scope == Everybody && b.toomany(s) {
			n.Learned, alike = false, true
		}
		if wide && quota {
			n.Quota, quota = true, false
			b.taught[taughtField(s.By, s.Class)]++
		}
		tokens := s.Tokens
		if n.Learned {
			var err error
			if tokens, err = r.counted(s.Tokens); err != nil {
				return err
			}
		}
		b.contribute(n, s.Fingerprint, tokens, 1)
		r.Entries = append(r.Entries, n)
		shown, learned = true, learned || n.Learned
	}
	if !refused {
		b.tell(shown, learned, moved, alike, waiting)
	}
	return nil
}

func (b *batch) tell(shown, learned, moved, alike, waiting bool) {
	for _, c := range []struct {
		is bool
		n  *int
	}{
		{shown, &b.progress.Shown},
		{learned, &b.progress.Learned},
		{moved, &b.progress.Moved},
		{alike, &b.progress.Alike},
		{waiting, &b.progress.Waiting},
		{!shown && !moved, &b.progress.Known},
	} {
		if c.is {
			*c.n++
		}
	}
}

// take takes away what a mail contributed to a scope.
func (b *batch) take(r *record, e entry, s *Sample) error {
	tokens, err := r.counted(s.Tokens)
	if err != nil {
		return err
	}
	b.contribute(e, s.Fingerprint, tokens, -1)
	r.remove(e.Scope)
	return nil
}

// toomany reports whether enough near copies of a mail are counted.
func (b *batch) toomany(s *Sample) bool {
	if b.limits.Campaign <= 0 {
		return false
	}
	most := 0
	for _, f := range campaignOf(s.Tokens) {
		most = max(most, b.alike[s.Class][f]+b.hashes[campaignKey(s.Class, b.month)][f])
	}
	return most >= b.limits.Campaign
}
