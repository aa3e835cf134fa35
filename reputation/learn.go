package reputation

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/store"
)

// Learner keeps the Bayesian model in the store, and a copy of it in memory that follows what other processes learn.
// Safe for concurrent use.
type Learner struct {
	client store.Client
	now    func() time.Time
	log    *slog.Logger
	node   string // tells our own deltas from those of others
	model  atomic.Pointer[Model]
	mu     sync.Mutex // held while learning or loading
}

// NewLearner returns a Learner with an empty model that is not loaded. Load or Run fills it.
func NewLearner(client store.Client, now func() time.Time, log *slog.Logger) *Learner {
	l := &Learner{client: client, now: now, log: log, node: xid.New().String()}
	l.model.Store(unloaded())
	return l
}

// Model returns the model as it is now; never nil.
func (l *Learner) Model() *Model { return l.model.Load() }

// Sample is one mail to learn from: its distinct tokens, and the fingerprint by which it is known again.
type Sample struct {
	Class       Class
	Tokens      []string
	Fingerprint string
}

// Progress counts what became of the mails that were shown.
type Progress struct {
	Shown   int // new ones
	Learned int // of Shown: those that taught something
	Known   int // seen before as the same class: nothing changed
	Moved   int // seen before as the other class, which was undone
}

// Learn shows one mail to the model. Its tokens are counted only when the model was not yet sure of it on the right side
// (learned). A mail that was shown before as the same class changes nothing; as the other class, that is undone first.
func (l *Learner) Learn(ctx context.Context, c Class, tokens []string, fingerprint string) (learned bool, err error) {
	one := func(yield func(Sample) bool) { yield(Sample{c, tokens, fingerprint}) }
	p, err := l.LearnAll(ctx, one, nil)
	return p.Learned > 0, err
}

// A batch is one transaction of the store.
const (
	batchMails  = 200
	batchTokens = 20000
)

// LearnAll is Learn for many mails, in batches of one transaction each. progress, when not nil, is called after each batch
// with the sums so far. On an error all batches before are learned, and the failed one is not.
func (l *Learner) LearnAll(ctx context.Context, samples iter.Seq[Sample], progress func(Progress)) (Progress, error) {
	var sum Progress
	if !l.Model().Loaded() {
		if err := l.Load(ctx); err != nil {
			return sum, err
		}
	}
	var batch []Sample
	tokens := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		p, err := l.learnBatch(ctx, batch)
		if err != nil {
			return err
		}
		sum.Shown, sum.Learned, sum.Known, sum.Moved = sum.Shown+p.Shown, sum.Learned+p.Learned, sum.Known+p.Known, sum.Moved+p.Moved
		batch, tokens = batch[:0], 0
		if progress != nil {
			progress(sum)
		}
		return nil
	}
	for s := range samples {
		batch = append(batch, s)
		tokens += len(s.Tokens)
		if len(batch) >= batchMails || tokens >= batchTokens {
			if err := flush(); err != nil {
				return sum, err
			}
		}
	}
	return sum, flush()
}

const conflictTries = 5

// learnBatch learns a batch in one transaction that fails, and is then tried anew, when somebody else learns one of the
// same mails at the same time.
func (l *Learner) learnBatch(ctx context.Context, batch []Sample) (Progress, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]string, len(batch))
	for i, s := range batch {
		keys[i] = fingerprintKey(s.Fingerprint)
	}
	var err error
	for range conflictTries {
		var p Progress
		err = l.client.Watch(ctx, func(tx *store.Tx) error {
			var err error
			p, err = l.try(ctx, tx, batch, keys)
			return err
		}, keys...)
		if !errors.Is(err, store.TxFailed) {
			return p, err
		}
	}
	return Progress{}, err
}

// try decides what each mail of the batch teaches, with the model growing as it goes, and writes it. When the write
// fails the model is put back.
func (l *Learner) try(ctx context.Context, tx *store.Tx, batch []Sample, keys []string) (Progress, error) {
	values, err := tx.MGet(ctx, keys...).Result()
	if err != nil {
		return Progress{}, err
	}
	known := make(map[string]record, len(batch))
	for i, v := range values {
		if text, ok := v.(string); ok {
			if r, ok := parseRecord(text); ok && r.month >= oldest(l.now()) {
				known[keys[i]] = r
			}
		}
	}
	m, ch, month := l.Model(), newChange(l.node), monthOf(l.now())
	var p Progress
	for i, s := range batch {
		r, seen := known[keys[i]]
		switch {
		case seen && r.class == s.Class:
			p.Known++
			continue
		case seen:
			p.Moved++
			ch.add(m, r, s.Tokens, -1)
		}
		r = record{class: s.Class, month: month, learned: m.needed(s.Class, s.Tokens)}
		ch.add(m, r, s.Tokens, 1)
		p.Shown++
		if r.learned {
			p.Learned++
		}
		known[keys[i]] = r
		ch.records[keys[i]] = r.String()
	}
	if err := ch.write(ctx, tx); err != nil {
		ch.undo(m)
		return Progress{}, err
	}
	return p, nil
}

// Unlearn undoes what was learned from a mail; tokens must be those it was learned with. done is false when it was never
// shown.
func (l *Learner) Unlearn(ctx context.Context, tokens []string, fingerprint string) (done bool, err error) {
	if !l.Model().Loaded() {
		if err := l.Load(ctx); err != nil {
			return false, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := fingerprintKey(fingerprint)
	for range conflictTries {
		err = l.client.Watch(ctx, func(tx *store.Tx) error {
			text, err := tx.Get(ctx, key).Result()
			if errors.Is(err, store.Nil) {
				done = false
				return nil
			}
			if err != nil {
				return err
			}
			m, ch := l.Model(), newChange(l.node)
			if r, ok := parseRecord(text); ok && r.month >= oldest(l.now()) {
				ch.add(m, r, tokens, -1)
			}
			ch.forget = append(ch.forget, key)
			if err := ch.write(ctx, tx); err != nil {
				ch.undo(m)
				return err
			}
			done = true
			return nil
		}, key)
		if !errors.Is(err, store.TxFailed) {
			break
		}
	}
	return done && err == nil, err
}

// Stats says what the model holds.
type Stats struct {
	Counts
	HamTokens, SpamTokens int // distinct tokens of each class
}

// Stats returns the numbers of the model in memory; Load first for those of the store.
func (l *Learner) Stats() Stats {
	m := l.Model()
	s := Stats{Counts: m.Counts()}
	s.HamTokens, s.SpamTokens = m.Tokens()
	return s
}
