package reputation

import (
	"hash/fnv"
	"math"
	"slices"
	"strconv"
)

// A campaign is mails that share most of their words. Its mails are recognised by min-hashes: of each of 40 permutations of all words
// the first that the mail has; four together are a band. Two mails of which the part J of all words is the same share a band with the
// probability J⁴: of near copies nearly always one of the ten, of mails about different things nearly never.
const (
	bands   = 10
	perBand = 4
	// fewWords are too few for that: such mails are of one campaign when they have the same words.
	fewWords = 16
)

// campaignOf returns the bands of a mail, as fields of a hash. Only words of the text count.
func campaignOf(tokens []string) []string {
	words := make([]uint64, 0, len(tokens))
	for _, t := range tokens {
		if kindOf(t) == kindText {
			h := fnv.New64a()
			_, _ = h.Write([]byte(t))
			words = append(words, h.Sum64())
		}
	}
	if len(words) == 0 {
		return nil
	}
	slices.Sort(words)
	if len(words) < fewWords {
		sum := uint64(len(words))
		for _, w := range words {
			sum = scatter(sum ^ w)
		}
		return []string{"w" + strconv.FormatUint(sum, 36)}
	}
	fields := make([]string, bands)
	for b := range bands {
		sum := uint64(b)
		for k := range perBand {
			least, seed := uint64(math.MaxUint64), scatter(uint64(b*perBand+k)+1)
			for _, w := range words {
				least = min(least, scatter(w^seed))
			}
			sum = scatter(sum ^ least)
		}
		fields[b] = strconv.Itoa(b) + strconv.FormatUint(sum, 36)
	}
	return fields
}

// scatter is the finalizer of splitmix64: a permutation of all numbers.
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
