package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Version is the format that this package writes, and the highest that it reads.
const Version = 1

// Stream is one of the two.
type Stream uint8

// The streams.
const (
	Stories Stream = 1
	Facts   Stream = 2
)

// String is the stream's name in file names.
func (s Stream) String() string {
	if s == Facts {
		return "facts"
	}
	return "stories"
}

const (
	headerSize  = 64
	trailerSize = 16
	tailHeader  = 16
	maxRaw      = 16 << 20 // of a block
	maxFilter   = 64 << 20
	maxPacked   = 64 << 20
)

const (
	magicBlock  = "SKHB"
	magicFooter = "SKHF"
	magicEnd    = "SKHE"
	magicTail   = "SKHT"
)

// Errors of this package, for errors.Is.
var (
	ErrLocked  = errors.New("history: in use by another process")
	ErrDamaged = errors.New("history: damaged")
	ErrVersion = errors.New("history: written by a later version")
)

// header is that of a frame.
type header struct {
	footer         bool
	stream         Stream
	count          uint32
	raw, packed    uint32
	filter         uint32
	oldest, newest int64 // µs
	seq            uint64
	sum            uint32 // of packed
}

func (h *header) size() int64 { return headerSize + int64(h.filter) + int64(h.packed) }

func (h *header) append(b []byte) []byte {
	from := len(b)
	magic := magicBlock
	if h.footer {
		magic = magicFooter
	}
	b = append(b, magic...)
	b = append(b, Version, byte(h.stream), 0, 0)
	le := binary.LittleEndian
	b = le.AppendUint32(b, h.count)
	b = le.AppendUint32(b, h.raw)
	b = le.AppendUint32(b, h.packed)
	b = le.AppendUint32(b, h.filter)
	b = le.AppendUint64(b, uint64(h.oldest))
	b = le.AppendUint64(b, uint64(h.newest))
	b = le.AppendUint64(b, h.seq)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, h.sum)
	return le.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
}

// parseHeader reads the 64 octets of a header; whatever it returns without an error has sound bounds.
func parseHeader(b []byte) (header, error) {
	le := binary.LittleEndian
	if len(b) < headerSize || crc32.Checksum(b[:60], castagnoli) != le.Uint32(b[60:]) {
		return header{}, fmt.Errorf("%w: no header", ErrDamaged)
	}
	h := header{
		footer: string(b[:4]) == magicFooter, stream: Stream(b[5]), count: le.Uint32(b[8:]), raw: le.Uint32(b[12:]), packed: le.Uint32(b[16:]),
		filter: le.Uint32(b[20:]), oldest: int64(le.Uint64(b[24:])), newest: int64(le.Uint64(b[32:])), seq: le.Uint64(b[40:]), sum: le.Uint32(b[56:]),
	}
	switch {
	case !h.footer && string(b[:4]) != magicBlock:
		return header{}, fmt.Errorf("%w: no header", ErrDamaged)
	case b[4] > Version:
		return header{}, fmt.Errorf("%w: format %d, this program knows up to %d", ErrVersion, b[4], Version)
	case h.raw > maxRaw, h.packed > maxPacked, h.filter > maxFilter, h.filter%lineSize != 0, h.filter == 0:
		return header{}, fmt.Errorf("%w: sizes out of bounds", ErrDamaged)
	}
	return h, nil
}

// codec packs and unpacks blocks. Safe for concurrent use.
type codec struct {
	enc *zstd.Encoder // nil: reads only
	dec *zstd.Decoder
}

func newCodec(write bool) (codec, error) {
	var c codec
	var err error
	if c.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxRaw)); err != nil {
		return c, err
	}
	if write {
		c.enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	}
	return c, err
}

func (c codec) close() {
	c.dec.Close()
	if c.enc != nil {
		_ = c.enc.Close()
	}
}

// block reads and unpacks the block of a header that stands at off.
func (c codec) block(r io.ReaderAt, off int64, h *header) ([]byte, error) {
	packed := make([]byte, h.packed)
	if _, err := r.ReadAt(packed, off+headerSize+int64(h.filter)); err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", ErrDamaged, h.seq, err)
	}
	if crc32.Checksum(packed, castagnoli) != h.sum {
		return nil, fmt.Errorf("%w: block %d does not match its checksum", ErrDamaged, h.seq)
	}
	raw, err := c.dec.DecodeAll(packed, make([]byte, 0, h.raw))
	if err != nil || len(raw) != int(h.raw) {
		return nil, fmt.Errorf("%w: block %d cannot be unpacked", ErrDamaged, h.seq)
	}
	return raw, nil
}

// records cuts a block, or what stands in a tail, into its records.
func records(raw []byte) ([][]byte, error) {
	var list [][]byte
	for len(raw) > 0 {
		n, w := binary.Uvarint(raw)
		if w <= 0 || n > uint64(len(raw)-w) {
			return list, fmt.Errorf("%w: a record is cut off", ErrDamaged)
		}
		list = append(list, raw[w:w+int(n)])
		raw = raw[w+int(n):]
	}
	return list, nil
}

// Record is the facts of one mail.
type Record struct {
	Time time.Time
	ID   string
	Data []byte // as package rules wrote it
}

func appendFacts(b []byte, t time.Time, id string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(t.UnixMicro()))
	b = binary.AppendUvarint(b, uint64(len(id)))
	return append(b, id...)
}

func parseFacts(b []byte) (Record, error) {
	if len(b) < 8 {
		return Record{}, fmt.Errorf("%w: facts are cut off", ErrDamaged)
	}
	t := time.UnixMicro(int64(binary.LittleEndian.Uint64(b)))
	n, w := binary.Uvarint(b[8:])
	if w <= 0 || n > uint64(len(b)-8-w) {
		return Record{}, fmt.Errorf("%w: facts are cut off", ErrDamaged)
	}
	b = b[8+w:]
	return Record{t, string(b[:n]), b[n:]}, nil
}
