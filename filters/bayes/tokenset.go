package bayes

import (
	"hash/maphash"
	"strings"
)

// tokenSet holds distinct tokens in the order in which they came, up to 65,535 of them. It is a hash table with open addressing whose
// slots say where in list a token stands: looking one up and adding it takes one hash, with a seed that no sender knows.
type tokenSet struct {
	list  []string
	slots []uint32 // 0: free; else 16 bits of the hash, and the index in list plus 1. A power of two of them, at most half of them taken
	seed  maphash.Seed
	block strings.Builder // holds the newest tokens
}

const (
	// tokenBlock is how many octets of tokens share one allocation, which lives as long as any of them.
	tokenBlock = 2048
	indexBits  = 16
)

const _ = uint16(MaxTokens) // an index fits

// newTokenSet has room for about n tokens.
func newTokenSet(n int) tokenSet {
	slots := 64
	for slots < 2*n {
		slots *= 2
	}
	return tokenSet{list: make([]string, 0, n), slots: make([]uint32, slots), seed: maphash.MakeSeed()}
}

// has reports whether token is there.
func (t *tokenSet) has(token []byte) bool {
	_, ok := t.find(token, t.hash(token))
	return ok
}

func (t *tokenSet) hash(token []byte) uint64 { return maphash.Bytes(t.seed, token) }

// find returns the slot of a token, or the free one where it belongs.
func (t *tokenSet) find(token []byte, hash uint64) (slot uint64, ok bool) {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s == 0 {
			return i, false
		}
		if s>>indexBits == uint32(hash>>(64-indexBits)) && t.list[s&(1<<indexBits-1)-1] == string(token) {
			return i, true
		}
	}
}

// insert adds a token that is not there, whose slot find gave.
func (t *tokenSet) insert(token []byte, hash, slot uint64) {
	if t.block.Cap()-t.block.Len() < len(token) {
		t.block = strings.Builder{}
		t.block.Grow(max(tokenBlock, len(token)))
	}
	start := t.block.Len()
	t.block.Write(token)
	t.list = append(t.list, t.block.String()[start:])
	t.slots[slot] = uint32(hash>>(64-indexBits))<<indexBits | uint32(len(t.list))
	if 2*len(t.list) >= len(t.slots) {
		t.grow()
	}
}

func (t *tokenSet) grow() {
	t.slots = make([]uint32, 2*len(t.slots))
	mask := uint64(len(t.slots) - 1)
	for i, token := range t.list {
		hash := maphash.String(t.seed, token)
		at := hash & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = uint32(hash>>(64-indexBits))<<indexBits | uint32(i+1)
	}
}
