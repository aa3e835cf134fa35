package reputation

import (
	"context"
	"errors"
	"slices"
	"time"

	"sekimori/internal/store"
)

// Automatic lessons are looked at again, because the model knew less when it learned them: what it now contradicts, as if it had not
// learned it, is taken away. Wrong labels are few, and each is always learned, since the model is wrong about it; so they do harm that
// is out of all proportion, and by the others they are found out. See filters/bayes/README.md for what that is worth.
const (
	reviseMonths = 2 // before that nothing was found any more
	reviseBatch  = 200
	reviseKey    = "bayesauto:revised"
)

// autoMembersKey is the set of the mails of a month whose tokens are counted because other checks said so.
func autoMembersKey(month string) string { return keyPrefix + "autoof:" + month }

// Revised is an automatic lesson that was taken away.
type Revised struct {
	Fingerprint string
	Class       Class
}

// ReviseAuto looks at the automatic lessons of this month and the last again and takes away those that the model regrets. Of all hosts
// that call it one does so, and none again before every has passed.
func (l *Learner) ReviseAuto(ctx context.Context, every time.Duration) ([]Revised, error) {
	if err := l.loaded(ctx); err != nil || !l.Model().shownBoth(autoDoubts) {
		return nil, err
	}
	mine, err := l.client.SetNX(ctx, reviseKey, l.node, every).Result()
	if err != nil || !mine {
		return nil, err
	}
	var taken []Revised
	for n := range reviseMonths {
		list, err := l.client.SMembers(ctx, autoMembersKey(monthBefore(l.now(), n))).Result()
		if err != nil {
			return taken, err
		}
		slices.Sort(list) // the same order on every host
		for part := range slices.Chunk(list, reviseBatch) {
			if err := l.revise(ctx, part, &taken); err != nil {
				return taken, err
			}
		}
	}
	return taken, nil
}

func (l *Learner) revise(ctx context.Context, fingerprints []string, taken *[]Revised) error {
	pipe := l.client.Pipeline()
	values := make([]*store.StringCmd, len(fingerprints))
	for i, f := range fingerprints {
		values[i] = pipe.Get(ctx, recordKey(f))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return err
	}
	for i, f := range fingerprints {
		r, err := parseRecord(values[i].Val())
		if err != nil {
			continue // it is not of this version
		}
		e := r.find(Everybody)
		if e == nil || e.Source != Auto || !e.Learned || r.blob == nil {
			continue
		}
		tokens, err := r.counted(nil)
		if err != nil || !l.Model().Regrets(e.Class, tokens) {
			continue
		}
		class, done := e.Class, false
		err = l.alter(ctx, tokens, f, func(r *record) []entry {
			return slices.DeleteFunc(slices.Clone(r.Entries), func(e entry) bool {
				mistaken := e.Scope == Everybody && e.Source == Auto && e.Class == class
				done = done || mistaken
				return mistaken
			})
		})
		if err != nil {
			return err
		}
		if done {
			*taken = append(*taken, Revised{f, class})
		}
	}
	return nil
}
