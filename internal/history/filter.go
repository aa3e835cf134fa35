package history

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	lineSize    = 64
	lineBits    = 480
	keysPerLine = 40 // 12 bits a key: less than one in a hundred is found that is not there
	probes      = 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newFilter makes the lines for keys that are each there once.
func newFilter(keys []uint64) []byte {
	lines := max((len(keys)+keysPerLine-1)/keysPerLine, 1)
	f := make([]byte, lines*lineSize)
	for _, k := range keys {
		line := f[lineOf(k, lines)*lineSize:]
		eachBit(k, func(bit uint) bool {
			line[bit/8] |= 1 << (bit % 8)
			return true
		})
	}
	for i := 0; i < len(f); i += lineSize {
		binary.LittleEndian.PutUint32(f[i+60:], crc32.Checksum(f[i:i+60], castagnoli))
	}
	return f
}

// lineOf says in which of so many lines a key would stand.
func lineOf(k uint64, lines int) int { return int((k >> 32) * uint64(lines) >> 32) }

func eachBit(k uint64, f func(bit uint) bool) {
	h := mix(k + 0x9e3779b97f4a7c15)
	for i := range probes {
		if i == 4 {
			h = mix(h + 0x9e3779b97f4a7c15)
		}
		if !f(uint(h & 0xffff * lineBits >> 16)) {
			return
		}
		h >>= 16
	}
}

// lineHas reports whether a key may stand in a line. A line that is not sound has everything.
func lineHas(line []byte, k uint64) bool {
	if len(line) < lineSize || crc32.Checksum(line[:60], castagnoli) != binary.LittleEndian.Uint32(line[60:]) {
		return true
	}
	has := true
	eachBit(k, func(bit uint) bool {
		has = line[bit/8]&(1<<(bit%8)) != 0
		return has
	})
	return has
}
