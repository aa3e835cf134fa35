package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sekimori/internal/disk"
	"sekimori/internal/mail"
)

// Options of Open. Zero values: 30 days, segments of 64 MiB, the system's clock, no log, the real disk.
type Options struct {
	Retention   time.Duration // how long it can be told what became of a mail
	SegmentSize int64         // octets after which a new segment begins, also within a day
	Now         func() time.Time
	Log         *slog.Logger
	FS          disk.FS
}

// Ledger is a ledger opened for writing. Safe for concurrent use.
type Ledger struct {
	Reader
	o    Options
	lock *os.File

	run   sync.Mutex // held by the one who writes; guards what follows
	dirs  disk.Dir
	file  disk.File // nil: the last segment cannot be trusted, a new one must begin
	cur   segment
	size  int64
	begun int64     // size of the segment when it began, with what was carried over
	retry time.Time // when a new segment is tried again

	mu       sync.Mutex
	book     *book
	next     *batch // lines that wait for a write that has not begun
	problems []Problem
}

type batch struct {
	events []Event
	done   chan struct{}
	err    error
}

// Ending is the end of one recipient's mail.
type Ending struct {
	Rcpt   mail.Address
	State  State
	Detail string
}

// Open opens the ledger for writing, makes the directory when it is not there, and reads what is open. It fails with
// ErrLocked when another process has it open for writing. Lines that cannot be read are told by Problems.
func Open(dir string, o Options) (*Ledger, error) {
	if o.Retention <= 0 {
		o.Retention = 30 * 24 * time.Hour
	}
	if o.SegmentSize <= 0 {
		o.SegmentSize = 64 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	l := &Ledger{Reader: Reader{dir}, o: o, book: newBook()}
	if err := l.open(); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Ledger) open() error {
	if err := os.MkdirAll(filepath.Dir(l.dir), 0o700); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := disk.Mkdir(l.dir); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := l.takeLock(); err != nil {
		return err
	}
	var err error
	if l.dirs, err = l.o.FS.OpenDir(l.dir); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	_ = l.o.FS.Remove(filepath.Join(l.dir, tmpName)) // of a crash; usually there is none
	list, err := segments(l.dir)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		l.book.since = l.o.Now()
		return l.rotate()
	}
	l.cur = list[len(list)-1]
	name := filepath.Join(l.dir, l.cur.name)
	end, err := readSegment(name, l.book.apply)
	if err != nil {
		return err
	}
	for _, p := range end.problems {
		l.problems = append(l.problems, p)
		l.o.Log.Error("ledger: a line cannot be read; it is left out", "place", fmt.Sprintf("%s:%d", p.File, p.Line), "error", p.Err)
	}
	if end.torn || len(end.problems) > 0 {
		return l.rotate() // nothing is written behind what is not sound
	}
	l.size, l.begun = end.size, 0
	l.file, err = l.o.FS.Append(name)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

func (l *Ledger) takeLock() error {
	name := filepath.Join(l.dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := disk.Own(name); err != nil {
		f.Close()
		return fmt.Errorf("ledger: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w (%s)", ErrLocked, name)
		}
		return fmt.Errorf("ledger: %s: %w", name, err)
	}
	l.lock = f
	return nil
}

// Close gives the ledger up. No other call may run.
func (l *Ledger) Close() error {
	var errs []error
	for _, c := range []interface{ Close() error }{l.file, l.dirs} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	l.file, l.dirs = nil, nil
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
		l.lock = nil
	}
	return errors.Join(errs...)
}

// Mail is a mail that is taken over for some recipients. Detail says how it came, in words; empty for mail from a client.
type Mail struct {
	ID     string
	Rcpts  []mail.Address
	Detail string
}

// Accept writes down that mails were taken over and where they are kept: durable when it returns nil, all of them or, on an
// error, none. Recipients who are open already are left as they are.
func (l *Ledger) Accept(place Place, mails ...Mail) error {
	now := l.o.Now()
	events := make([]Event, 0, len(mails))
	l.mu.Lock()
	for _, m := range mails {
		for _, r := range m.Rcpts {
			if k := Key(r); !l.book.isOpen(m.ID, k) {
				events = append(events, Event{now, kindAccept, m.ID, k, string(place), m.Detail})
			}
		}
	}
	l.mu.Unlock()
	return l.commit(events)
}

// End writes down what became of recipients of a mail; durable when it returns nil. Those who are not open are left out.
func (l *Ledger) End(id string, ends ...Ending) error {
	now := l.o.Now()
	events := make([]Event, 0, len(ends))
	l.mu.Lock()
	for _, e := range ends {
		if k := Key(e.Rcpt); l.book.isOpen(id, k) {
			events = append(events, Event{now, kindEnd, id, k, string(e.State), e.Detail})
		}
	}
	l.mu.Unlock()
	return l.commit(events)
}

// Direct writes down the ends of recipients whose mail is acknowledged and kept nowhere: acceptance and end in one line, so that
// no crash leaves half of it. Durable when it returns nil; on an error none of it holds. Call it once for a mail, before the
// acknowledgement, and Undo when that does not come to be.
func (l *Ledger) Direct(id string, ends ...Ending) error {
	return l.commit(l.direct(kindDirect, id, ends))
}

// Undo takes back what Direct has written with the same arguments. A crash before it leaves a line about a mail that was not
// acknowledged; it comes again under another id.
func (l *Ledger) Undo(id string, ends ...Ending) error {
	return l.commit(l.direct(kindUndone, id, ends))
}

// direct makes one event for each recipient, however often it is named.
func (l *Ledger) direct(kind, id string, ends []Ending) []Event {
	now := l.o.Now()
	events := make([]Event, 0, len(ends))
	for _, e := range ends {
		k := Key(e.Rcpt)
		if !slices.ContainsFunc(events, func(x Event) bool { return x.Rcpt == k }) {
			events = append(events, Event{now, kind, id, k, string(e.State), e.Detail})
		}
	}
	return events
}

// IsOpen reports whether the recipient's mail was accepted and has not ended.
func (l *Ledger) IsOpen(id string, rcpt mail.Address) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.isOpen(id, Key(rcpt))
}

// Totals returns the sums.
func (l *Ledger) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.totals()
}

// Snapshot returns everything that is open, as it is on the disk.
func (l *Ledger) Snapshot() (Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Snapshot{Totals: l.book.totals(), Open: l.book.items(), Problems: slices.Clone(l.problems)}, nil
}
