package ruleset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekimori/internal/disk"
)

const (
	// MaxFile is the largest file whose content is kept; of a larger one, which can only be a list, only the hash is.
	MaxFile = 16 << 20
	// maxOctets is how much the contents of all sets take; the oldest go first.
	maxOctets = 512 << 20
	maxErrors = 20
)

// ErrUnknown is a version that is not kept.
var ErrUnknown = errors.New("no such version is kept")

// Store is the directory of a host. Safe for concurrent use, also by several processes.
type Store struct {
	dir  string
	keep int
}

// Open opens the directory, making it where it is not there. keep is the number of entries of the history that stay, at least 2.
func Open(dir string, keep int) (*Store, error) {
	s := Reader(dir)
	s.keep = max(keep, 2)
	for _, d := range []string{dir, s.path("files"), s.path("sets"), s.path("log")} {
		if err := disk.Mkdir(d); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Reader gives a Store that is only read; the directory need not be there.
func Reader(dir string) *Store { return &Store{dir: dir} }

func (s *Store) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// Add writes a set and its entry down, unless the newest entry of that state says the same, and removes what is too old. The entry's
// version is set here.
func (s *Store) Add(set Set, e Entry) (Manifest, error) {
	m := set.Manifest()
	e.Version = m.Version
	if len(e.Errors) > maxErrors {
		e.Errors = append(slices.Clone(e.Errors[:maxErrors]), fmt.Sprintf("and %d more", len(e.Errors)-maxErrors))
	}
	if old, err := s.History(); err == nil && same(old, e) {
		return m, nil
	}
	for _, f := range m.Files {
		if !f.Kept {
			continue
		}
		if _, err := os.Stat(s.path("files", f.Sum)); err == nil {
			continue
		}
		if err := s.write(set.Files[f.Name], "files", f.Sum); err != nil {
			return m, err
		}
	}
	if err := s.writeJSON(m, "sets", m.Version); err != nil {
		return m, err
	}
	if err := s.writeJSON(e, "log", logName(e)); err != nil {
		return m, err
	}
	return m, s.prune(m.Version)
}

func logName(e Entry) string { return fmt.Sprintf("%020d-%s", e.Time.UnixNano(), e.Version) }

// same reports whether the history, newest first, ends with what the entry says.
func same(history []Entry, e Entry) bool {
	for _, old := range history {
		switch {
		case e.State == InForce && old.State == InForce:
			return old.Version == e.Version
		case e.State == Refused && (old.State == Refused || old.State == InForce):
			return old.State == Refused && old.Version == e.Version && slices.Equal(old.Errors, e.Errors)
		case e.State == Rollback || e.State == Kept || e.State == Written:
			return false
		}
	}
	return false
}

func (s *Store) writeJSON(v any, parts ...string) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return s.write(append(text, '\n'), parts...)
}

// write makes a file that is there whole or not at all.
func (s *Store) write(data []byte, parts ...string) error {
	name := s.path(parts...)
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := disk.Own(f.Name()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// History returns all entries, newest first. A record that cannot be read is left out.
func (s *Store) History() ([]Entry, error) {
	names, err := s.names("log")
	if err != nil {
		return nil, err
	}
	list := []Entry{}
	for i := len(names) - 1; i >= 0; i-- {
		var e Entry
		switch err := s.readJSON(&e, "log", names[i]); {
		case errors.Is(err, fs.ErrPermission):
			return nil, err
		case err == nil:
			list = append(list, e)
		}
	}
	return list, nil
}

// Since returns since when a version is in force without another one between.
func (s *Store) Since(version string) (time.Time, error) {
	history, err := s.History()
	if err != nil {
		return time.Time{}, err
	}
	var since time.Time
	for _, e := range history {
		if e.State != InForce {
			continue
		}
		if e.Version != version {
			break
		}
		since = e.Time
	}
	if since.IsZero() {
		return since, ErrUnknown
	}
	return since, nil
}

// names lists the records of a kind, sorted; none when the directory is not there.
func (s *Store) names(kind string) ([]string, error) {
	entries, err := os.ReadDir(s.path(kind))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (s *Store) readJSON(v any, parts ...string) error {
	text, err := os.ReadFile(s.path(parts...))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// Find returns the manifest of the version that begins with the given text, of at least four characters. Its error, which wraps
// ErrUnknown, is for people.
func (s *Store) Find(version string) (Manifest, error) {
	var m Manifest
	names, err := s.names("sets")
	if err != nil {
		return m, err
	}
	var found []string
	for _, n := range names {
		if strings.HasPrefix(n, version) && len(version) >= 4 {
			found = append(found, n)
		}
	}
	switch {
	case len(version) < 4:
		return m, fmt.Errorf("%q: %w: a version is named by at least its first four characters; sekimori rules history lists them", version, ErrUnknown)
	case len(found) == 0:
		return m, fmt.Errorf("%q: %w; sekimori rules history lists them", version, ErrUnknown)
	case len(found) > 1:
		return m, fmt.Errorf("%q: %w: it may be %s", version, ErrUnknown, strings.Join(found, ", "))
	}
	return m, s.readJSON(&m, "sets", found[0])
}

// Set returns a version with the contents of its files. missing names those that are not kept.
func (s *Store) Set(m Manifest) (set Set, missing []string, err error) {
	set = Set{Settings: m.Settings, Files: map[string][]byte{}}
	for _, f := range m.Files {
		data, err := os.ReadFile(s.path("files", f.Sum))
		switch {
		case err == nil:
			set.Files[f.Name] = data
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, f.Name)
		default:
			return set, nil, err
		}
	}
	return set, missing, nil
}

// prune removes the oldest entries beyond the number and the room there is, and what none of the rest needs. The version that was
// added last stays, as does the one in force.
func (s *Store) prune(last string) error {
	names, err := s.names("log")
	if err != nil {
		return err
	}
	history, err := s.History()
	if err != nil {
		return err
	}
	inForce := slices.IndexFunc(history, func(e Entry) bool { return e.State == InForce })
	stay, needed := map[string]bool{last: true}, map[string]bool{}
	if inForce >= 0 {
		stay[history[inForce].Version] = true
	}
	octets := int64(0)
	var errs []error
	for n, name := range slices.Backward(names) {
		_, version, _ := strings.Cut(name, "-")
		var m Manifest
		size := int64(0)
		if s.readJSON(&m, "sets", version) == nil {
			size = m.newOctets(needed)
		}
		present := inForce >= 0 && name == logName(history[inForce])
		if !present && (len(names)-n > s.keep || !stay[version] && octets+size > maxOctets) {
			errs = append(errs, os.Remove(s.path("log", name)))
			continue
		}
		octets += size
		stay[version] = true
		for _, f := range m.Files {
			needed[f.Sum] = true
		}
	}
	errs = append(errs, s.sweep("sets", stay), s.sweep("files", needed))
	return errors.Join(errs...)
}

// newOctets is how much a set adds to what is needed already.
func (m Manifest) newOctets(needed map[string]bool) int64 {
	n := int64(0)
	for _, f := range m.Files {
		if f.Kept && !needed[f.Sum] {
			n += f.Size
		}
	}
	return n
}

// freshFor is how long what nothing needs stays: another process may be about to write the entry that does.
const freshFor = time.Minute

func (s *Store) sweep(kind string, needed map[string]bool) error {
	names, err := s.names(kind)
	errs := []error{err}
	for _, n := range names {
		if needed[n] {
			continue
		}
		if info, err := os.Stat(s.path(kind, n)); err != nil || time.Since(info.ModTime()) < freshFor {
			continue
		}
		if err := os.Remove(s.path(kind, n)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
