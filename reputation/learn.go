package reputation

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
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

const tries = 5

// transact does a transaction, and tries it anew when one of keys was changed meanwhile, or when the connection was lost:
// the embedded store closes it when it tidies up. Nobody can tell whether a lost transaction was done; the records of the
// mails keep it from being done twice, and the model is loaded anew. The mutex is held.
func (l *Learner) transact(ctx context.Context, f func(*store.Tx) error, keys ...string) error {
	var err error
	unclear := false
	for range tries {
		err = l.client.Watch(ctx, f, keys...)
		if lost(err) && ctx.Err() == nil {
			unclear = true
		} else if !errors.Is(err, store.TxFailed) {
			break
		}
	}
	if unclear && err == nil {
		return l.load(ctx)
	}
	return err
}

// lost reports whether err says that the connection ended.
func lost(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// learnBatch learns a batch in one transaction.
func (l *Learner) learnBatch(ctx context.Context, batch []Sample) (Progress, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]string, len(batch))
	for i, s := range batch {
		keys[i] = fingerprintKey(s.Fingerprint)
	}
	var p Progress
	err := l.transact(ctx, func(tx *store.Tx) error {
		var err error
		p, err = l.try(ctx, tx, batch, keys)
		return err
	}, keys...)
	return p, err
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
	err = l.transact(ctx, func(tx *store.Tx) error {
		text, err := tx.Get(ctx, key).Result()
		if errors.Is(err, store.Nil) {
			return nil // never shown, or a transaction before this one was done after all
		}
		if err != nil {
			return err
		}
		done = true
		m, ch := l.Model(), newChange(l.node)
		if r, ok := parseRecord(text); ok && r.month >= oldest(l.now()) {
			ch.add(m, r, tokens, -1)
		}
		ch.forget = append(ch.forget, key)
		if err := ch.write(ctx, tx); err != nil {
			ch.undo(m)
			return err
		}
		return nil
	}, key)
	return done && err == nil, err
}

// Known says as what a mail was last shown; "" when it never was, or so long ago that it counts no more.
func (l *Learner) Known(ctx context.Context, fingerprint string) (Class, error) {
	text, err := l.client.Get(ctx, fingerprintKey(fingerprint)).Result()
	if errors.Is(err, store.Nil) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if r, ok := parseRecord(text); ok && r.month >= oldest(l.now()) {
		return r.class, nil
	}
	return "", nil
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
