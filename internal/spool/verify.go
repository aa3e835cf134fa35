package spool

import (
	"fmt"
	"hash/crc32"
	"os"
	"strconv"

	"sekimori/internal/mail"
)

// checksum is what stands in the envelope as crc32c.
func checksum(c mail.Content) string {
	table := crc32.MakeTable(crc32.Castagnoli) // made once by the library
	var sum uint32
	for _, p := range c {
		sum = crc32.Update(sum, table, p)
	}
	const digits = "00000000"
	s := strconv.FormatUint(uint64(sum), 16)
	return digits[len(s):] + s
}

// Verify compares the octets of an entry with its envelope. An envelope of an earlier version of the program has no checksum;
// then the size must do.
func Verify(e *Entry, c mail.Content) error {
	if n := c.Len(); n != e.Size {
		return fmt.Errorf("%w: the data of %s has %d octets instead of %d", ErrInvalid, e.ID, n, e.Size)
	}
	if e.CRC == "" {
		return nil
	}
	if sum := checksum(c); sum != e.CRC {
		return fmt.Errorf("%w: the data of %s has the checksum %s instead of %s", ErrInvalid, e.ID, sum, e.CRC)
	}
	return nil
}

// Check reads the data of an entry and compares it with its envelope.
func (r *Reader) Check(e *Entry) error {
	c, release, err := r.content(e.Kind, e.ID)
	if err != nil {
		return err
	}
	defer release()
	return Verify(e, c)
}

// CheckSize compares the size of the data file of an entry with its envelope, without reading it.
func (r *Reader) CheckSize(e *Entry) error {
	st, err := os.Stat(r.path(e.Kind, e.ID, dataExt))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if st.Size() != e.Size {
		return fmt.Errorf("%w: the data of %s has %d octets instead of %d", ErrInvalid, e.ID, st.Size(), e.Size)
	}
	return nil
}

// SetAside moves an entry that was never acknowledged and is not whole out of the way. It is told by Problems.
func (s *Spool) SetAside(e *Entry) error {
	if !ValidID(e.ID) {
		return fmt.Errorf("%w: %q", ErrNotFound, e.ID)
	}
	for _, ext := range []string{envExt, dataExt} {
		if err := s.setAside(e.Kind, e.ID+ext); err != nil && ext == envExt {
			return err
		}
	}
	s.count(-1, -e.Size)
	return s.dirs[e.Kind].Sync()
}
