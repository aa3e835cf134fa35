package history

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// recover takes up what the last run left: it cuts what is half written, gives segments of earlier days their footer, makes a block
// of a tail that has none, and goes on with what is of today.
func (s *stream) recover() error {
	all, err := days(s.w.dir)
	if err != nil {
		return err
	}
	today := s.w.o.Now().UTC().Format(time.DateOnly)
	s.day = today
	for _, day := range all {
		if err := s.recoverDay(day, day == today); err != nil {
			return err
		}
	}
	if s.day != today { // a tail or a segment of an earlier day is open
		return s.turn(today)
	}
	return nil
}

func (s *stream) recoverDay(day string, today bool) error {
	l, err := filesOf(s.w.dir, day, s.kind)
	if err != nil {
		return err
	}
	if len(l.segments) == 0 && len(l.tails) == 0 {
		return nil
	}
	if s.seg != nil || s.count > 0 { // of the day before
		if err := s.turn(day); err != nil {
			return err
		}
	}
	s.day, s.segNo = day, 0
	for i, name := range l.segments {
		if err := s.recoverSegment(name, i == len(l.segments)-1); err != nil {
			return err
		}
	}
	for _, name := range l.tails {
		if err := s.recoverTail(name); err != nil {
			return err
		}
	}
	if !today && s.count == 0 {
		return s.finish()
	}
	return nil
}

// recoverSegment looks for a footer, and without one cuts what is half written. The last one of a day is gone on with.
func (s *stream) recoverSegment(name string, last bool) error {
	g, err := openSegment(name)
	if errors.Is(err, ErrVersion) {
		return err
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer g.close()
	s.segNo = numberOf(name)
	if g.sealed {
		if err := g.table(); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		for i := range g.blocks {
			s.seq = max(s.seq, g.blocks[i].seq+1)
		}
		return nil
	}
	_, end, err := walk(g.f, g.size)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if end < g.size {
		s.w.o.Log.Warn("history: what was half written is cut off", "file", name, "octets", g.size-end)
		if err := os.Truncate(name, end); err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	f, err := s.w.o.FS.Append(name)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	s.seg, s.segSize, s.table, s.segKeys = f, end, g.blocks, nil
	for i := range g.blocks {
		s.seq = max(s.seq, g.blocks[i].seq+1)
		s.segKeys = s.w.codec.keysOf(g, &g.blocks[i], s.segKeys)
	}
	if !last || len(s.table) >= segmentBlocks {
		return s.finish()
	}
	return nil
}

// keysOf reads the keys of a block, which its filter does not tell. What cannot be read is found by nothing.
func (c codec) keysOf(g *segment, p *place, keys []uint64) []uint64 {
	raw, err := c.block(g.f, p.off, &p.header)
	if err != nil {
		return keys
	}
	list, _ := records(raw)
	from := len(keys)
	for _, r := range list {
		keys = recordKeys(p.stream, r, keys)
	}
	slices.Sort(keys[from:])
	return keys[:from+len(slices.Compact(keys[from:]))]
}

// recoverTail takes up a tail, unless its block is there.
func (s *stream) recoverTail(name string) error {
	t, err := readTail(name, s.kind)
	if errors.Is(err, ErrVersion) {
		return err
	}
	if err != nil || t.seq < s.seq {
		if err != nil {
			s.w.o.Log.Warn("history: a tail cannot be read and is removed", "file", name, "err", err)
		}
		return s.w.o.FS.Remove(name)
	}
	if s.count > 0 { // two tails: the older becomes a block first
		if err := s.seal(); err != nil {
			return err
		}
	}
	list, _ := records(t.raw)
	s.seq, s.raw, s.flushed, s.count = t.seq, s.raw[:0], 0, 0
	for _, r := range list {
		s.put(recordTime(s.kind, r), r)
		s.keys = recordKeys(s.kind, r, s.keys)
	}
	s.flushed, s.tailSize, s.tailDay = len(s.raw), t.sound, s.day
	if err := os.Truncate(name, t.sound); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if s.tail, err = s.w.o.FS.Append(name); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if s.count == 0 {
		s.dropTail()
	}
	return nil
}
