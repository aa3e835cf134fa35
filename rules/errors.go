package rules

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Error is one thing that is wrong in one place. Line and Column count from 1, in characters; a Line of 0 means that
// there is no place in the file, an empty File that the configuration is meant.
type Error struct {
	File    string
	Line    int
	Column  int
	Message string
}

// Error gives file:line:column: message.
func (e Error) Error() string {
	switch {
	case e.File == "":
		return e.Message
	case e.Line == 0:
		return e.File + ": " + e.Message
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Errors are all errors of a set of rule files, in the order of files and lines. Load returns no other error.
type Errors []Error

// Error gives one error a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

const maxErrors = 200

// diagnostics collects errors and warnings while a set is loaded.
type diagnostics struct {
	errs  Errors
	warns Errors
}

func (d *diagnostics) add(e Error) {
	if len(d.errs) < maxErrors && !slices.Contains(d.errs, e) {
		d.errs = append(d.errs, e)
	}
}

func (d *diagnostics) errorf(f *file, off int, format string, args ...any) {
	d.add(f.at(off, fmt.Sprintf(format, args...)))
}

func (d *diagnostics) warnf(f *file, off int, format string, args ...any) {
	if len(d.warns) < maxErrors {
		d.warns = append(d.warns, f.at(off, fmt.Sprintf(format, args...)))
	}
}

// err returns the errors sorted by place within each file, files in the order in which they were read.
func (d *diagnostics) err() error {
	if len(d.errs) == 0 {
		return nil
	}
	order := map[string]int{}
	for _, e := range d.errs {
		if _, ok := order[e.File]; !ok {
			order[e.File] = len(order)
		}
	}
	slices.SortStableFunc(d.errs, func(a, b Error) int {
		if c := order[a.File] - order[b.File]; c != 0 {
			return c
		}
		if c := a.Line - b.Line; c != 0 {
			return c
		}
		return a.Column - b.Column
	})
	return d.errs
}

// suggest returns `; did you mean "x"?` for the name among known that is nearest to got, or "" when none is near.
func suggest(got string, known []string) string {
	got = norm.NFKC.String(got) // ｓｐｆ of full width is spf
	best, dist := "", len(got)/3+2
	for _, k := range known {
		if d := distance(strings.ToLower(got), strings.ToLower(k), dist); d < dist {
			best, dist = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the optimal string alignment distance (Levenshtein with swaps of neighbours), or limit when it is not
// below limit.
func distance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit || len(a) > 100 || len(b) > 100 {
		return limit
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
	return min(prev[len(b)], limit)
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
