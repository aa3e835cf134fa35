package spool

import (
	"sync"

	"sekimori/internal/disk"
)

// DirSync makes changes of a directory durable. Callers that come while one sync runs share the next one, so that many
// concurrent renames cost few syncs. Safe for concurrent use.
type DirSync struct {
	f    disk.Dir
	run  sync.Mutex // held by the one who syncs
	mu   sync.Mutex
	next *round // those who wait for a sync that has not begun
}

type round struct {
	done chan struct{}
	err  error
}

// OpenDirSync opens the directory; Close it after use.
func OpenDirSync(dir string) (*DirSync, error) { return openDirSync(disk.OS{}, dir) }

func openDirSync(fs disk.FS, dir string) (*DirSync, error) {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return &DirSync{f: f}, nil
}

// Sync returns when every change made to the directory before the call is on the disk.
func (d *DirSync) Sync() error {
	d.mu.Lock()
	r := d.next
	leader := r == nil
	if leader {
		r = &round{done: make(chan struct{})}
		d.next = r
	}
	d.mu.Unlock()
	if !leader {
		<-r.done
		return r.err
	}
	d.run.Lock()
	defer d.run.Unlock()
	d.mu.Lock()
	d.next = nil // who comes from here on may have renamed after the sync below began
	d.mu.Unlock()
	r.err = d.f.Sync()
	close(r.done)
	return r.err
}

// Close closes the directory. No Sync may run.
func (d *DirSync) Close() error { return d.f.Close() }
