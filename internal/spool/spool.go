package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sekimori/internal/disk"
)

const (
	dirTmp      = "tmp"
	dirAside    = "aside"
	dirRequests = "requests"

	versionFile = "VERSION"
	versionWord = "sekimori-spool"
)

// Options of Open. Zero values: no reserve, the system's clock, no log.
type Options struct {
	DiskReserve int64 // octets of free disk below which Room says ErrFull
	MostOctets  int64 // of data in the spool, from which on Room says ErrFull; 0: no limit
	MostMails   int64 // entries in the spool, from which on Room says ErrFull; 0: no limit
	Now         func() time.Time
	Log         *slog.Logger
	// FreeDisk returns the octets that may still be written under dir; nil asks the file system.
	FreeDisk func(dir string) (int64, error)
	// FS makes the changes that must survive a power cut; nil: the real one.
	FS disk.FS
}

// Spool is a spool opened for writing. Safe for concurrent use, except that two goroutines must not change the same
// entry at once.
type Spool struct {
	Reader
	o     Options
	lock  *os.File
	dirs  map[string]*DirSync
	names atomic.Uint64 // makes names in tmp unique

	mails, octets         atomic.Int64 // what it holds
	mostMails, mostOctets atomic.Int64

	mu       sync.Mutex
	problems []Problem
	room     roomCache
}

// Problem is something in the spool that an administrator should look at.
type Problem struct {
	Path string
	Err  error
}

func (p Problem) String() string { return p.Path + ": " + p.Err.Error() }

// Open opens the spool for writing, makes the directories it needs and recovers from a crash: half-written files are
// removed, ended entries finished, data files without an envelope moved aside. It fails with ErrLocked when another
// process has it open for writing.
func Open(dir string, o Options) (*Spool, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FreeDisk == nil {
		o.FreeDisk = freeDisk
	}
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	s := &Spool{Reader: Reader{dir: dir}, o: o, dirs: map[string]*DirSync{}}
	s.SetLimits(o.MostOctets, o.MostMails)
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Spool) open() error {
	if err := os.MkdirAll(filepath.Dir(s.dir), 0o700); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	for _, d := range []string{"", KindQueue, KindHold, dirTmp, dirAside, dirRequests} {
		if err := disk.Mkdir(filepath.Join(s.dir, d)); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	if err := s.markVersion(); err != nil {
		return err
	}
	for _, d := range []string{"", KindQueue, KindHold, dirAside} {
		ds, err := openDirSync(s.o.FS, filepath.Join(s.dir, d))
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		s.dirs[d] = ds
	}
	if err := s.recover(); err != nil {
		return err
	}
	for _, ds := range s.dirs {
		if err := ds.Sync(); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	for _, p := range s.problems {
		s.o.Log.Error("spool: needs an administrator", "path", p.Path, "error", p.Err)
	}
	return nil
}

func (s *Spool) takeLock() error {
	name := filepath.Join(s.dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := disk.Own(name); err != nil {
		f.Close()
		return fmt.Errorf("spool: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w (%s)", ErrLocked, name)
		}
		return fmt.Errorf("spool: %s: %w", name, err)
	}
	s.lock = f
	return nil
}

func (s *Spool) markVersion() error {
	err := checkVersion(s.dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name := filepath.Join(s.dir, dirTmp, versionFile)
	os.Remove(name) // of a crash just here
	if err := s.writeSynced(name, fmt.Appendf(nil, "%s %d\n", versionWord, layout)); err != nil {
		return err
	}
	return s.o.FS.Rename(name, filepath.Join(s.dir, versionFile))
}

func checkVersion(dir string) error {
	name := filepath.Join(dir, versionFile)
	b, err := readBounded(name, 100)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	var v int
	if _, err := fmt.Sscanf(string(b), versionWord+" %d\n", &v); err != nil {
		return fmt.Errorf("%w: %s does not say %q", ErrInvalid, name, versionWord)
	}
	if v > layout {
		return fmt.Errorf("%w: %s says format %d, this program knows up to %d", ErrInvalid, name, v, layout)
	}
	return nil
}

// recover brings the directories into order after a crash. Only what was never acknowledged is removed.
func (s *Spool) recover() error {
	tmp := filepath.Join(s.dir, dirTmp)
	names, err := os.ReadDir(tmp)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(tmp, n.Name())); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	for _, kind := range kinds() {
		if err := s.recoverKind(kind); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spool) recoverKind(kind string) error {
	names, err := os.ReadDir(filepath.Join(s.dir, kind))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	have := map[string]bool{}
	for _, n := range names {
		have[n.Name()] = true
	}
	for _, n := range names {
		name := n.Name()
		ext := filepath.Ext(name)
		id := strings.TrimSuffix(name, ext)
		switch {
		case !ValidID(id):
			s.problem(filepath.Join(s.dir, kind, name), errors.New("not a file of the spool"))
		case ext == envExt:
			s.inspect(kind, id)
		case ext == goneExt:
			// With an envelope beside it the id was used again, and the data file is the new entry's.
			if err := s.finish(kind, id, !have[id+envExt]); err != nil {
				return err
			}
		case ext == dataExt && !have[id+envExt] && !have[id+goneExt]:
			if err := s.setAside(kind, name); err != nil {
				return err
			}
		case ext != dataExt:
			s.problem(filepath.Join(s.dir, kind, name), errors.New("not a file of the spool"))
		}
	}
	return nil
}

// inspect reports an envelope that cannot be used.
func (s *Spool) inspect(kind, id string) {
	name := s.path(kind, id, envExt)
	e, err := s.load(kind, id)
	if err != nil {
		s.problem(name, err)
		return
	}
	s.count(1, e.Size)
	st, err := os.Stat(s.path(kind, id, dataExt))
	switch {
	case err != nil:
		s.problem(name, fmt.Errorf("its data cannot be read: %w", err))
	case st.Size() != e.Size:
		s.problem(name, fmt.Errorf("its data has %d octets instead of %d", st.Size(), e.Size))
	}
}

func (s *Spool) setAside(kind, name string) error {
	to := filepath.Join(s.dir, dirAside, fmt.Sprintf("%s-%d-%s", kind, s.o.Now().UnixNano(), name))
	if err := s.o.FS.Rename(filepath.Join(s.dir, kind, name), to); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.problem(to, errors.New("a mail without an envelope, never acknowledged; it can be deleted"))
	return nil
}

func (s *Spool) problem(path string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) < 1000 {
		s.problems = append(s.problems, Problem{path, err})
	}
}

// Problems returns what Open found and could not mend (at most 1,000).
func (s *Spool) Problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Problem(nil), s.problems...)
}

// Dir returns the directory of the spool.
func (r *Reader) Dir() string { return r.dir }

// Close gives the spool up. No other call may run.
func (s *Spool) Close() error {
	for _, d := range s.dirs {
		d.Close()
	}
	s.dirs = nil
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}
