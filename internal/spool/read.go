package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sekimori/internal/mail"
)

const (
	dataExt = ".eml"
	envExt  = ".json"
	goneExt = ".gone"

	maxEnvelope = 16 << 20 // octets; above it a file is no envelope of ours
	mapFrom     = 1 << 20  // octets; data files from this size on are mapped instead of read
)

// Reader reads a spool, also while another process writes to it. Safe for concurrent use.
type Reader struct{ dir string }

// OpenReadOnly opens the spool for looking at it: without the lock, without recovery. The directory must exist.
func OpenReadOnly(dir string) (*Reader, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("spool: %s is not a directory", dir)
	}
	if err := checkVersion(dir); err != nil {
		return nil, err
	}
	return &Reader{dir: dir}, nil
}

func (r *Reader) path(kind, id, ext string) string { return filepath.Join(r.dir, kind, id+ext) }

// Get returns the entry, ErrNotFound, or ErrInvalid with what is wrong with its envelope.
func (r *Reader) Get(id string) (Entry, error) {
	if !ValidID(id) {
		return Entry{}, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	for _, kind := range kinds() {
		e, err := r.load(kind, id)
		if !errors.Is(err, ErrNotFound) {
			return e, err
		}
	}
	return Entry{}, fmt.Errorf("%w: %s", ErrNotFound, id)
}

func (r *Reader) load(kind, id string) (Entry, error) {
	name := r.path(kind, id, envExt)
	b, err := readBounded(name, maxEnvelope)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return Entry{}, err
	}
	e, err := decode(b, id, kind)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", name, err)
	}
	return e, nil
}

// List returns the readable entries of a kind in the order of their IDs; those that cannot be read are told by Problems.
// Entries that end meanwhile may be among them or not.
func (r *Reader) List(kind string) ([]Entry, error) {
	var list []Entry
	_, err := r.Walk(kind, func(e Entry) { list = append(list, e) })
	return list, err
}

// Content returns the octets of an entry. They are read-only and valid until the function is called, which must be done
// once; removing the entry meanwhile does no harm.
func (r *Reader) Content(id string) (mail.Content, func(), error) {
	if !ValidID(id) {
		return nil, nil, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	for _, kind := range kinds() {
		c, release, err := r.content(kind, id)
		if !errors.Is(err, ErrNotFound) {
			return c, release, err
		}
	}
	return nil, nil, fmt.Errorf("%w: %s", ErrNotFound, id)
}

func (r *Reader) content(kind, id string) (mail.Content, func(), error) {
	f, err := os.Open(r.path(kind, id, dataExt))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: the data of %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	defer f.Close()
	b, release, err := fileBytes(f)
	if err != nil {
		return nil, nil, fmt.Errorf("spool: %s: %w", f.Name(), err)
	}
	return mail.Content{b}, release, nil
}

// fileBytes returns all of f, mapped when it is large. The mapping outlives f.
func fileBytes(f *os.File) ([]byte, func(), error) {
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	n := st.Size()
	if n >= mapFrom {
		b, err := unix.Mmap(int(f.Fd()), 0, int(n), unix.PROT_READ, unix.MAP_PRIVATE)
		if err != nil {
			return nil, nil, err
		}
		return b, func() { _ = unix.Munmap(b) }, nil
	}
	b := make([]byte, n)
	if n > 0 {
		if _, err := f.ReadAt(b, 0); err != nil {
			return nil, nil, err
		}
	}
	return b, func() {}, nil
}

func readBounded(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > most || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no file of at most %d octets", ErrInvalid, name, most)
	}
	b := make([]byte, st.Size())
	if len(b) == 0 {
		return b, nil
	}
	_, err = f.ReadAt(b, 0)
	return b, err
}

func kinds() [2]string { return [2]string{KindQueue, KindHold} }

// Walk calls f for every readable entry of a kind, in the order of their IDs, and returns why others cannot be read. Entries
// that end meanwhile may be among them or not.
func (r *Reader) Walk(kind string, f func(Entry)) (bad map[string]error, err error) {
	names, err := os.ReadDir(filepath.Join(r.dir, kind))
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	bad = map[string]error{}
	for _, n := range names {
		id, ok := strings.CutSuffix(n.Name(), envExt)
		if !ok || !ValidID(id) {
			continue
		}
		e, err := r.load(kind, id)
		switch {
		case err == nil:
			f(e)
		case !errors.Is(err, ErrNotFound):
			bad[id] = err
		}
	}
	return bad, nil
}
