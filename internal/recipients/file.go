package recipients

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/mail"
)

// file is a recipient or alias file. Safe for concurrent use.
type file struct {
	path     string
	optional bool // it may be missing
	log      *slog.Logger
	now      func() time.Time
	attrs    []string // that it may give, in lower case

	loaded atomic.Pointer[loadedFile]

	mu     sync.Mutex // one reads at a time
	stamps []stamp    // of the file and its includes, as they were looked at last
	failed error
}

type loadedFile struct {
	names map[string]*record
	at    time.Time
}

// stamp tells whether a file may have changed.
type stamp struct {
	path string
	mod  time.Time
	size int64
	err  string
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{path: path, err: err.Error()}
	}
	return stamp{path: path, mod: info.ModTime(), size: info.Size()}
}

// load reads the file. With an error what was loaded before stays. The lock is held, or nobody else has the file yet.
func (f *file) load() error {
	f.stamps = []stamp{stampOf(f.path)} // a file that does not load is complained of once
	text, err := readBounded(f.path)
	if f.optional && errors.Is(err, fs.ErrNotExist) {
		text, err = nil, nil
	}
	if err != nil {
		return err
	}
	names, err := parseFile(f.path, text, f.attrs, func(name string) ([]byte, error) {
		f.stamps = append(f.stamps, stampOf(name))
		return readBounded(name)
	})
	if err != nil {
		return err
	}
	f.loaded.Store(&loadedFile{names, f.now()})
	return nil
}

// reload reads the file again when it, or what it includes, has changed. One that does not load leaves the old one in force.
func (f *file) reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := false
	for _, s := range f.stamps {
		changed = changed || stampOf(s.path) != s
	}
	if !changed {
		return
	}
	f.failed = f.load()
	if f.failed != nil {
		f.log.Warn("recipients: the file does not load, the old list stays in force", "file", f.path, "err", f.failed)
		return
	}
	f.log.Info("recipients: reloaded", "file", f.path, "entries", len(f.loaded.Load().names))
}

// get finds an address, a name that holds in every domain, or with an empty Local what catches all of the domain.
func (f *file) get(a mail.Address) (record, bool) {
	l := f.loaded.Load()
	if l == nil {
		return record{}, false
	}
	r, ok := l.names[a.Key()]
	if !ok && a.Local != "" {
		r, ok = l.names[strings.ToLower(a.Local)]
	}
	if !ok || r == nil {
		return record{attrs: attributes{names: f.attrs}}, ok
	}
	return *r, true
}

func (f *file) lastError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *file) status() Status {
	var s Status
	if l := f.loaded.Load(); l != nil {
		s.Entries, s.Taken = len(l.names), l.at
	}
	if err := f.lastError(); err != nil {
		s.Error = err.Error()
	}
	return s
}
