package reputation

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sekimori/internal/store"
)

// Lesson is what is known of a mail in one scope.
type Lesson struct {
	Scope   Scope  `json:"scope"`
	Class   Class  `json:"class"`
	Month   string `json:"month"`   // in which it was shown: 202611
	Learned bool   `json:"learned"` // its tokens are counted
	Source  Source `json:"source"`
	By      string `json:"by,omitempty"`
}

func (e entry) lesson() Lesson {
	source := e.Source
	if source == "" {
		source = Command
	}
	return Lesson{e.Scope, e.Class, e.Month, e.Learned, source, e.By}
}

// Known says what is known of a mail, the widest scope first; nil when it was never shown, or so long ago that it counts no more.
func (l *Learner) Known(ctx context.Context, fingerprint string) ([]Lesson, error) {
	r, err := l.record(ctx, fingerprint)
	if err != nil {
		return nil, err
	}
	var all []Lesson
	for _, e := range r.Entries {
		all = append(all, e.lesson())
	}
	slices.SortFunc(all, func(a, b Lesson) int { return len(a.Scope) - len(b.Scope) })
	return all, nil
}

func (l *Learner) record(ctx context.Context, fingerprint string) (record, error) {
	text, err := l.client.Get(ctx, recordKey(fingerprint)).Result()
	if err != nil && !errors.Is(err, store.Nil) {
		return record{}, err
	}
	r, err := parseRecord(text)
	if err != nil {
		return r, fmt.Errorf("%s: %w", recordKey(fingerprint), err)
	}
	r.forgetOld(oldest(l.now()))
	return r, nil
}

// Unlearn takes away what a mail contributed, exactly, from scopes or (nil) wherever it did. tokens are those of the mail, which count
// only for what a version that kept none had learned. It returns what was taken away; nil when nothing was known.
func (l *Learner) Unlearn(ctx context.Context, tokens []string, fingerprint string, scopes ...Scope) ([]Lesson, error) {
	var taken []Lesson
	err := l.alter(ctx, tokens, fingerprint, func(r *record) []entry {
		if len(r.Entries) > 0 {
			taken = nil // else this is asked again, and the first time was done after all
		}
		keep := []entry{}
		for _, e := range r.Entries {
			if len(scopes) > 0 && !slices.Contains(scopes, e.Scope) {
				keep = append(keep, e)
			} else {
				taken = append(taken, e.lesson())
			}
		}
		if len(scopes) == 0 {
			r.Votes, r.Reports = nil, nil
		}
		return keep
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// Restore takes a lesson back: what it changed is what it was before (Taught.Before). What somebody else has taught since stays.
func (l *Learner) Restore(ctx context.Context, s Sample, before string) error {
	was, err := parseRecord(before)
	if err != nil {
		return err
	}
	return l.alter(ctx, s.Tokens, s.Fingerprint, func(r *record) []entry {
		r.Votes = slices.DeleteFunc(r.Votes, func(v vote) bool { return v.By == s.By })
		for _, v := range was.Votes {
			if v.By == s.By {
				r.vote(v.By, v.Class)
			}
		}
		r.Reports = slices.DeleteFunc(slices.Clone(r.Reports), func(id string) bool { return !slices.Contains(was.Reports, id) && s.reportedBy(id) })
		next := slices.Clone(r.Entries)
		for _, scope := range s.scopes() {
			if e := r.find(scope); e != nil && (e.By != s.By || e.Source != s.Source || e.Class != s.Class) {
				continue
			}
			next = slices.DeleteFunc(next, func(e entry) bool { return e.Scope == scope })
			if e := was.find(scope); e != nil {
				next = append(next, *e)
			}
		}
		return next
	})
}

// alter makes the entries of a record those that want returns; it may be asked more than once.
func (l *Learner) alter(ctx context.Context, tokens []string, fingerprint string, want func(*record) []entry) error {
	if err := l.loaded(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.transact(ctx, func() error {
		r, err := l.record(ctx, fingerprint)
		if err != nil {
			return err
		}
		counted, err := r.counted(tokens)
		if err != nil {
			return err
		}
		ch := newChange(l.node)
		have := slices.Clone(r.Entries)
		next := slices.DeleteFunc(slices.Clone(want(&r)), func(e entry) bool { return e.Month < oldest(l.now()) })
		if err := l.addModels(ctx, ch, scopesOf(have, next)); err != nil {
			return err
		}
		for _, e := range have {
			if !slices.Contains(next, e) {
				ch.contribute(e, fingerprint, counted, -1)
			}
		}
		for _, e := range next {
			if !slices.Contains(have, e) {
				ch.contribute(e, fingerprint, counted, 1)
			}
		}
		r.Entries = next
		ch.records[recordKey(fingerprint)] = &r
		if err := l.write(ctx, ch); err != nil {
			return err
		}
		l.noteReports(ctx, ch)
		l.narrow.follow(ch.delta.Scoped, true)
		return nil
	})
}

func scopesOf(lists ...[]entry) []Scope {
	var all []Scope
	for _, list := range lists {
		for _, e := range list {
			if !slices.Contains(all, e.Scope) {
				all = append(all, e.Scope)
			}
		}
	}
	return all
}
