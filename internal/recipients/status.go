package recipients

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

const statusFile = "status.json"

// writeStatus leaves how everything is for the commands, when it has changed.
func (d *Directory) writeStatus() {
	if d.o.Dir == "" || d.o.ReadOnly {
		return
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	b, err := json.MarshalIndent(d.Status(), "", "  ")
	if err != nil || string(b) == d.written {
		return
	}
	err = WriteFile(filepath.Join(d.o.Dir, statusFile), append(b, '\n'))
	if err != nil {
		d.o.Log.Warn("recipients: the status cannot be written", "err", err)
		return
	}
	d.written = string(b)
}

// LastStatus reads what the running serve last wrote about its places; the error is one of the file system.
func LastStatus(dir string) ([]Status, error) {
	b, err := readBounded(filepath.Join(dir, statusFile))
	if err != nil {
		return nil, err
	}
	var all []Status
	return all, json.Unmarshal(b, &all)
}

// Words says how a place is, for people.
func (s Status) Words(now time.Time) string {
	var parts []string
	if s.Entries > 0 || !s.Taken.IsZero() {
		parts = append(parts, fmt.Sprintf("%d entries", s.Entries))
	}
	if !s.Taken.IsZero() {
		parts = append(parts, fmt.Sprintf("as of %s ago", now.Sub(s.Taken).Round(time.Second)))
	}
	if s.Stale {
		parts = append(parts, "too old to say that somebody is unknown")
	}
	for _, name := range s.Accepts {
		parts = append(parts, "the backend accepts every address of "+name)
	}
	if n := len(s.Problems); n > 0 {
		parts = append(parts, fmt.Sprintf("%d values not understood, the first: %s", n, s.Problems[0]))
	}
	if n := len(s.Forward); n > 0 {
		parts = append(parts, fmt.Sprintf("%d times ~/.forward could not be read, the first: %s", n, s.Forward[0]))
	}
	if s.Error != "" {
		parts = append(parts, "last error: "+s.Error)
	}
	if len(parts) == 0 {
		return "nothing to fetch"
	}
	return strings.Join(parts, ", ")
}
