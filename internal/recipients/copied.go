package recipients

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/mail"
)

const (
	fetchTime  = 10 * time.Minute
	mostFresh  = 10_000
	retryFirst = 15 * time.Second
)

// copied is a directory or database of which we keep a copy. What the copy does not have is asked for.
type copied struct {
	name   string // kind:name
	src    Source
	timing Timing
	path   string // of the copy on the disk; "": none
	o      *Options
	live   *live
	attrs  []string // that the source is read for, in lower case

	snap atomic.Pointer[snapshot]

	mu    sync.Mutex
	fresh map[string]freshEntry // found by asking, until the copy has it
	err   error                 // of the last fetch
	odd   []string              // the problems of the last full list and of the changes since
	next  time.Time
	wait  time.Duration // after a failure

	syncing sync.Mutex // one fetch at a time
}

type freshEntry struct {
	entry Entry
	at    time.Time
}

// newCopied opens the source and reads the copy that is on the disk.
func (d *Directory) newCopied(kind, name string) (*copied, error) {
	src, timing, err := d.o.Open(d.o.Config, kind, name)
	if err != nil {
		return nil, err
	}
	timing.complete()
	c := &copied{
		name: kind + ":" + name, src: src, timing: timing, o: &d.o, fresh: map[string]freshEntry{},
		live:  newLive(max(d.o.Config.Recipients.Lookups, 1), timing.LookupTimeout, d.o.unknownFor(), d.o.Now),
		attrs: lowered(d.o.Config.SourceAttributes(kind, name)),
	}
	if d.o.Dir != "" {
		c.path = filepath.Join(d.o.Dir, kind+"-"+name+".jsonl")
		s, err := loadSnapshot(c.path, c.name)
		if err != nil {
			// Without it the source is asked; that is slower and no reason not to start.
			d.o.Warn("recipients."+c.name, err.Error()+"; it is fetched anew")
		}
		if s != nil {
			c.snap.Store(s)
		}
	}
	return c, nil
}

func (t *Timing) complete() {
	for _, x := range []struct {
		d   *time.Duration
		def time.Duration
	}{{&t.Changes, 5 * time.Minute}, {&t.Full, 24 * time.Hour}, {&t.StaleAfter, 15 * time.Minute}, {&t.LookupTimeout, 3 * time.Second}} {
		if *x.d <= 0 {
			*x.d = x.def
		}
	}
}

func (o *Options) unknownFor() time.Duration {
	return or(o.Config.Recipients.UnknownFor.D(), time.Minute)
}

func or(d, other time.Duration) time.Duration {
	if d <= 0 {
		return other
	}
	return d
}

func (c *copied) label() string { return c.name }
func (c *copied) tempo() *pace  { return &c.live.pace }
func (c *copied) close() error  { return c.src.Close() }

func (c *copied) known(a mail.Address) (record, bool) {
	key := a.Key()
	s := c.snap.Load()
	if e, ok := s.get(key); ok {
		r := e.record()
		if slices.Equal(s.head.Attributes, c.attrs) {
			r.attrs = attributes{c.attrs, e.Attrs}
		}
		return r, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.fresh[key]
	r := f.entry.record()
	r.attrs = attributes{c.attrs, f.entry.Attrs}
	return r, ok
}

func (e *Entry) record() record {
	return record{targets: e.Targets, owner: e.Owner, internal: e.Internal, lang: e.Lang}
}

// ask puts the question to the source. When it cannot answer, a copy that is young enough says that the address is not
// there; nothing else does.
func (c *copied) ask(ctx context.Context, a mail.Address) verdict {
	key := a.Key()
	if c.live.unknown(key) {
		return verdict{result: Unknown}
	}
	entries, err := c.live.ask(ctx, key, func(ctx context.Context) ([]Entry, error) {
		return matching(a)(c.src.Lookup(ctx, a))
	})
	switch {
	case err == nil && len(entries) > 0:
		c.keep(key, entries[0])
		return verdict{result: Known, rec: entries[0].record(), asked: true}
	case err == nil:
		return verdict{result: Unknown, asked: true}
	}
	why := fmt.Sprintf("%s does not answer: %v", c.name, err)
	if s := c.snap.Load(); s != nil && !c.stale(s) {
		return verdict{result: Unknown, why: why + "; the copy of " + s.head.Taken.UTC().Format(time.RFC3339) + " does not have it", asked: true}
	}
	return verdict{result: NotNow, why: why, asked: true}
}

// matching keeps the entries that are the address itself.
func matching(a mail.Address) func([]Entry, error) ([]Entry, error) {
	return func(all []Entry, err error) ([]Entry, error) {
		if err != nil {
			return nil, err
		}
		key := a.Key()
		for _, e := range all {
			if e.Address.Key() == key {
				return []Entry{e}, nil
			}
		}
		return nil, nil
	}
}

func (c *copied) stale(s *snapshot) bool { return c.o.Now().Sub(s.head.Taken) > c.timing.StaleAfter }

// keep remembers what asking has found until the copy has it.
func (c *copied) keep(key string, e Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.fresh) >= mostFresh {
		clear(c.fresh)
	}
	c.fresh[key] = freshEntry{e, c.o.Now()}
}

// tick fetches what is due.
func (c *copied) tick(ctx context.Context) {
	c.mu.Lock()
	due := !c.o.Now().Before(c.next)
	c.mu.Unlock()
	if due {
		_ = c.sync(ctx, false) // its error is told by a warning
	}
}

// sync fetches everything when that is due or forced, else changes.
func (c *copied) sync(ctx context.Context, force bool) error {
	c.syncing.Lock()
	defer c.syncing.Unlock()
	ctx, stop := context.WithTimeout(ctx, fetchTime)
	defer stop()
	err := c.fetch(ctx, force)
	if err == nil {
		c.measure(ctx)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return err // we are shutting down; it says nothing about the source
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	if err != nil {
		c.wait = min(max(2*c.wait, retryFirst), c.timing.Changes)
		c.next = c.o.Now().Add(c.wait)
		c.o.Warn("recipients."+c.name, c.warning(err))
		return err
	}
	c.wait, c.next = 0, c.o.Now().Add(c.timing.Changes)
	c.o.Warn("recipients."+c.name, "")
	return nil
}

func (c *copied) warning(err error) string {
	s := c.snap.Load()
	if s == nil {
		return fmt.Sprintf("%v; there is no copy yet: every recipient is told to come again", err)
	}
	return fmt.Sprintf("%v; the copy of %s answers; from %s on, unknown recipients are told to come again", err,
		s.head.Taken.UTC().Format(time.RFC3339), s.head.Taken.Add(c.timing.StaleAfter).UTC().Format(time.RFC3339))
}

func (c *copied) fetch(ctx context.Context, force bool) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	begun := c.o.Now()
	old := c.snap.Load()
	mark := ""
	if old != nil && !force && begun.Sub(old.head.Full) < c.timing.Full && slices.Equal(old.head.Attributes, c.attrs) {
		mark = old.head.Mark
	}
	b, err := c.src.Fetch(ctx, mark)
	if err != nil {
		return err
	}
	b.Full = b.Full || mark == ""
	if b.Full && old != nil && !force {
		if err := shrunk(len(old.entries), len(b.Entries)); err != nil {
			return err
		}
	}
	s := old.with(b)
	s.head.Version, s.head.Source, s.head.Entries = snapshotVersion, c.name, len(s.entries)
	s.head.Taken, s.head.Mark, s.head.Attributes = begun, b.Mark, c.attrs
	if s.head.Full = begun; !b.Full {
		s.head.Full = old.head.Full
	}
	if c.path != "" && !c.o.ReadOnly {
		if serr := s.save(c.path, old); serr != nil {
			err = fmt.Errorf("the copy cannot be written to %s: %w", c.path, serr)
		}
	}
	c.snap.Store(s)
	c.live.forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteProblems(b)
	for k, f := range c.fresh {
		if f.at.Before(begun) {
			delete(c.fresh, k)
		}
	}
	return err
}

// noteProblems keeps what a batch says could not be understood, and warns of it once. The lock is held.
func (c *copied) noteProblems(b Batch) {
	if b.Full {
		c.odd = nil
	}
	for _, p := range b.Problems {
		if len(c.odd) < maxTold && !slices.Contains(c.odd, p) {
			c.odd = append(c.odd, p)
		}
	}
	message := ""
	if len(c.odd) > 0 {
		message = fmt.Sprintf("%d values are not understood and left out, the first: %s", len(c.odd), c.odd[0])
	}
	c.o.Warn("recipients."+c.name+".values", message)
}

// shrunk refuses a copy that has lost most of its entries: a right that was taken away looks like that, and an error is no
// evidence that nobody is there.
func shrunk(before, now int) error {
	if before < 20 && now > 0 || before == 0 || now*2 >= before {
		return nil
	}
	return fmt.Errorf("it brought only %d recipients where there were %d; they are not taken over: "+
		"if that is right, `sekimori recipients sync --force`", now, before)
}

// measure asks for an address that nobody has, so that Resolve knows how long asking takes before the first who asks.
func (c *copied) measure(ctx context.Context) {
	s := c.snap.Load()
	if s == nil || len(s.entries) == 0 {
		return
	}
	a := mail.Address{Local: "sekimori-" + strconv.Itoa(c.o.Random(1<<30)), Domain: s.entries[0].Address.Domain}
	_, _ = c.live.ask(ctx, a.Key(), func(ctx context.Context) ([]Entry, error) { return matching(a)(c.src.Lookup(ctx, a)) })
}

func (c *copied) status() Status {
	var st Status
	if s := c.snap.Load(); s != nil {
		st.Entries, st.Taken, st.Stale = len(s.entries), s.head.Taken, c.stale(s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		st.Error = c.err.Error()
	}
	st.Problems = slices.Clone(c.odd)
	return st
}
