package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"time"

	"sekimori/internal/disk"
)

// stream is one stream that is written. It is used by one goroutine.
type stream struct {
	w     *Writer
	kind  Stream
	block int

	day     string
	seg     disk.File // nil: none is open
	segNo   uint64
	segSize int64
	table   []place
	segKeys []uint64

	seq      uint64 // of the block that the tail becomes
	tail     disk.File
	tailDay  string // in whose directory it stands
	tailSize int64
	synced   time.Time
	dirty    bool // the tail is not synced

	raw            []byte // records of the tail
	flushed        int    // octets of raw that stand in the tail
	count          int
	oldest, newest int64
	keys           []uint64
}

// add appends a record. stands is how many events it tells of.
func (s *stream) add(at time.Time, record []byte, keys func(func(uint64)), stands int) {
	if len(record) > maxRaw/4 || len(s.raw) > maxRaw/2 { // the latter when the disk takes nothing
		s.w.lost[s.kind].Add(int64(stands))
		return
	}
	day := s.w.o.Now().UTC().Format(time.DateOnly)
	if day != s.day {
		if err := s.turn(day); err != nil {
			s.w.warn("disk", err.Error())
		}
	}
	s.put(at.UnixMicro(), record)
	keys(func(k uint64) { s.keys = append(s.keys, k) })
	s.w.kept[s.kind].Add(int64(stands))
	if len(s.raw) >= s.block {
		if err := s.seal(); err != nil {
			s.w.warn("disk", err.Error())
		}
	}
}

func (s *stream) put(at int64, record []byte) {
	if s.count == 0 {
		s.oldest, s.newest = at, at
	}
	s.oldest, s.newest = min(s.oldest, at), max(s.newest, at)
	s.raw = binary.AppendUvarint(s.raw, uint64(len(record)))
	s.raw = append(s.raw, record...)
	s.count++
}

// turn ends the day before and begins another.
func (s *stream) turn(day string) error {
	if err := s.seal(); err != nil {
		return err
	}
	if err := s.finish(); err != nil {
		return err
	}
	s.dropTail()
	s.day, s.segNo = day, 0
	return nil
}

// flush writes records to the tail.
func (s *stream) flush(sync bool) error {
	now := s.w.o.Now()
	if s.flushed < len(s.raw) {
		if err := s.writeTail(); err != nil {
			return err
		}
	}
	if s.dirty && s.tail != nil && (sync || now.Sub(s.synced) >= s.w.o.SyncEvery || now.Before(s.synced)) {
		s.synced = now
		if err := s.tail.Sync(); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		s.dirty = false
	}
	return nil
}

func (s *stream) writeTail() error {
	if s.tail == nil {
		if err := s.openTail(); err != nil {
			return err
		}
	}
	chunk := s.raw[s.flushed:]
	b := make([]byte, 8, 8+len(chunk))
	binary.LittleEndian.PutUint32(b, uint32(len(chunk)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(chunk, castagnoli))
	b = append(b, chunk...)
	if _, err := s.tail.Write(b); err != nil {
		// Part of it may stand there: it goes, or a later chunk would stand behind what cannot be read.
		if terr := s.tail.Truncate(s.tailSize); terr != nil {
			s.dropTail()
			s.flushed = 0
		}
		return fmt.Errorf("history: %w", err)
	}
	s.tailSize += int64(len(b))
	s.flushed, s.dirty = len(s.raw), true
	return nil
}

func (s *stream) openTail() error {
	if err := s.makeDay(); err != nil {
		return err
	}
	name := tailName(s.w.dir, s.day, s.kind, s.seq)
	_ = s.w.o.FS.Remove(name) // of a write that failed
	f, err := s.w.o.FS.Create(name)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	b := append([]byte(magicTail), Version, byte(s.kind), 0, 0)
	b = binary.LittleEndian.AppendUint64(b, s.seq)
	if _, err := f.Write(b); err != nil {
		_ = f.Close()
		return fmt.Errorf("history: %w", err)
	}
	s.tail, s.tailDay, s.tailSize, s.flushed = f, s.day, int64(len(b)), 0
	return nil
}

func (s *stream) makeDay() error {
	if err := disk.Mkdir(filepath.Join(s.w.dir, s.day)); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// dropTail removes the tail, whose records stand in a block or are to be written anew.
func (s *stream) dropTail() {
	if s.tail == nil {
		return
	}
	_ = s.tail.Close()
	_ = s.w.o.FS.Remove(tailName(s.w.dir, s.tailDay, s.kind, s.seq))
	s.tail, s.tailSize, s.dirty = nil, 0, false
}

// seal makes a block of the tail.
func (s *stream) seal() error {
	if s.count == 0 {
		return nil
	}
	slices.Sort(s.keys)
	s.keys = slices.Compact(s.keys)
	filter := newFilter(s.keys)
	packed := s.w.codec.enc.EncodeAll(s.raw, nil)
	h := header{
		stream: s.kind, count: uint32(s.count), raw: uint32(len(s.raw)), packed: uint32(len(packed)), filter: uint32(len(filter)),
		oldest: s.oldest, newest: s.newest, seq: s.seq, sum: crc32.Checksum(packed, castagnoli),
	}
	if err := s.writeBlock(&h, filter, packed); err != nil {
		return err
	}
	s.segKeys = append(s.segKeys, s.keys...)
	s.dropTail()
	s.seq++
	s.raw, s.keys, s.flushed, s.count = s.raw[:0], s.keys[:0], 0, 0
	if len(s.table) >= segmentBlocks {
		return s.finish()
	}
	return nil
}

func (s *stream) writeBlock(h *header, filter, packed []byte) error {
	if s.seg == nil {
		if err := s.openSegment(); err != nil {
			return err
		}
	}
	b := make([]byte, 0, h.size())
	b = append(append(h.append(b), filter...), packed...)
	_, err := s.seg.Write(b)
	if err == nil {
		err = s.seg.Sync()
	}
	if err != nil {
		if terr := s.seg.Truncate(s.segSize); terr != nil { // a reader finds its way round what is broken
			_ = s.seg.Close()
			s.seg = nil
		}
		return fmt.Errorf("history: %w", err)
	}
	s.table = append(s.table, place{s.segSize, *h})
	s.segSize += int64(len(b))
	return nil
}

func (s *stream) openSegment() error {
	if err := s.makeDay(); err != nil {
		return err
	}
	s.segNo++
	f, err := s.w.o.FS.Create(segmentName(s.w.dir, s.day, s.kind, s.segNo))
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	s.seg, s.segSize, s.table, s.segKeys = f, 0, nil, nil
	if d, err := s.w.o.FS.OpenDir(filepath.Join(s.w.dir, s.day)); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

// finish writes the footer of the segment and closes it.
func (s *stream) finish() error {
	if s.seg == nil {
		return nil
	}
	b := footer(s.kind, s.table, s.segKeys, s.segSize)
	_, err := s.seg.Write(b)
	if err == nil {
		err = s.seg.Sync()
	}
	if err != nil {
		_ = s.seg.Truncate(s.segSize) // without a footer it is walked
		err = fmt.Errorf("history: %w", err)
	}
	_ = s.seg.Close()
	s.seg, s.table, s.segKeys = nil, nil, nil
	return err
}

// footer makes the footer of a segment that is so many octets long.
func footer(kind Stream, table []place, keys []uint64, size int64) []byte {
	slices.Sort(keys)
	filter := newFilter(slices.Compact(keys))
	h := header{footer: true, stream: kind, filter: uint32(len(filter))}
	var blocks []byte
	for i := range table {
		p := &table[i]
		if i == 0 {
			h.oldest, h.newest, h.seq = p.oldest, p.newest, p.seq
		}
		h.count += p.count
		h.oldest, h.newest = min(h.oldest, p.oldest), max(h.newest, p.newest)
		blocks = binary.LittleEndian.AppendUint64(blocks, uint64(p.off))
		blocks = p.append(blocks)
	}
	h.packed, h.raw, h.sum = uint32(len(blocks)), uint32(len(blocks)), crc32.Checksum(blocks, castagnoli)
	b := append(append(h.append(nil), filter...), blocks...)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	return append(append(b, 0, 0, 0, 0), magicEnd...)
}

func (s *stream) close() error {
	var errs []error
	for _, f := range []disk.File{s.tail, s.seg} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	s.tail, s.seg = nil, nil
	return errors.Join(errs...)
}

func (s *stream) abandon() { _ = s.close() }
