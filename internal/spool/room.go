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

// Room returns ErrFull when the free disk is below the reserve or the spool is at its limits, for a 452 before DATA. It is
// cheap: the file system is asked at most once a second, and what the spool holds is counted along.
func (s *Spool) Room() error { return s.roomForNew(0) }

// roomForNew is the question of mail that is not let in yet.
func (s *Spool) roomForNew(size int64) error {
	if err := s.limits(size); err != nil {
		return err
	}
	return s.roomFor(size, s.o.DiskReserve)
}

// Used returns how many entries the spool holds and how many octets their data have.
func (s *Spool) Used() (mails, octets int64) { return s.mails.Load(), s.octets.Load() }

// count follows what is put and removed.
func (s *Spool) count(mails, octets int64) {
	s.mails.Add(mails)
	s.octets.Add(octets)
}

// SetLimits changes what Options said; zero values mean no limit.
func (s *Spool) SetLimits(octets, mails int64) {
	s.mostOctets.Store(octets)
	s.mostMails.Store(mails)
}

// limits looks at the limits of the spool. Mail that was let in may go over them: its Put is not asked.
func (s *Spool) limits(size int64) error {
	mails, octets := s.Used()
	switch most, limit := s.mostMails.Load(), s.mostOctets.Load(); {
	case most > 0 && mails >= most:
		return fmt.Errorf("%w: it holds %d mails, its limit is %d", ErrFull, mails, most)
	case limit > 0 && octets+size >= limit:
		return fmt.Errorf("%w: it holds %d octets, its limit is %d", ErrFull, octets, limit)
	}
	return nil
}

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
