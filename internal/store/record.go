package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"
)

// logMagic opens every file of the log.
const logMagic = "sekimori-store 1\n"

const (
	recordHead = 8
	maxRecord  = 1 << 30
)

// record is what stands in the log for one command, or for one transaction or script.
type record struct {
	now      time.Time // when it ran
	tick     time.Time // up to when keys had been expired
	commands [][]string
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errTorn    = errors.New("the record is incomplete or its checksum is wrong")
)

// appendRecord appends the record's octets to b.
func appendRecord(b []byte, rec record) []byte {
	start := len(b)
	b = append(b, make([]byte, recordHead)...)
	b = binary.AppendUvarint(b, uint64(rec.now.UnixMilli()))
	b = binary.AppendUvarint(b, uint64(rec.tick.UnixMilli()))
	b = binary.AppendUvarint(b, uint64(len(rec.commands)))
	for _, args := range rec.commands {
		b = binary.AppendUvarint(b, uint64(len(args)))
		for _, a := range args {
			b = binary.AppendUvarint(b, uint64(len(a)))
			b = append(b, a...)
		}
	}
	payload := b[start+recordHead:]
	binary.LittleEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[start+4:], checksum(b[start:start+4], payload))
	return b
}

func checksum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}

// readRecord reads the next record and says how many octets it took. io.EOF means a clean end, errTorn anything that is
// not a whole record; other errors are those of r.
func readRecord(r io.Reader, left int64) (record, int64, error) {
	var head [recordHead]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		return record{}, int64(n), tornOr(err)
	}
	size := int64(binary.LittleEndian.Uint32(head[:4]))
	if size > maxRecord || size > left-recordHead {
		return record{}, recordHead, errTorn
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return record{}, recordHead, tornOr(noEOF(err))
	}
	if checksum(head[:4], payload) != binary.LittleEndian.Uint32(head[4:]) {
		return record{}, recordHead, errTorn
	}
	rec, err := parsePayload(payload)
	return rec, recordHead + size, err
}

func tornOr(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

func parsePayload(b []byte) (record, error) {
	p := payloadReader{b: b}
	rec := record{now: time.UnixMilli(int64(p.uvarint())), tick: time.UnixMilli(int64(p.uvarint()))}
	for range p.count() {
		args := make([]string, 0, 4)
		for range p.count() {
			args = append(args, p.bytes())
		}
		if len(args) == 0 {
			p.bad = true
			break
		}
		rec.commands = append(rec.commands, args)
	}
	if p.bad || len(p.b) > 0 {
		return record{}, errTorn
	}
	return rec, nil
}

type payloadReader struct {
	b   []byte
	bad bool
}

func (p *payloadReader) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

// count reads a number of things that each take at least one octet.
func (p *payloadReader) count() int {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return 0
	}
	return int(n)
}

func (p *payloadReader) bytes() string {
	n := p.uvarint()
	if n > uint64(len(p.b)) {
		p.bad, p.b = true, nil
		return ""
	}
	s := string(p.b[:n])
	p.b = p.b[n:]
	return s
}

// countWhole counts whole records anywhere in b: how the octets behind a damage are told from a torn end.
func countWhole(b []byte) int {
	n := 0
	for i := 0; i+recordHead <= len(b); {
		size := int64(binary.LittleEndian.Uint32(b[i:]))
		// The smallest record holds two times and one command.
		if size < 5 || size > maxRecord || size > int64(len(b)-i-recordHead) {
			i++
			continue
		}
		rec, took, err := readRecord(bytes.NewReader(b[i:]), int64(len(b)-i))
		if err != nil || len(rec.commands) == 0 {
			i++
			continue
		}
		n++
		i += int(took)
	}
	return n
}
