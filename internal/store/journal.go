package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// logFile is what the journal needs of *os.File; tests put a failing one in its place.
type logFile interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
}

// journal appends records to the log's newest file. Records that arrive while a sync runs are written and synced
// together by the next one.
type journal struct {
	mu      sync.Mutex
	cond    *sync.Cond
	file    logFile
	buf     []byte
	spare   []byte
	next    *batch // collects records
	syncing *batch
	err     error // set by the first failure; ended by restore
	closed  bool
	stopped chan struct{}

	live      int64 // octets of the last snapshot
	since     int64 // octets logged since it was begun
	threshold int64
}

// batch is the records of one sync.
type batch struct {
	done chan struct{}
	err  error
}

func (b *batch) wait() error {
	<-b.done
	return b.err
}

var errClosed = errors.New("the embedded store is closed")

func newJournal(file logFile, live, since, threshold int64) *journal {
	j := &journal{file: file, live: live, since: since, threshold: threshold, stopped: make(chan struct{})}
	j.cond = sync.NewCond(&j.mu)
	go j.loop()
	return j
}

// append takes a record and returns the batch that it will be synced with.
func (j *journal) append(rec record) *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		b := &batch{done: make(chan struct{}), err: j.err}
		close(b.done)
		return b
	}
	if j.next == nil {
		j.next = &batch{done: make(chan struct{})}
		j.cond.Broadcast()
	}
	before := len(j.buf)
	j.buf = appendRecord(j.buf, rec)
	j.since += int64(len(j.buf) - before)
	return j.next
}

// pending returns the batch after which everything appended so far is synced; nil: it is.
func (j *journal) pending() *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next != nil {
		return j.next
	}
	return j.syncing
}

func (j *journal) loop() {
	defer close(j.stopped)
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		for j.next == nil && !j.closed {
			j.cond.Wait()
		}
		if j.next == nil {
			return
		}
		buf, b := j.buf, j.next
		j.buf, j.next, j.syncing = j.spare[:0], nil, b
		if file := j.file; j.err == nil { // after a failure nobody knows what the file holds behind it
			j.mu.Unlock()
			err := writeSync(file, buf)
			j.mu.Lock()
			j.err = err
		}
		b.err = j.err
		j.syncing = nil
		j.spare = nil
		if cap(buf) <= 4<<20 {
			j.spare = buf
		}
		close(b.done)
	}
}

func writeSync(f logFile, buf []byte) error {
	if _, err := f.Write(buf); err != nil {
		return err
	}
	return f.Sync()
}

// rotate syncs what was appended and goes on in another file. Nothing may be appended meanwhile. After a failure it
// still goes on in the new file, but stays failed until restore.
func (j *journal) rotate(file logFile) {
	if b := j.pending(); b != nil {
		_ = b.wait()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.file.Close()
	j.file, j.since = file, 0
}

// restore says that everything in memory stands in a snapshot of that size.
func (j *journal) restore(live int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.live, j.err = live, nil
}

func (j *journal) failed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// used is an upper bound of the live data.
func (j *journal) used() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.live + j.since
}

func (j *journal) outgrown() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.since > max(j.threshold, j.live)
}

func (j *journal) logged() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.since
}

// close syncs what was appended and closes the file.
func (j *journal) close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.cond.Broadcast()
	j.mu.Unlock()
	<-j.stopped
	j.mu.Lock()
	defer j.mu.Unlock()
	failed := j.err
	if j.err == nil {
		j.err = errClosed
	}
	return errors.Join(failed, j.file.Close())
}

func oneLine(err error) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(fmt.Sprint(err))
}

// syncDir makes renames and new files in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
