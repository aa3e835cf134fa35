package spool

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const roomEvery = 4 << 20 // octets between two looks at the disk's reserve

// Temp takes the body of a large mail while it comes in: a file without a name on the spool's disk, which vanishes with
// its last user. For one goroutine.
type Temp struct {
	s      *Spool
	f      *os.File
	w      *bufio.Writer
	n      int64
	looked int64
	err    error
	mapped []byte
}

// Temp makes one. hint is the expected size in octets, 0 when not known. ErrFull when that would go below the reserve.
func (s *Spool) Temp(hint int64) (*Temp, error) {
	if err := s.roomForNew(max(hint, 0)); err != nil {
		return nil, err
	}
	f, err := s.nameless()
	if err != nil {
		return nil, full(err)
	}
	return &Temp{s: s, f: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

func (s *Spool) nameless() (*os.File, error) {
	dir := filepath.Join(s.dir, dirTmp)
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err == nil {
		return f, nil
	}
	// Not every file system has O_TMPFILE.
	if f, err = os.CreateTemp(dir, "body-*"); err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// Write appends. Once it has failed it fails for good; ErrFull when the disk has no room above the reserve.
func (t *Temp) Write(p []byte) (int, error) {
	if t.err == nil && t.mapped != nil {
		t.err = errors.New("spool: written after it was complete")
	}
	if t.err == nil && t.n-t.looked >= roomEvery {
		t.looked = t.n
		t.err = t.s.Room()
	}
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.w.Write(p)
	t.n += int64(n)
	t.err = full(err)
	return n, t.err
}

// Len returns how many octets were written.
func (t *Temp) Len() int64 { return t.n }

// Bytes ends the writing and returns everything as a read-only mapping, valid until Close: writing to it is a fault.
func (t *Temp) Bytes() ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	if t.mapped != nil || t.n == 0 {
		return t.mapped, nil
	}
	if t.err = full(t.w.Flush()); t.err != nil {
		return nil, t.err
	}
	t.mapped, t.err = unix.Mmap(int(t.f.Fd()), 0, int(t.n), unix.PROT_READ, unix.MAP_PRIVATE)
	return t.mapped, t.err
}

// Close frees the file and the mapping. It may be called more than once.
func (t *Temp) Close() error {
	if t.f == nil {
		return nil
	}
	err := t.f.Close()
	t.f = nil
	if t.mapped != nil {
		_ = unix.Munmap(t.mapped)
		t.mapped = nil
	}
	if t.err == nil {
		t.err = os.ErrClosed
	}
	return err
}
