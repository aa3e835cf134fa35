package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	lockName      = "lock"
	segmentBlocks = 64
	resyncStep    = 64 << 10
)

// place is a block in a segment.
type place struct {
	off int64
	header
}

// segment is a segment that is open for reading.
type segment struct {
	f      *os.File
	size   int64
	name   string
	sealed bool
	all    header // of the footer, when sealed
	at     int64  // where it stands
	blocks []place
}

// files are those of one stream in one day.
type files struct {
	segments []string // by number
	tails    []string // by number of the block
}

// days returns the days that there are, oldest first.
func days(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	var list []string
	for _, e := range entries {
		if _, err := time.Parse(time.DateOnly, e.Name()); err == nil && e.IsDir() {
			list = append(list, e.Name())
		}
	}
	slices.Sort(list)
	return list, nil
}

// filesOf lists a stream's files of a day. A day that is gone has none.
func filesOf(dir, day string, s Stream) (files, error) {
	entries, err := os.ReadDir(filepath.Join(dir, day))
	if errors.Is(err, fs.ErrNotExist) {
		return files{}, nil
	}
	if err != nil {
		return files{}, fmt.Errorf("history: %w", err)
	}
	var l files
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), s.String()+"-")
		if !ok {
			continue
		}
		path := filepath.Join(dir, day, e.Name())
		if n, ok := strings.CutSuffix(rest, ".seg"); ok && isNumber(n) {
			l.segments = append(l.segments, path)
		}
		if n, ok := strings.CutSuffix(rest, ".tail"); ok && isNumber(n) {
			l.tails = append(l.tails, path)
		}
	}
	return l, nil // by name, which is by number
}

func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 63)
	return err == nil && n < 1e14 // what tailName has room for
}

func numberOf(path string) uint64 {
	name := filepath.Base(path)
	name = name[strings.IndexByte(name, '-')+1:]
	n, _ := strconv.ParseUint(name[:strings.IndexByte(name, '.')], 10, 63) // filesOf has looked
	return n
}

func segmentName(dir, day string, s Stream, n uint64) string {
	return filepath.Join(dir, day, fmt.Sprintf("%s-%04d.seg", s, n))
}

func tailName(dir, day string, s Stream, seq uint64) string {
	return filepath.Join(dir, day, fmt.Sprintf("%s-%014d.tail", s, seq))
}

// openSegment opens a segment and finds its footer, or, when it has none, its blocks.
func openSegment(name string) (*segment, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	g := &segment{f: f, size: st.Size(), name: name}
	if err := g.footer(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if !g.sealed {
		g.blocks, _, err = walk(f, g.size)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return g, nil
}

func (g *segment) close() { _ = g.f.Close() }

// footer looks for the footer. That there is none is no error.
func (g *segment) footer() error {
	var b [headerSize]byte
	if g.size < headerSize+trailerSize {
		return nil
	}
	if _, err := g.f.ReadAt(b[:trailerSize], g.size-trailerSize); err != nil {
		return err
	}
	off := int64(binary.LittleEndian.Uint64(b[:]))
	if string(b[12:16]) != magicEnd || off < 0 || off > g.size-headerSize-trailerSize {
		return nil
	}
	if _, err := g.f.ReadAt(b[:], off); err != nil {
		return err
	}
	h, err := parseHeader(b[:])
	if errors.Is(err, ErrVersion) {
		return err
	}
	if err != nil || !h.footer || off+h.size()+trailerSize != g.size {
		return nil
	}
	g.sealed, g.all, g.at = true, h, off
	return nil
}

// table reads the blocks of a sealed segment, when they are wanted.
func (g *segment) table() error {
	if !g.sealed || g.blocks != nil {
		return nil
	}
	b := make([]byte, g.all.packed)
	if _, err := g.f.ReadAt(b, g.at+headerSize+int64(g.all.filter)); err != nil {
		return err
	}
	if crc32.Checksum(b, castagnoli) != g.all.sum { // the blocks are there all the same
		var err error
		g.blocks, _, err = walk(g.f, g.at)
		return err
	}
	for len(b) >= 8+headerSize {
		h, err := parseHeader(b[8:])
		if off := int64(binary.LittleEndian.Uint64(b)); err == nil && off >= 0 && off+h.size() <= g.at {
			g.blocks = append(g.blocks, place{off, h})
		}
		b = b[8+headerSize:]
	}
	return nil
}

// has reports whether a frame at off may have all keys.
func (g *segment) has(off int64, h *header, keys []uint64) (bool, error) {
	var line [lineSize]byte
	for _, k := range keys {
		n := lineOf(k, int(h.filter/lineSize))
		if _, err := g.f.ReadAt(line[:], off+headerSize+int64(n)*lineSize); err != nil {
			return false, err
		}
		if !lineHas(line[:], k) {
			return false, nil
		}
	}
	return true, nil
}

// walk finds the blocks of a segment without a footer. end is where the last whole frame ends.
func walk(r io.ReaderAt, size int64) (list []place, end int64, err error) {
	var b [headerSize]byte
	for off := int64(0); off+headerSize <= size; {
		if _, err := r.ReadAt(b[:], off); err != nil {
			return list, end, err
		}
		h, err := parseHeader(b[:])
		if errors.Is(err, ErrVersion) {
			return list, end, err
		}
		if err != nil || off+h.size() > size {
			next, err := resync(r, off+1, size)
			if err != nil || next < 0 {
				return list, end, err
			}
			off = next
			continue
		}
		if !h.footer {
			list = append(list, place{off, h})
		}
		off += h.size()
		end = off
	}
	return list, end, nil
}

// resync finds the next header from off on; -1 when there is none.
func resync(r io.ReaderAt, off, size int64) (int64, error) {
	b := make([]byte, resyncStep+headerSize)
	for ; off+headerSize <= size; off += resyncStep {
		n, err := r.ReadAt(b[:min(int64(len(b)), size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return -1, err
		}
		for i := 0; i+headerSize <= n; i++ {
			if b[i] != 'S' || string(b[i:i+3]) != magicBlock[:3] {
				continue
			}
			if h, err := parseHeader(b[i:n]); err == nil && off+int64(i)+h.size() <= size {
				return off + int64(i), nil
			}
		}
	}
	return -1, nil
}

// tailed is what stands in a tail.
type tailed struct {
	seq   uint64 // of the block that it becomes
	raw   []byte // records, as they would stand there
	sound int64  // octets of the file that are sound
}

func readTail(name string, s Stream) (tailed, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return tailed{}, err
	}
	t, err := parseTail(b, s)
	t.seq = numberOf(name) // no checksum covers the header's: one wrong bit there would put all that is written later out of sight
	return t, err
}

func parseTail(b []byte, s Stream) (tailed, error) {
	le := binary.LittleEndian
	if len(b) < tailHeader || string(b[:4]) != magicTail || Stream(b[5]) != s {
		return tailed{}, fmt.Errorf("%w: no tail", ErrDamaged)
	}
	if b[4] > Version {
		return tailed{}, fmt.Errorf("%w: format %d, this program knows up to %d", ErrVersion, b[4], Version)
	}
	t, at := tailed{}, tailHeader
	for len(b)-at >= 8 {
		n, sum := int(le.Uint32(b[at:])), le.Uint32(b[at+4:])
		if n <= 0 || n > len(b)-at-8 || len(t.raw)+n > maxRaw {
			break
		}
		chunk := b[at+8 : at+8+n]
		if crc32.Checksum(chunk, castagnoli) != sum {
			break
		}
		t.raw = append(t.raw, chunk...)
		at += 8 + n
	}
	t.sound = int64(at)
	return t, nil
}
