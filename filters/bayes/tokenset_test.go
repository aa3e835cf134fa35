package bayes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTokenSet compares with a map, through several growths.
func TestTokenSet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	set, seen := newTokenSet(0), map[string]bool{}
	var list []string
	for range 60000 {
		token := fmt.Append(nil, rnd.IntN(MaxTokens))
		if rnd.IntN(50) == 0 {
			token = append(make([]byte, 3*tokenBlock, 4*tokenBlock), token...)
		}
		slot, ok := set.find(token, set.hash(token))
		if ok != seen[string(token)] || ok != set.has(token) {
			t.Fatalf("%q: %v", token, ok)
		}
		if ok || len(list) == MaxTokens {
			continue
		}
		list, seen[string(token)] = append(list, string(token)), true
		set.insert(token, set.hash(token), slot)
		clear(token) // the set keeps a copy
	}
	if !slices.Equal(set.list, list) {
		t.Error("the tokens are not those that were added, in their order")
	}
	if len(list) < MaxTokens || 2*len(list) >= len(set.slots) {
		t.Errorf("%d tokens in %d slots", len(list), len(set.slots))
	}
}
