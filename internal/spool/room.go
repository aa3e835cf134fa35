package spool

import (
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// roomCache holds the last answer of the file system.
type roomCache struct {
	asked time.Time
	free  int64
	err   error
}

// Room returns ErrFull when the free disk is below the reserve, for a 452 before DATA. It is cheap: the file system is asked
// at most once a second.
func (s *Spool) Room() error { return s.roomFor(0, s.o.DiskReserve) }

func (s *Spool) roomFor(size, reserve int64) error {
	free, err := s.free()
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if reserve > 0 && free-size < reserve {
		return fmt.Errorf("%w: %d octets are free, %d are kept in reserve", ErrFull, free, reserve)
	}
	return nil
}

func (s *Spool) free() (int64, error) {
	now := s.o.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.room.asked); s.room.asked.IsZero() || age < 0 || age >= time.Second {
		s.room.free, s.room.err = s.o.FreeDisk(s.dir)
		s.room.asked = now
	}
	return s.room.free, s.room.err
}

// freeDisk is what an unprivileged process may still write; without free inodes that is nothing.
func freeDisk(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	if st.Files > 0 && st.Ffree < 16 {
		return 0, nil
	}
	if st.Bsize > 0 && st.Bavail > math.MaxInt64/uint64(st.Bsize) {
		return math.MaxInt64, nil
	}
	return int64(st.Bavail) * st.Bsize, nil
}
