package bayes

import (
	"testing"
	"unicode"
)

// TestIsMark: what is left out for speed has no mark in it.
func TestIsMark(t *testing.T) {
	for r := rune(0x300); r <= unicode.MaxRune; r++ {
		if isMark(r) != unicode.Is(unicode.Mn, r) {
			t.Errorf("%U", r)
		}
	}
}
