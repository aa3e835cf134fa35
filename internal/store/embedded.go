package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Limits of the embedded store.
const (
	defaultLimit     = 512 << 20 // octets of live data
	defaultThreshold = 64 << 20  // octets of log before the first compaction
	renewAfter       = 1 << 20   // keys written before miniredis is replaced by a fresh one
)

// embedded is the store in this process: the gate, its log, and what runs in the background.
type embedded struct {
	gate   *gate
	log    *slog.Logger
	dir    string // DATA_DIR/store; "": memory only
	lock   *os.File
	cancel context.CancelFunc
	wg     sync.WaitGroup

	compacting sync.Mutex
	seq        int // number of the log that is written; guarded by compacting

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil: closed
	sock  net.Listener
	path  string // of the socket
}

type embeddedOptions struct {
	dataDir    string // "": memory only
	log        *slog.Logger
	now        func() time.Time
	limit      int64
	threshold  int64
	background bool // expire and compact by themselves
}

// openEmbedded opens the store under dataDir, or an empty one in memory. It fails with ErrLocked when another process has
// it, and when a file is damaged in a way that cannot be told from lost data.
func openEmbedded(o embeddedOptions) (*embedded, error) {
	g, err := newGate(o.now, o.limit)
	if err != nil {
		return nil, err
	}
	e := &embedded{gate: g, log: o.log, conns: map[net.Conn]struct{}{}}
	if o.dataDir != "" {
		e.dir = filepath.Join(o.dataDir, "store")
		if err := os.MkdirAll(e.dir, 0o700); err != nil {
			return nil, fmt.Errorf("embedded store: %w", err)
		}
		if e.lock, err = lockFile(filepath.Join(e.dir, "lock")); err != nil {
			return nil, err
		}
		if err := e.recover(o.threshold); err != nil {
			_ = e.lock.Close()
			return nil, fmt.Errorf("embedded store: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	if o.background {
		e.wg.Go(func() { e.run(ctx) })
	}
	return e, nil
}

// recover loads the newest snapshot and the logs from its number on, and opens the last log for appending.
func (e *embedded) recover(threshold int64) error {
	f, err := listFiles(e.dir)
	if err != nil {
		return err
	}
	base := f.base()
	live, since := int64(0), int64(0)
	if base > 0 {
		d, err := replayFile(f.snap(base), e.gate.apply)
		if err != nil {
			return err
		}
		if d != nil {
			return fmt.Errorf("the snapshot %s is damaged at octet %d of %d; restore the folder from a backup, or move it away to start empty", f.snap(base), d.at, d.size)
		}
		live = fileSize(f.snap(base))
	}
	last := base
	for _, n := range f.logs {
		if n < base {
			continue
		}
		if err := e.replayLog(f.log(n)); err != nil {
			return err
		}
		since += fileSize(f.log(n))
		last = max(last, n)
	}
	if err := f.removeBefore(base); err != nil {
		return err
	}
	file, err := e.openLast(f.log(last))
	if err != nil {
		return err
	}
	e.seq = last
	e.gate.expire(e.gate.millis())
	e.gate.log = newJournal(file, live, since, threshold)
	return nil
}

func (e *embedded) openLast(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		return createLog(path)
	}
	return file, err
}

// replayLog replays one log and sets a damaged end aside.
func (e *embedded) replayLog(path string) error {
	d, err := replayFile(path, e.gate.apply)
	if err != nil || d == nil {
		return err
	}
	if d.whole > 0 {
		e.log.Error("the store's log is damaged in the middle; the rest was set aside and is missing from the store",
			"file", path, "at", d.at, "octets", d.size-d.at, "whole_records", d.whole, "set_aside", path+".cut")
	} else {
		e.log.Warn("the store's log ended in a record that was never acknowledged; it was cut off",
			"file", path, "at", d.at, "octets", d.size-d.at)
	}
	return setAside(path, d)
}

func fileSize(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// run expires keys once a second, less often when that takes long, and compacts when asked.
func (e *embedded) run(ctx context.Context) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.gate.want:
			e.maintain()
			// One that did not help is not tried again at once.
			if !sleep(ctx, time.Second) {
				return
			}
		case <-timer.C:
			begin := time.Now()
			e.expire()
			if e.gate.log != nil && e.gate.log.failed() != nil {
				e.maintain()
			}
			timer.Reset(max(time.Second, 20*time.Since(begin)))
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (e *embedded) expire() {
	e.gate.mu.Lock()
	defer e.gate.mu.Unlock()
	e.gate.expire(e.gate.millis())
	if e.gate.written > renewAfter {
		e.gate.ask()
	}
}

// maintain compacts the log, unless it is so small that nothing would be gained.
func (e *embedded) maintain() {
	g := e.gate
	if g.log == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		if err := g.renew(); err != nil {
			e.log.Error("the embedded store could not be renewed", "error", err)
		}
		return
	}
	small := g.log.failed() == nil && !g.log.outgrown() && g.log.logged() < g.limit/16
	if small && g.written <= renewAfter {
		return
	}
	if err := e.compact(); err != nil {
		e.log.Error("the embedded store's log could not be compacted", "error", err)
	}
}

// close ends the connections and syncs the log. Commands that run meanwhile fail.
func (e *embedded) close() error {
	e.cancel()
	e.mu.Lock()
	conns, sock := e.conns, e.sock
	e.conns, e.sock = nil, nil
	e.mu.Unlock()
	if conns == nil {
		return nil
	}
	if sock != nil {
		_ = os.Remove(e.path)
		_ = sock.Close()
	}
	for c := range conns {
		_ = c.Close()
	}
	e.wg.Wait()
	e.gate.m.Close()
	if e.gate.log == nil {
		return nil
	}
	err := e.gate.log.close()
	return errors.Join(err, e.lock.Close())
}

// dial gives a connection to the store, inside this process.
func (e *embedded) dial(context.Context, string, string) (net.Conn, error) {
	client, srv := net.Pipe()
	if !e.accept(srv) {
		_ = client.Close()
		_ = srv.Close()
		return nil, errClosed
	}
	return client, nil
}

// accept serves a connection; false: the store is closed.
func (e *embedded) accept(conn net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conns == nil {
		return false
	}
	e.conns[conn] = struct{}{}
	e.wg.Go(func() {
		e.gate.serve(conn)
		e.mu.Lock()
		delete(e.conns, conn)
		e.mu.Unlock()
	})
	return true
}
