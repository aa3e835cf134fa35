package recipients

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"time"
)

// calloutFile is what a backend said, on the disk, so that it answers after a restart while the backend is away. What it
// refused is not kept: that would be an old "unknown".
type calloutFile struct {
	Version int                  `json:"version"`
	Open    map[string]bool      `json:"accepts_all"`
	Found   map[string]time.Time `json:"accepted"`
}

func (c *calloutPlace) load() error {
	b, err := readBounded(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var f calloutFile
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	if f.Version != snapshotVersion {
		return errors.New("it is of another version")
	}
	if info, err := os.Stat(c.path); err == nil {
		c.saved = info.ModTime()
	}
	maps.Copy(c.found, f.Found)
	for _, name := range c.names {
		if all, ok := f.Open[name]; ok {
			c.open[name] = all
		}
	}
	return nil
}

func (c *calloutPlace) save() {
	if c.path == "" || c.o.ReadOnly {
		return
	}
	c.mu.Lock()
	f := calloutFile{snapshotVersion, maps.Clone(c.open), make(map[string]time.Time, len(c.found))}
	now := c.o.Now()
	for k, at := range c.found {
		if now.Sub(at) < c.keep {
			f.Found[k] = at
		}
	}
	c.saved, c.dirty = now, false
	c.mu.Unlock()
	if err := writeFile(c.path, func(w io.Writer) error { return json.NewEncoder(w).Encode(f) }); err != nil {
		c.o.Log.Warn("recipients: what the backend accepted cannot be written", "file", c.path, "err", err)
	}
}
