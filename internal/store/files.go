package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// files are the numbers of what stands in the store's folder.
type files struct {
	dir   string
	snaps []int // ascending
	logs  []int
}

func (f files) snap(n int) string { return filepath.Join(f.dir, fmt.Sprintf("%08d.snap", n)) }
func (f files) log(n int) string  { return filepath.Join(f.dir, fmt.Sprintf("%08d.log", n)) }

// listFiles reads the folder and removes what an interrupted compaction left half written.
func listFiles(dir string) (files, error) {
	f := files{dir: dir}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return f, err
	}
	for _, e := range entries {
		stem, ext, _ := strings.Cut(e.Name(), ".")
		n, err := strconv.Atoi(stem)
		if err != nil || n < 0 {
			continue
		}
		switch ext {
		case "snap":
			f.snaps = append(f.snaps, n)
		case "log":
			f.logs = append(f.logs, n)
		case "snap.tmp":
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return f, err
			}
		}
	}
	slices.Sort(f.snaps)
	slices.Sort(f.logs)
	return f, nil
}

// base returns the number of the newest snapshot, 0 when there is none.
func (f files) base() int {
	if len(f.snaps) == 0 {
		return 0
	}
	return f.snaps[len(f.snaps)-1]
}

// removeBefore deletes what a newer snapshot has replaced.
func (f files) removeBefore(base int) error {
	var errs []error
	for _, n := range f.snaps {
		if n < base {
			errs = append(errs, os.Remove(f.snap(n)))
		}
	}
	for _, n := range f.logs {
		if n < base {
			errs = append(errs, os.Remove(f.log(n)))
		}
	}
	return errors.Join(errs...)
}

// createLog makes a new log that is there after a crash.
func createLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(logMagic)
	err = errors.Join(err, f.Sync(), syncDir(filepath.Dir(path)))
	if err != nil {
		_ = f.Close()
		_ = os.Remove(path)
		return nil, err
	}
	return f, nil
}

// damage says where a file stops being readable.
type damage struct {
	at    int64 // offset of the first bad octet
	size  int64 // of the file
	whole int   // records behind the damage that are intact
}

// replayFile hands every record of a file to apply. A file that is cut short or damaged gives a *damage.
func replayFile(path string, apply func(record)) (*damage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(f, 1<<20)
	magic := make([]byte, len(logMagic))
	if n, err := io.ReadFull(r, magic); err != nil || string(magic) != logMagic {
		if n < len(magic) && strings.HasPrefix(logMagic, string(magic[:n])) {
			return &damage{0, st.Size(), 0}, nil // torn while it was made
		}
		return nil, fmt.Errorf("%s is not a log of this store (or of a newer version); move it away to start empty", path)
	}
	at := int64(len(magic))
	for {
		rec, took, err := readRecord(r, st.Size()-at)
		switch {
		case err == nil:
			apply(rec)
			at += took
		case errors.Is(err, io.EOF):
			return nil, nil
		case errors.Is(err, errTorn):
			return inspectDamage(f, at, st.Size())
		default:
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
}

func inspectDamage(f *os.File, at, size int64) (*damage, error) {
	// The damaged record's own head is skipped, so that a record inside its payload is not taken for a later one twice.
	const look = 64 << 20
	rest := make([]byte, min(size-at, look))
	if _, err := f.ReadAt(rest, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	whole := 0
	if len(rest) > 1 {
		whole = countWhole(rest[1:])
	}
	return &damage{at: at, size: size, whole: whole}, nil
}

// setAside moves everything from the damage on into path.cut and truncates the file, both durably.
func setAside(path string, d *damage) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if d.size > d.at {
		cut, err := os.OpenFile(path+".cut", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(cut, io.NewSectionReader(f, d.at, d.size-d.at))
		if err = errors.Join(err, cut.Sync(), cut.Close()); err != nil {
			return err
		}
	}
	if err := f.Truncate(d.at); err != nil {
		return err
	}
	if d.at == 0 {
		if _, err := f.WriteAt([]byte(logMagic), 0); err != nil {
			return err
		}
	}
	return errors.Join(f.Sync(), syncDir(filepath.Dir(path)))
}

// writeSnapshot writes commands as a snapshot that is there, complete, or not at all. It returns the file's size.
func writeSnapshot(path string, rec record) (int64, error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	size, err := writeRecords(f, rec)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(tmp)
		return 0, err
	}
	return size, nil
}

func writeRecords(f *os.File, rec record) (int64, error) {
	var buf bytes.Buffer
	buf.WriteString(logMagic)
	size := int64(0)
	flush := func() error {
		size += int64(buf.Len())
		_, err := buf.WriteTo(f)
		return err
	}
	for _, c := range rec.commands {
		one := record{now: rec.now, tick: rec.tick, commands: [][]string{c}}
		buf.Write(appendRecord(buf.AvailableBuffer(), one))
		if buf.Len() >= 1<<20 {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
	if err := flush(); err != nil {
		return 0, err
	}
	return size, f.Sync()
}
