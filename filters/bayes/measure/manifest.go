package measure

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Entry is a line of a manifest: "NAME ham|spam", then "train" or "test" as often as one likes, the first of which counts, and up to two
// numbers: the time of the mail, and its place in a random order. Lines with # are comments.
type Entry struct {
	Name  string
	Spam  bool
	Part  string // "train", "test" or ""
	Time  int64  // 0 when there is none
	Order int64
	dated bool
	drawn bool
}

// ReadManifest reads the lines. An error names the line.
func ReadManifest(r io.Reader) ([]Entry, error) {
	var list []Entry
	line := 0
	for s := bufio.NewScanner(r); s.Scan(); {
		line++
		w := strings.Fields(s.Text())
		if len(w) == 0 || w[0][0] == '#' {
			continue
		}
		if len(w) < 2 || w[1] != "ham" && w[1] != "spam" {
			return nil, fmt.Errorf("line %d: want NAME and then ham or spam", line)
		}
		e := Entry{Name: w[0], Spam: w[1] == "spam"}
		for _, f := range w[2:] {
			if f == "train" || f == "test" {
				if e.Part == "" {
					e.Part = f
				}
				continue
			}
			n, err := strconv.ParseInt(f, 10, 64)
			switch {
			case err != nil:
				return nil, fmt.Errorf("line %d: %q is neither train, test nor a number", line, f)
			case !e.dated:
				e.Time, e.dated = n, true
			default:
				e.Order, e.drawn = n, true
			}
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the manifest names no mail")
	}
	return list, nil
}

// Split is one way to part mails: entries to learn from, in their order, and entries to score.
type Split struct {
	Name        string // random, time or given
	Train, Test []Entry
}

// Splits parts the entries: by time and by the random order, when they have those, so that the first train mails are learned; else as the
// manifest says itself.
func Splits(list []Entry, train int) ([]Split, error) {
	given := Split{Name: "given"}
	dated, drawn := true, true
	for _, e := range list {
		dated, drawn = dated && e.dated, drawn && e.drawn
		switch e.Part {
		case "train":
			given.Train = append(given.Train, e)
		case "test":
			given.Test = append(given.Test, e)
		}
	}
	if !dated || !drawn {
		if len(given.Train) == 0 || len(given.Test) == 0 {
			return nil, fmt.Errorf("the manifest has neither times and a random order nor mails marked train and mails marked test")
		}
		return []Split{given}, nil
	}
	if train >= len(list) {
		return nil, fmt.Errorf("there are %d mails, too few to learn from %d and score the others", len(list), train)
	}
	by := func(name string, key func(Entry) int64) Split {
		l := slices.Clone(list)
		slices.SortStableFunc(l, func(a, b Entry) int {
			switch x, y := key(a), key(b); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		return Split{name, l[:train], l[train:]}
	}
	return []Split{by("random", func(e Entry) int64 { return e.Order }), by("time", func(e Entry) int64 { return e.Time })}, nil
}
