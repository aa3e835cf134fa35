package people

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sekimori/internal/text"
)

// Mark is the recognition mark of a person: two words, drawn at random and kept, so that nobody who does not read the person's
// digests can know it. It is no password, and opens nothing. The zero Mark is none.
type Mark struct{ first, second int } // 1 + the word's place in the lists

// NewMark draws a mark.
func NewMark(random io.Reader) (Mark, error) {
	first, err := draw(random, len(firstWords))
	if err != nil {
		return Mark{}, err
	}
	second, err := draw(random, len(secondWords))
	return Mark{first + 1, second + 1}, err
}

// draw returns a number below n, each as likely.
func draw(random io.Reader, n int) (int, error) {
	if random == nil {
		random = rand.Reader
	}
	most := ^uint32(0) - ^uint32(0)%uint32(n)
	for {
		var b [4]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, fmt.Errorf("people: no randomness: %w", err)
		}
		if v := binary.BigEndian.Uint32(b[:]); v < most {
			return int(v % uint32(n)), nil
		}
	}
}

// Words gives the mark in a language: 青いもみじ, blue maple. Both are of the same mark.
func (m Mark) Words(lang text.Lang) string {
	if m.IsZero() {
		return ""
	}
	a, b := firstWords[m.first-1], secondWords[m.second-1]
	if lang == text.Ja {
		return a[0] + b[0]
	}
	return a[1] + " " + b[1]
}

// IsZero reports whether there is none.
func (m Mark) IsZero() bool { return m == Mark{} }

// String gives what ParseMark reads.
func (m Mark) String() string {
	if m.IsZero() {
		return ""
	}
	return strconv.Itoa(m.first) + "." + strconv.Itoa(m.second)
}

// ParseMark reads a mark; what is none is the zero Mark.
func ParseMark(s string) Mark {
	a, b, _ := strings.Cut(s, ".")
	first, aerr := strconv.Atoi(a)
	second, berr := strconv.Atoi(b)
	if aerr != nil || berr != nil || first < 1 || first > len(firstWords) || second < 1 || second > len(secondWords) {
		return Mark{}
	}
	return Mark{first, second}
}
