// Package powercut records what is done to a file system, and makes from it what a power cut at any moment may leave. It is
// for tests.
//
// The model promises no more than POSIX does: a file has what was written before its last sync, and a directory the names
// that it had at its last sync. Everything later may be there or not, one change without another that came before it: a rename
// without the data of the file, data in part, as zeros, or not at all. A rename is whole or not done.
package powercut

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"sekimori/internal/disk"
)

// Disk is a disk.FS below one directory that does what it is told, without syncing, and writes it down. It must see every
// change from the beginning on. Safe for concurrent use.
type Disk struct {
	root string

	mu    sync.Mutex
	ops   []op
	names map[string]int // what has which name now
	files int
}

type kind int

const (
	opWrite kind = iota
	opTruncate
	opSync
	opLink
	opRename
	opRemove
	opSyncDir
)

type op struct {
	kind     kind
	file     int
	data     []byte
	size     int64
	from, to string // relative to the root
}

// New records what is done below root.
func New(root string) *Disk { return &Disk{root: root, names: map[string]int{}} }

// Len returns how many steps were recorded; a cut at this number comes after them.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ops)
}

func (d *Disk) rel(name string) string {
	r, err := filepath.Rel(d.root, name)
	if err != nil {
		return name
	}
	return r
}

// Create implements disk.FS.
func (d *Disk) Create(name string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := disk.OS{}.Create(name)
	if err != nil {
		return nil, err
	}
	d.files++
	d.names[d.rel(name)] = d.files
	d.ops = append(d.ops, op{kind: opLink, file: d.files, to: d.rel(name)})
	return &file{f, d, d.files}, nil
}

// Append implements disk.FS.
func (d *Disk) Append(name string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := disk.OS{}.Append(name)
	if err != nil {
		return nil, err
	}
	return &file{f, d, d.names[d.rel(name)]}, nil
}

// Rename implements disk.FS.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := os.Rename(from, to); err != nil {
		return err
	}
	from, to = d.rel(from), d.rel(to)
	d.ops = append(d.ops, op{kind: opRename, file: d.names[from], from: from, to: to})
	d.names[to] = d.names[from]
	delete(d.names, from)
	return nil
}

// Remove implements disk.FS.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := os.Remove(name); err != nil {
		return err
	}
	name = d.rel(name)
	d.ops = append(d.ops, op{kind: opRemove, from: name})
	delete(d.names, name)
	return nil
}

// OpenDir implements disk.FS.
func (d *Disk) OpenDir(name string) (disk.Dir, error) { return &dir{d, d.rel(name)}, nil }

type dir struct {
	d    *Disk
	name string
}

func (x *dir) Sync() error {
	x.d.note(op{kind: opSyncDir, to: x.name})
	return nil
}

func (*dir) Close() error { return nil }

type file struct {
	disk.File
	d  *Disk
	no int
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.d.note(op{kind: opWrite, file: f.no, data: append([]byte(nil), p[:n]...)})
	return n, err
}

func (f *file) Truncate(size int64) error {
	f.d.note(op{kind: opTruncate, file: f.no, size: size})
	return f.File.Truncate(size)
}

func (f *file) Sync() error {
	f.d.note(op{kind: opSync, file: f.no})
	return nil
}

func (d *Disk) note(o op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops = append(d.ops, o)
}

// Without returns the record as it were if the syncs that the function picks had not been made: of a file, by one of the names
// it had, or of a directory. It is for showing that a test notices.
func (d *Disk) Without(sync func(name string, isDir bool) bool) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	named := map[int]string{}
	w := &Disk{root: d.root, names: maps.Clone(d.names), files: d.files}
	for _, o := range d.ops {
		switch o.kind {
		case opLink, opRename:
			named[o.file] = o.to
		case opSync:
			if sync(named[o.file], false) {
				o = op{kind: opWrite, file: o.file} // a step that does nothing keeps the numbers
			}
		case opSyncDir:
			if sync(o.to, true) {
				o = op{kind: opWrite}
			}
		}
		w.ops = append(w.ops, o)
	}
	return w
}

// Fate says what becomes of what was not synced.
type Fate int

// The fates.
const (
	Lost     Fate = iota // nothing of it is there
	Kept                 // all of it is there
	NoData               // every name is there, no data
	Zeros                // every name is there, and data as zeros
	Shuffled             // each change is there or not
)

// Cut returns the files after a power cut behind the first n steps, by their path below the root. The seed is for Shuffled.
func (d *Disk) Cut(n int, fate Fate, seed uint64) map[string][]byte {
	d.mu.Lock()
	ops := d.ops[:n:n]
	d.mu.Unlock()
	rnd := rand.New(rand.NewPCG(seed, uint64(n)))
	safe := settled(ops)
	names := map[string]int{}
	for i, o := range ops {
		if o.kind != opLink && o.kind != opRename && o.kind != opRemove {
			continue
		}
		if !safe[i] && (fate == Lost || fate == Shuffled && rnd.IntN(2) == 0) {
			continue
		}
		if o.kind != opLink {
			delete(names, o.from)
		}
		if o.kind != opRemove {
			names[o.to] = o.file
		}
	}
	files := map[string][]byte{}
	content := contents(ops, fate, rnd)
	for name, no := range names {
		files[name] = content[no]
	}
	return files
}

// settled marks the changes of names that a later sync of a directory made durable.
func settled(ops []op) []bool {
	safe := make([]bool, len(ops))
	for i, s := range ops {
		if s.kind != opSyncDir {
			continue
		}
		for k := i - 1; k >= 0; k-- {
			o := &ops[k]
			if o.kind != opLink && o.kind != opRename && o.kind != opRemove || safe[k] {
				continue
			}
			if o.from != "" && filepath.Dir(o.from) == s.to || o.to != "" && filepath.Dir(o.to) == s.to {
				safe[k] = true
			}
		}
	}
	return safe
}

// contents returns what is in each file.
func contents(ops []op, fate Fate, rnd *rand.Rand) map[int][]byte {
	now, synced := map[int][]byte{}, map[int]int{} // octets, and how many of them are safe
	for _, o := range ops {
		switch o.kind {
		case opWrite:
			now[o.file] = append(now[o.file], o.data...)
		case opTruncate:
			now[o.file] = now[o.file][:min(int64(len(now[o.file])), o.size)]
			synced[o.file] = min(synced[o.file], len(now[o.file]))
		case opSync:
			synced[o.file] = len(now[o.file])
		}
	}
	for no, b := range now {
		b, n := append([]byte(nil), b...), synced[no]
		how := fate
		if fate == Shuffled {
			how = Fate(rnd.IntN(4))
		}
		switch {
		case how == Lost, how == NoData:
			b = b[:n]
		case how == Zeros:
			clear(b[n:])
		case fate == Shuffled && n < len(b):
			b = b[:n+rnd.IntN(len(b)-n)]
		}
		now[no] = b
	}
	return now
}

// NoSync is the real file system without its syncs, for opening what a cut has left.
type NoSync struct{ disk.OS }

type noSyncFile struct{ disk.File }

func (noSyncFile) Sync() error { return nil }

// Create implements disk.FS.
func (NoSync) Create(name string) (disk.File, error) {
	f, err := disk.OS{}.Create(name)
	return noSyncFile{f}, err
}

// Append implements disk.FS.
func (NoSync) Append(name string) (disk.File, error) {
	f, err := disk.OS{}.Append(name)
	return noSyncFile{f}, err
}

// OpenDir implements disk.FS.
func (NoSync) OpenDir(string) (disk.Dir, error) { return noSyncDir{}, nil }

type noSyncDir struct{}

func (noSyncDir) Sync() error  { return nil }
func (noSyncDir) Close() error { return nil }
