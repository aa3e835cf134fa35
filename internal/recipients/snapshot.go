package recipients

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const snapshotVersion = 1

// snapshot is a copy of a source in memory. It is not changed once it is in use.
type snapshot struct {
	entries []Entry
	index   map[string]int32 // Address.Key -> entries
	head    snapshotHead
}

// snapshotHead is the first line of the file on the disk; the entries follow, one a line, as JSON. Confirmed is written anew
// into a small file of its own beside it when the source says that nothing has changed.
type snapshotHead struct {
	Version int    `json:"version"`
	Source  string `json:"source"`
	Entries int    `json:"entries"`
	Sum     uint32 `json:"sum"` // CRC-32 (IEEE) of the lines of the entries
	// Attributes are what the Attrs of the entries are values of.
	Attributes []string `json:"attributes,omitempty"`
	Confirmed
}

// Confirmed is until when a copy is known to be complete.
type Confirmed struct {
	Taken time.Time `json:"taken"`
	Full  time.Time `json:"full"` // of the last fetch of everything
	Mark  string    `json:"mark,omitempty"`
}

// confirmation is the small file; it holds for the snapshot with this sum.
type confirmation struct {
	Version int    `json:"version"`
	Sum     uint32 `json:"sum"`
	Confirmed
}

func newSnapshot(entries []Entry) *snapshot {
	s := &snapshot{entries: entries, index: make(map[string]int32, len(entries))}
	for i := range entries {
		key := entries[i].Address.Key()
		if _, twice := s.index[key]; !twice {
			s.index[key] = int32(i)
		}
	}
	s.head = snapshotHead{Version: snapshotVersion, Entries: len(entries)}
	return s
}

func (s *snapshot) get(key string) (*Entry, bool) {
	if s == nil {
		return nil, false
	}
	i, ok := s.index[key]
	if !ok {
		return nil, false
	}
	return &s.entries[i], true
}

// with returns the snapshot that a batch makes of it.
func (s *snapshot) with(b Batch) *snapshot {
	if b.Full || s == nil {
		return newSnapshot(b.Entries)
	}
	changed := make(map[string]struct{}, len(b.Gone)+len(b.Entries))
	for _, id := range b.Gone {
		changed[id] = struct{}{}
	}
	for i := range b.Entries {
		changed[b.Entries[i].ID] = struct{}{}
	}
	if len(changed) == 0 {
		n := *s
		return &n
	}
	entries := make([]Entry, 0, len(s.entries)+len(b.Entries))
	for i := range s.entries {
		if _, ok := changed[s.entries[i].ID]; !ok {
			entries = append(entries, s.entries[i])
		}
	}
	return newSnapshot(append(entries, b.Entries...))
}

// save writes the snapshot, or where the entries are those that are on the disk already, the small file; a crash leaves the
// old or the new.
func (s *snapshot) save(path string, before *snapshot) error {
	sum, lines := s.head.Sum, []byte(nil)
	if sum == 0 {
		var err error
		if lines, sum, err = s.lines(); err != nil {
			return err
		}
	}
	if before != nil && before.head.Sum == sum && sum != 0 {
		s.head.Sum = sum
		return writeFile(path+".confirmed", func(w io.Writer) error {
			return json.NewEncoder(w).Encode(confirmation{snapshotVersion, sum, s.head.Confirmed})
		})
	}
	head := s.head
	head.Sum = sum
	err := writeFile(path, func(w io.Writer) error {
		if err := json.NewEncoder(w).Encode(head); err != nil {
			return err
		}
		_, err := w.Write(lines)
		return err
	})
	if err == nil {
		s.head.Sum = sum // only what is on the disk has one
	}
	return err
}

func (s *snapshot) lines() ([]byte, uint32, error) {
	var lines []byte
	for i := range s.entries {
		b, err := json.Marshal(&s.entries[i])
		if err != nil {
			return nil, 0, err
		}
		lines = append(append(lines, b...), '\n')
	}
	return lines, crc32.ChecksumIEEE(lines), nil
}

// errDamaged marks a copy that cannot be used.
var errDamaged = errors.New("the copy on the disk is damaged")

// loadSnapshot reads a copy; nil when there is none.
func loadSnapshot(path, source string) (*snapshot, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := crc32.NewIEEE()
	r := bufio.NewReaderSize(f, 64<<10)
	first, err := r.ReadBytes('\n')
	var head snapshotHead
	if err == nil {
		err = json.Unmarshal(first, &head)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	case head.Version != snapshotVersion:
		return nil, fmt.Errorf("the copy on the disk has the format %d, this version reads %d", head.Version, snapshotVersion)
	case head.Source != source:
		return nil, fmt.Errorf("%w: it is one of %s", errDamaged, head.Source)
	}
	dec := json.NewDecoder(io.TeeReader(r, sum))
	entries := make([]Entry, 0, min(max(head.Entries, 0), 1<<20))
	for dec.More() {
		var e Entry
		if err := dec.Decode(&e); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		entries = append(entries, e)
	}
	if len(entries) != head.Entries || sum.Sum32() != head.Sum {
		return nil, fmt.Errorf("%w: it is not whole", errDamaged)
	}
	s := newSnapshot(entries)
	s.head = head
	s.confirmed(path + ".confirmed")
	return s, nil
}

// confirmed takes over the small file when it belongs to this snapshot. Without it the copy is older than it might be.
func (s *snapshot) confirmed(path string) {
	b, err := os.ReadFile(path)
	var c confirmation
	if err == nil && json.Unmarshal(b, &c) == nil && c.Version == snapshotVersion && c.Sum == s.head.Sum && c.Taken.After(s.head.Taken) {
		s.head.Confirmed = c.Confirmed
	}
}

// writeFile replaces a file: a crash at any point leaves the old or the new one, whole.
func writeFile(path string, write func(io.Writer) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	likeFolder(f, dir)
	w := bufio.NewWriterSize(f, 64<<10)
	err = write(w)
	for _, step := range []func() error{w.Flush, func() error { return f.Chmod(0o640) }, f.Sync} {
		if err == nil {
			err = step()
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// likeFolder gives a file to the owner of its folder: a command that root runs must leave nothing that serve cannot read.
func likeFolder(f *os.File, dir string) {
	info, err := os.Stat(dir)
	if err != nil {
		return
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}

// WriteFile replaces a file in the folder of copies: a crash at any point leaves the old or the new one, whole.
func WriteFile(path string, text []byte) error {
	return writeFile(path, func(w io.Writer) error { _, err := w.Write(text); return err })
}
