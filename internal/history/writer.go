package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sekimori/internal/disk"
)

// Writer appends to a history. Its methods are safe for concurrent use and, but for Flush and Close, never wait.
type Writer struct {
	dir   string
	o     Options
	lock  *os.File
	codec codec

	queue  chan item
	asks   chan chan error
	stop   chan struct{}
	ended  chan struct{}
	closed sync.Once

	bytes  atomic.Int64 // of facts in the queue
	lost   [Facts + 1]atomic.Int64
	kept   [Facts + 1]atomic.Int64
	octets atomic.Int64 // on the disk, as of the last look
	oldest [Facts + 1]atomic.Int64
	limits atomic.Pointer[Limits]
	pool   sync.Pool // *[]byte of facts

	// Of the goroutine that writes.
	streams [Facts + 1]*stream
	told    int64 // of lost, that stand in the stream
	lostAt  time.Time
	swept   time.Time
	json    bytes.Buffer
	enc     *json.Encoder
	trouble string
}

type item struct {
	event *Event
	at    time.Time
	facts *[]byte
}

// Open opens the history for writing, makes the directory when it is not there, cuts what the last run left half written, and starts
// the goroutine that writes. It fails with ErrLocked when another process writes there.
func Open(dir string, o Options) (*Writer, error) {
	o = o.filled()
	w := &Writer{
		dir: dir, o: o, queue: make(chan item, o.Queue), asks: make(chan chan error), stop: make(chan struct{}), ended: make(chan struct{}),
	}
	w.limits.Store(&o.Limits)
	w.pool.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	w.enc = json.NewEncoder(&w.json)
	w.enc.SetEscapeHTML(false)
	if err := w.open(); err != nil {
		for _, s := range w.streams {
			if s != nil {
				s.abandon()
			}
		}
		if w.lock != nil {
			_ = w.lock.Close()
		}
		return nil, err
	}
	w.sweep(o.Now())
	go w.run()
	return w, nil
}

func (w *Writer) open() error {
	if err := os.MkdirAll(filepath.Dir(w.dir), 0o700); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := disk.Mkdir(w.dir); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	name := filepath.Join(w.dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	w.lock = f
	if err := disk.Own(name); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w (%s)", ErrLocked, name)
		}
		return fmt.Errorf("history: %s: %w", name, err)
	}
	if w.codec, err = newCodec(true); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	for _, kind := range []Stream{Stories, Facts} {
		s := &stream{w: w, kind: kind, block: w.o.Block}
		if kind == Facts {
			s.block *= 2
		}
		w.streams[kind] = s
		if err := s.recover(); err != nil {
			return err
		}
	}
	return nil
}

// Story appends an event, which the caller does not use any more. Its texts must not change or go away.
func (w *Writer) Story(e *Event) {
	if e.Time.IsZero() {
		e.Time = w.o.Now()
	}
	select {
	case w.queue <- item{event: e}:
	default:
		w.lost[Stories].Add(int64(e.N()))
	}
}

// Facts appends the facts of a mail: encode appends them to a buffer that is used again afterwards. It is not called when they would
// have to be dropped.
func (w *Writer) Facts(at time.Time, id string, encode func([]byte) []byte) {
	if w.bytes.Load() > w.o.QueueBytes || len(w.queue) == cap(w.queue) {
		w.lost[Facts].Add(1)
		return
	}
	b := w.pool.Get().(*[]byte)
	*b = encode(appendFacts((*b)[:0], at, id))
	w.bytes.Add(int64(len(*b)))
	select {
	case w.queue <- item{facts: b, at: at}:
	default:
		w.lost[Facts].Add(1)
		w.free(b)
	}
}

func (w *Writer) free(b *[]byte) {
	w.bytes.Add(-int64(len(*b)))
	if cap(*b) <= 64<<10 {
		w.pool.Put(b)
	}
}

// Limit changes how much is kept; it is looked at within a minute.
func (w *Writer) Limit(l Limits) {
	l = l.filled()
	w.limits.Store(&l)
}

// Stats are numbers for metrics.
type Stats struct {
	Stories, Facts         int64     // written since the start
	LostStories, LostFacts int64     // dropped since the start
	Waiting                int       // in the queue
	Octets                 int64     // on the disk, as of the last look
	Oldest, OldestFacts    time.Time // days; zero when there is none
}

// Stats returns them.
func (w *Writer) Stats() Stats {
	day := func(s Stream) time.Time {
		if n := w.oldest[s].Load(); n != 0 {
			return time.Unix(n, 0).UTC()
		}
		return time.Time{}
	}
	return Stats{
		Stories: w.kept[Stories].Load(), Facts: w.kept[Facts].Load(), LostStories: w.lost[Stories].Load(), LostFacts: w.lost[Facts].Load(),
		Waiting: len(w.queue), Octets: w.octets.Load(), Oldest: day(Stories), OldestFacts: day(Facts),
	}
}

// Flush returns when all that was appended before can be read.
func (w *Writer) Flush() error {
	done := make(chan error, 1)
	select {
	case w.asks <- done:
		return <-done
	case <-w.ended:
		return errors.New("history: closed")
	}
}

// Close writes what waits and gives the history up. What is appended afterwards is dropped.
func (w *Writer) Close() error {
	w.closed.Do(func() { close(w.stop) })
	<-w.ended
	var errs []error
	for _, s := range w.streams[Stories:] {
		errs = append(errs, s.close())
	}
	w.codec.close()
	return errors.Join(append(errs, w.lock.Close())...)
}

func (w *Writer) run() {
	defer close(w.ended)
	tick := time.NewTicker(w.o.FlushEvery)
	defer tick.Stop()
	for {
		select {
		case it := <-w.queue:
			w.take(it)
		case done := <-w.asks:
			w.drain()
			done <- w.flush(false)
		case <-tick.C:
			w.tellLost()
			_ = w.flush(false)
			if now := w.o.Now(); now.Sub(w.swept) >= time.Minute || now.Before(w.swept) {
				w.sweep(now)
			}
		case <-w.stop:
			w.drain()
			_ = w.flush(true)
			return
		}
	}
}

func (w *Writer) drain() {
	for {
		select {
		case it := <-w.queue:
			w.take(it)
		default:
			w.tellLost()
			return
		}
	}
}

// take puts one item into its stream.
func (w *Writer) take(it item) {
	if it.event == nil {
		s := w.streams[Facts]
		id := *it.facts
		r, err := parseFacts(id)
		if err == nil {
			s.add(it.at, *it.facts, func(f func(uint64)) { f(key('t', Base(r.ID))) }, 1)
		}
		w.free(it.facts)
		return
	}
	w.json.Reset()
	if err := w.enc.Encode(it.event); err != nil { // of these types there is nothing that cannot be written but NaN
		w.lost[Stories].Add(int64(it.event.N()))
		return
	}
	w.streams[Stories].add(it.event.Time, bytes.TrimSuffix(w.json.Bytes(), []byte("\n")), it.event.keys, it.event.N())
}

// tellLost writes down how many events were dropped since the last time.
func (w *Writer) tellLost() {
	n := w.lost[Stories].Load()
	if n == w.told {
		if w.trouble == "lost" && w.o.Now().Sub(w.lostAt) > time.Minute {
			w.warn("", "")
		}
		return
	}
	count := n - w.told
	w.told, w.lostAt = n, w.o.Now()
	w.take(item{event: &Event{Time: w.lostAt, Kind: KindLost, ID: lostID, Count: int(count)}})
	w.warn("lost", fmt.Sprintf("%d events of mails were not kept: the disk of data_dir is too slow for them", count))
}

// flush writes to the disk what is not there yet.
func (w *Writer) flush(sync bool) error {
	var errs []error
	for _, s := range w.streams[Stories:] {
		errs = append(errs, s.flush(sync))
	}
	err := errors.Join(errs...)
	switch {
	case err != nil:
		w.warn("disk", err.Error())
	case w.trouble == "disk":
		w.warn("", "")
	}
	return err
}

// warn says a trouble when it begins, and that it is over.
func (w *Writer) warn(kind, message string) {
	if kind != w.trouble && message != "" {
		w.o.Log.Warn("history: " + message)
	}
	if kind != w.trouble || kind == "lost" {
		w.o.Warn(message)
	}
	w.trouble = kind
}
