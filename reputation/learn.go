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

// Limits bound what is learned.
type Limits struct {
	Person     int // mails of a class and month by which one person alone teaches everybody; more wait for a second person's word
	Campaign   int // near copies of which the tokens are counted for everybody, by class and month; 0: no limit
	Vocabulary int // tokens of everybody's model in memory, of which the least telling are left out; 0: no limit
	Auto       AutoLimits
}

// DefaultLimits are those of NewLearner.
var DefaultLimits = Limits{Person: 10, Campaign: 20, Vocabulary: 500_000, Auto: AutoLimits{Seeds: 100, Daily: 200, Sender: 5}}

// Learner keeps the Bayesian models in the store, and copies in memory that follow what other processes learn: everybody's, and those
// of persons and domains that are in use. Safe for concurrent use.
type Learner struct {
	client store.Client
	now    func() time.Time
	log    *slog.Logger
	node   string // tells our own deltas from those of others
	limits func() Limits
	script *store.Script
	model  atomic.Pointer[Model]
	narrow narrow
	watch  *BayesWatch
	doubts chan struct{} // that the models in memory are what the store has
	mu     sync.Mutex    // held while learning or loading
}

// NewLearner returns a Learner with an empty model that is not loaded. Load or Run fills it.
func NewLearner(client store.Client, now func() time.Time, log *slog.Logger) *Learner {
	l := &Learner{client: client, now: now, log: log, node: xid.New().String(), script: store.NewScript(learnLua), doubts: make(chan struct{}, 1)}
	l.limits = func() Limits { return DefaultLimits }
	l.model.Store(unloaded())
	return l
}

// WithLimits makes the Learner ask for its limits each time; it returns the Learner.
func (l *Learner) WithLimits(limits func() Limits) *Learner {
	l.limits = limits
	return l
}

// WithWatch makes the Learner say what a watch says; it returns the Learner.
func (l *Learner) WithWatch(w *BayesWatch) *Learner {
	l.watch = w
	return l
}

// Halved reports whether the check weighs half, as the watch last saw.
func (l *Learner) Halved() bool { return l.watch != nil && l.watch.State().Halved }

// Model returns everybody's model as it is now; never nil.
func (l *Learner) Model() *Model { return l.model.Load() }

// Sample is one mail to learn from: its distinct tokens, and the fingerprint by which it is known again.
//
// It is counted in each of Scopes (nil: for everybody). What a Person teaches counts at once in the scopes of persons. For a domain and
// for everybody, so that nobody's taste alone changes what others get, it counts for the first Limits.Person mails of a class that By
// teaches in a month; beyond these when another person says the same of the same mail. What was learned automatically is taken away by
// a person's other opinion in any case.
type Sample struct {
	Class       Class
	Tokens      []string
	Fingerprint string
	Scopes      []Scope
	Source      Source // "": Command
	Way         Way    // by which it came; "": ByChecks of Auto, else ByCommand
	By          string // who, of a Person; of Auto the sender of the mail
	Unproven    bool   // anybody could have given By as his name
	Held        bool   // it was held: what the lesson says of the check is told to the watch by who held it
}

func (s *Sample) scopes() []Scope {
	if len(s.Scopes) == 0 {
		return []Scope{Everybody}
	}
	return s.Scopes
}

// Progress counts what became of the mails that were shown.
type Progress struct {
	Shown   int // new ones, in at least one scope
	Learned int // of Shown: those that taught something
	Known   int // seen before as the same class: nothing changed
	Moved   int // seen before as the other class, which was undone
	Alike   int // of Shown: those not counted because too many near copies are
	Waiting int // of which nothing counts for others until a second person says the same

	refused [len(refusals)]int // of Auto: those of which nothing is learned, in the order of refusals
}

func (p *Progress) add(q Progress) {
	p.Shown, p.Learned, p.Known, p.Moved = p.Shown+q.Shown, p.Learned+q.Learned, p.Known+q.Known, p.Moved+q.Moved
	p.Alike, p.Waiting = p.Alike+q.Alike, p.Waiting+q.Waiting
	for i, n := range q.refused {
		p.refused[i] += n
	}
}

// Learn shows one mail to everybody's model, as by Command. Its tokens are counted only when the model was not yet sure of it on the
// right side (learned). A mail that was shown before as the same class changes nothing; as the other class, that is undone first.
func (l *Learner) Learn(ctx context.Context, c Class, tokens []string, fingerprint string) (learned bool, err error) {
	t, err := l.Teach(ctx, Sample{Class: c, Tokens: tokens, Fingerprint: fingerprint})
	return t.Learned > 0, err
}

// Taught is what came of one lesson.
type Taught struct {
	Progress
	Before string // what was known of the mail, for Restore
}

// Teach is Learn for a sample.
func (l *Learner) Teach(ctx context.Context, s Sample) (Taught, error) {
	if err := l.loaded(ctx); err != nil {
		return Taught{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, before, err := l.learnBatch(ctx, []Sample{s})
	if err != nil {
		return Taught{}, err
	}
	return Taught{p, before[0]}, nil
}

// A batch is one script of the store.
const (
	batchMails  = 200
	batchTokens = 20000
)

// LearnAll is Teach for many mails, in batches of one script each. progress, when not nil, is called after each batch with the sums so
// far and the number of samples that they are of. On an error all batches before are learned, and the failed one is not.
func (l *Learner) LearnAll(ctx context.Context, samples iter.Seq[Sample], progress func(p Progress, samples int)) (Progress, error) {
	var sum Progress
	if err := l.loaded(ctx); err != nil {
		return sum, err
	}
	var batch []Sample
	tokens, done := 0, 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		l.mu.Lock()
		p, _, err := l.learnBatch(ctx, batch)
		l.mu.Unlock()
		if err != nil {
			return err
		}
		sum.add(p)
		done += len(batch)
		batch, tokens = batch[:0], 0
		if progress != nil {
			progress(sum, done)
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

// loaded loads everybody's model when it is not.
func (l *Learner) loaded(ctx context.Context) error {
	if l.Model().Loaded() {
		return nil
	}
	return l.Load(ctx)
}

const tries = 8

// transact does a change, and tries it anew when a record was changed meanwhile, or when the connection was lost: the embedded store
// closes it when it tidies up. Nobody can tell whether a lost change was done; the records of the mails keep it from being done twice,
// and the model is loaded anew. The mutex is held.
func (l *Learner) transact(ctx context.Context, f func() error) error {
	var err error
	unclear := false
	for range tries {
		err = f()
		if lost(err) && ctx.Err() == nil {
			unclear = true
		} else if !errors.Is(err, errChanged) {
			break
		}
	}
	if unclear && err == nil {
		return l.load(ctx)
	}
	return err
}

// write does a change in the store. When that fails the models are what they were before. When nobody can tell whether it was done, since
// a store that hangs may still do it once it goes on, Run loads the model anew. The mutex is held.
func (l *Learner) write(ctx context.Context, ch *change) error {
	err := ch.write(ctx, l.client, l.script)
	if err == nil {
		return nil
	}
	ch.undo()
	if !errors.Is(err, errChanged) && !store.IsAnswer(err) {
		select {
		case l.doubts <- struct{}{}:
		default:
		}
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

// learnBatch learns a batch by one script, and returns what was known of each mail before. The mutex is held.
func (l *Learner) learnBatch(ctx context.Context, batch []Sample) (p Progress, before []string, err error) {
	err = l.transact(ctx, func() error {
		b, err := l.read(ctx, batch)
		if err != nil {
			return err
		}
		before = before[:0]
		for i := range batch {
			before = append(before, b.records[recordKey(batch[i].Fingerprint)].headline())
		}
		passed := l.reports(ctx, batch)
		for i := range batch {
			if err := b.teach(&batch[i]); err != nil {
				b.undo()
				return err
			}
			b.records[recordKey(batch[i].Fingerprint)].report(&batch[i], passed[batch[i].Fingerprint])
		}
		if err := l.write(ctx, b.change); err != nil {
			return err
		}
		b.writeDay(ctx, l.client)
		p = b.progress
		l.noteReports(ctx, b.change)
		l.narrow.follow(b.delta.Scoped, true)
		return nil
	})
	return p, before, err
}
