package config

import "strings"

// hint is what is said behind an unknown word: the one that was probably meant, or all that there are.
func hint(got string, known []string) string {
	if near := nearest(got, known); near != "" {
		return "; did you mean " + near + "?"
	}
	if len(known) == 0 {
		return ""
	}
	return "; known here: " + strings.Join(known, ", ")
}

// nearest returns the known word within a third of its length in edits, or "".
func nearest(got string, known []string) string {
	best, bestCost := "", 0
	low := strings.ToLower(strings.ReplaceAll(got, "-", "_"))
	for _, k := range known {
		cost := editDistance(low, strings.ToLower(k))
		if cost <= max(1, len(k)/3) && (best == "" || cost < bestCost) {
			best, bestCost = k, cost
		}
	}
	return best
}

// editDistance is the optimal string alignment distance: insertions, deletions, substitutions, swapped neighbours.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
