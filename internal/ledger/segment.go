package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	tmpName    = "new.tmp"
	lockName   = "lock"
	maxTrouble = 100 // problems that are kept of one segment
)

// segment is the name of a file of the ledger.
type segment struct {
	name string
	seq  int
	day  string
}

func segmentName(seq int, now time.Time) segment {
	day := now.UTC().Format(time.DateOnly)
	return segment{fmt.Sprintf("ledger-%06d-%s.log", seq, day), seq, day}
}

// segments returns those in dir, oldest first.
func segments(dir string) ([]segment, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	var list []segment
	for _, n := range names {
		rest, ok := strings.CutPrefix(n.Name(), "ledger-")
		rest, ok2 := strings.CutSuffix(rest, ".log")
		num, day, ok3 := strings.Cut(rest, "-")
		seq, err := strconv.Atoi(num)
		if _, derr := time.Parse(time.DateOnly, day); ok && ok2 && ok3 && err == nil && derr == nil {
			list = append(list, segment{n.Name(), seq, day})
		}
	}
	slices.SortFunc(list, func(a, b segment) int { return a.seq - b.seq })
	return list, nil
}

// ending says how far a segment can be read.
type ending struct {
	size     int64 // octets of whole lines
	torn     bool  // something follows that is no whole line
	problems []Problem
}

// readSegment calls f for every line that is sound. It fails when the file cannot be read or is of a later version.
func readSegment(name string, f func(e *Event)) (ending, error) {
	var end ending
	file, err := os.Open(name)
	if err != nil {
		return end, fmt.Errorf("ledger: %w", err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 256<<10)
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			end.torn = len(line) > 0
			return end, nil
		}
		for errors.Is(err, bufio.ErrBufferFull) { // no line of ours
			end.size += int64(len(line))
			line, err = r.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return end, fmt.Errorf("ledger: %s: %w", name, err)
		}
		end.size += int64(len(line))
		e, err := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err == nil && n == 1 {
			err = checkFirst(name, &e)
			if errors.Is(err, errLater) {
				return end, err
			}
		}
		if err != nil {
			if len(end.problems) < maxTrouble {
				end.problems = append(end.problems, Problem{name, n, err})
			}
			continue
		}
		f(&e)
	}
}

var errLater = errors.New("of a later version")

func checkFirst(name string, e *Event) error {
	v, err := strconv.Atoi(e.Word)
	if e.Kind != kindLedger || err != nil {
		return fmt.Errorf("%w: the first line does not say the version", ErrInvalid)
	}
	if v > Version {
		return fmt.Errorf("%w: %s is %w: format %d, this program knows up to %d", ErrInvalid, name, errLater, v, Version)
	}
	return nil
}

// Reader reads a ledger, also while another process writes it. Safe for concurrent use.
type Reader struct{ dir string }

// OpenReader opens the ledger for looking. A directory that does not exist is an error that is fs.ErrNotExist.
func OpenReader(dir string) (*Reader, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("ledger: %s is not a directory", dir)
	}
	return &Reader{dir}, nil
}

// Snapshot reads the newest segment. The lines of a running serve that are not on the disk yet may be in it or not.
func (r *Reader) Snapshot() (Snapshot, error) {
	for range 5 {
		list, err := segments(r.dir)
		if err != nil {
			return Snapshot{}, err
		}
		b := newBook()
		if len(list) == 0 {
			return Snapshot{Totals: b.totals()}, nil
		}
		end, err := readSegment(filepath.Join(r.dir, list[len(list)-1].name), b.apply)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Snapshot{}, err
		}
		again, err := segments(r.dir)
		if err != nil {
			return Snapshot{}, err
		}
		if len(again) == 0 || again[len(again)-1] != list[len(list)-1] {
			continue // a new segment has begun meanwhile
		}
		return Snapshot{Totals: b.totals(), Open: b.items(), Problems: end.problems}, nil
	}
	return Snapshot{}, fmt.Errorf("ledger: %s changes faster than it can be read", r.dir)
}

// Events calls f for what the lines of all segments say of mails, oldest first; an accept that was carried over comes more than once,
// later ones as "open". f must not keep e.
func (r *Reader) Events(f func(e *Event)) error {
	list, err := segments(r.dir)
	if err != nil {
		return err
	}
	for _, s := range list {
		_, err := readSegment(filepath.Join(r.dir, s.name), func(e *Event) {
			if e.Kind != kindLedger && e.Kind != kindTotal {
				f(e)
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// History returns the lines whose id the function wants, oldest first, each once.
func (r *Reader) History(want func(id string) bool) ([]Event, error) {
	type key struct{ id, rcpt, word string }
	seen := map[key]bool{}
	var list []Event
	err := r.Events(func(e *Event) {
		if !want(e.ID) {
			return
		}
		if e.Kind == kindOpen {
			if seen[key{e.ID, e.Rcpt, e.Word}] {
				return
			}
			e.Kind = kindAccept
		}
		seen[key{e.ID, e.Rcpt, e.Word}] = true
		list = append(list, *e)
	})
	return list, err
}
