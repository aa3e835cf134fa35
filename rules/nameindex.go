package rules

import (
	"strings"
	"unicode/utf8"
)

// nameIndex finds names in a text in one pass over it, however many there are (Aho and Corasick, 1975).
type nameIndex struct {
	whole map[string]int   // every shape -> its line
	first [256]int32       // octet -> state, from the start, which is 0
	next  map[uint32]int32 // state << 8 | octet -> state
	fail  []int32          // the longest other state that the text so far may end in
	line  []int32          // of the name that ends in this state, or in one that it falls back to; 0: none
}

// indexNames makes the index of a list of names. The shapes are those of skeleton; one of two letters is found only as the whole.
func indexNames(names []nameEntry) *nameIndex {
	x := &nameIndex{whole: make(map[string]int, len(names)), next: map[uint32]int32{}, fail: []int32{0}, line: []int32{0}}
	for _, n := range names {
		if _, twice := x.whole[n.shape]; twice {
			continue
		}
		x.whole[n.shape] = n.line
		if utf8.RuneCountInString(n.shape) <= 2 {
			continue
		}
		at := int32(0)
		for i := range len(n.shape) {
			edge := uint32(at)<<8 | uint32(n.shape[i])
			to, ok := x.next[edge]
			if !ok {
				to = int32(len(x.fail))
				x.next[edge], x.fail, x.line = to, append(x.fail, 0), append(x.line, 0)
			}
			at = to
		}
		x.line[at] = int32(max(n.line, 1))
	}
	for c := range x.first {
		x.first[c] = x.next[uint32(c)]
	}
	x.link()
	return x
}

// link sets where each state falls back to, the nearest to the start first.
func (x *nameIndex) link() {
	kids := make([][]uint32, len(x.fail))
	for edge := range x.next {
		kids[edge>>8] = append(kids[edge>>8], edge)
	}
	for todo := []int32{0}; len(todo) > 0; todo = todo[1:] {
		at := todo[0]
		for _, edge := range kids[at] {
			to := x.next[edge]
			if at != 0 {
				x.fail[to] = x.step(x.fail[at], byte(edge))
			}
			if x.line[to] == 0 {
				x.line[to] = x.line[x.fail[to]]
			}
			todo = append(todo, to)
		}
	}
}

func (x *nameIndex) step(at int32, c byte) int32 {
	for at != 0 {
		if to, ok := x.next[uint32(at)<<8|uint32(c)]; ok {
			return to
		}
		at = x.fail[at]
	}
	return x.first[c]
}

// find looks for one of the names in the shape of a text.
func (x *nameIndex) find(shape string) (line int, ok bool) {
	if x == nil {
		return 0, false
	}
	if line, ok := x.whole[shape]; ok {
		return line, true
	}
	at := int32(0)
	for i := range len(shape) {
		at = x.step(at, shape[i])
		if line := x.line[at]; line != 0 {
			return int(line), true
		}
	}
	return 0, false
}

// maxShaped is how much of a text is looked at for names, in octets.
const maxShaped = 1000

// shapes keeps the skeletons of the last texts of a mail: several lists are asked about one name. What it keeps is a copy, since a
// text may be a part of a whole mail.
type shapes struct {
	text, shape [4]string
	at          int
}

func (m *shapes) of(s string) string {
	s = clip(s, maxShaped)
	for i := range m.text {
		if m.text[i] == s {
			return m.shape[i]
		}
	}
	m.at = (m.at + 1) % len(m.text)
	m.text[m.at], m.shape[m.at] = strings.Clone(s), skeleton(s)
	return m.shape[m.at]
}
