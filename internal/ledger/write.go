package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"sekimori/internal/disk"
)

// commit writes the lines. Callers that come while one write runs share the next one.
func (l *Ledger) commit(events []Event) error {
	if len(events) == 0 {
		return nil
	}
	l.mu.Lock()
	b := l.next
	leader := b == nil
	if leader {
		b = &batch{done: make(chan struct{})}
		l.next = b
	}
	b.events = append(b.events, events...)
	l.mu.Unlock()
	if !leader {
		<-b.done
		return b.err
	}
	l.run.Lock()
	defer l.run.Unlock()
	l.mu.Lock()
	l.next = nil // who comes from here on waits for the next write
	l.mu.Unlock()
	b.err = l.write(b.events)
	close(b.done)
	return b.err
}

// write makes events durable and then part of the book. l.run is held.
func (l *Ledger) write(events []Event) error {
	if err := l.turn(); err != nil {
		return err
	}
	buf := make([]byte, 0, 160*len(events))
	for i := range events {
		buf = appendLine(buf, &events[i])
	}
	_, err := l.file.Write(buf)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// Part of it may stand in the file: it goes, or the file is given up and a new segment made of what is known.
		terr := l.file.Truncate(l.size)
		_ = l.file.Close()
		l.file, l.retry = nil, time.Time{}
		return fmt.Errorf("ledger: %w", errors.Join(err, terr))
	}
	l.size += int64(len(buf))
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range events {
		l.book.apply(&events[i])
	}
	return nil
}

// turn begins a new segment when it is time.
func (l *Ledger) turn() error {
	now := l.o.Now()
	due := now.UTC().Format(time.DateOnly) > l.cur.day || l.size-l.begun >= l.o.SegmentSize
	if l.file != nil && (!due || now.Before(l.retry)) {
		return nil
	}
	err := l.rotate()
	if err != nil && l.file != nil {
		l.retry = now.Add(time.Minute)
		l.o.Log.Error("ledger: a new segment cannot begin, the old one goes on", "error", err)
		return nil
	}
	return err
}

// rotate begins a new segment with the totals and everything that is open, and deletes old ones. On an error the old
// segment stands as it was.
func (l *Ledger) rotate() error {
	now := l.o.Now()
	tmp, next := filepath.Join(l.dir, tmpName), segmentName(l.cur.seq+1, now)
	f, size, err := l.fill(tmp, now)
	if err == nil {
		err = l.o.FS.Rename(tmp, filepath.Join(l.dir, next.name))
	}
	if err == nil {
		if err = l.dirs.Sync(); err != nil {
			_ = l.o.FS.Remove(filepath.Join(l.dir, next.name))
		}
	}
	if err != nil {
		if f != nil {
			_ = f.Close()
		}
		_ = l.o.FS.Remove(tmp)
		return fmt.Errorf("ledger: %w", err)
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.cur, l.size, l.begun, l.retry = f, next, size, size, time.Time{}
	l.forget(now)
	return nil
}

// fill writes the new segment and syncs it.
func (l *Ledger) fill(name string, now time.Time) (disk.File, int64, error) {
	f, err := l.o.FS.Create(name)
	if err != nil {
		return nil, 0, err
	}
	var line []byte
	var size int64
	w := bufio.NewWriterSize(f, 64<<10)
	put := func(e *Event) {
		line = appendLine(line[:0], e)
		size += int64(len(line))
		w.Write(line)
	}
	l.mu.Lock()
	for _, e := range l.book.header(now) {
		put(&e)
	}
	l.book.each(put)
	l.mu.Unlock()
	err = w.Flush()
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// forget deletes segments that are older than the retention; what is open was carried over long ago.
func (l *Ledger) forget(now time.Time) {
	list, err := segments(l.dir)
	if err != nil {
		return
	}
	oldest := now.Add(-l.o.Retention).UTC().Format(time.DateOnly)
	for i, s := range list[:max(len(list)-1, 0)] {
		// A segment goes on until the next one begins.
		if list[i+1].day < oldest && s.seq < l.cur.seq {
			_ = l.o.FS.Remove(filepath.Join(l.dir, s.name))
		}
	}
}
