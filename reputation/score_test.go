package reputation

import (
	"fmt"
	"math"
	"testing"
)

func TestKindOf(t *testing.T) {
	for token, want := range map[string]kind{
		"word": kindText, "don't-miss": kindText, "100%": kindText, "東京": kindText, "long:f": kindText,
		"s:word": kindHeader, "sc:end!": kindHeader, "r=other": kindHeader, "i=from": kindHeader, "p=from": kindHeader, "ip:192.0.2.0/24": kindHeader,
		"ud:x.test": kindLink, "u=other": kindLink, "u:port": kindLink, "umd:x.test": kindLink, "a:other": kindLink,
		"g:img.src": kindForm, "tree:0mixed ": kindForm, "n:textf": kindForm, "hid:word": kindForm, "alt:word": kindForm, "att:word": kindForm, "look:mixed": kindForm,
	} {
		if got := kindOf(token); got != want {
			t.Errorf("%q: %d, not %d", token, got, want)
		}
	}
}

// TestPoison adds 5,000 words to a spam: words that nobody has seen move nothing, and words of hams move z by no more than the
// bounds of the text let them.
func TestPoison(t *testing.T) {
	m := NewModel()
	for i := range 400 {
		spam := []string{"h:list-id", "fd:spam.test", "ud:evil.test", "g:img"}
		ham := []string{"h:list-id", "fd:ham.test", "ud:good.test", "g:p"}
		for j := range 30 {
			spam = append(spam, fmt.Sprint("pill", (i*7+j)%300))
		}
		for j := range 150 {
			ham = append(ham, fmt.Sprint("minutes", (i*131+j)%6000))
		}
		m.addShown(Spam, 1)
		m.learn(Spam, spam, 1)
		m.addShown(Ham, 1)
		m.learn(Ham, ham, 1)
	}
	spam := []string{"h:list-id", "fd:spam.test", "ud:evil.test", "g:img"}
	for j := range 30 {
		spam = append(spam, fmt.Sprint("pill", j))
	}
	before := m.Score(spam).Z
	random, salad := append([]string{}, spam...), append([]string{}, spam...)
	for i := range 5000 {
		random = append(random, fmt.Sprint("zxq", i))
		salad = append(salad, fmt.Sprint("minutes", i))
	}
	if z := m.Score(random).Z; z != before {
		t.Errorf("random words move z from %.2f to %.2f", before, z)
	}
	moved := before - m.Score(salad).Z
	if bound := gain * (maxSpamSum - maxHamSum) / math.Sqrt(1.1*1.1+0.8*0.8+1+1); moved <= 0 || moved > bound+1e-9 {
		t.Errorf("words of hams move z from %.2f by %.2f, more than %.2f", before, moved, bound)
	}
	t.Logf("z %.2f, with 5,000 words of hams %.2f lower", before, moved)
}
