package filters

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/oschwald/geoip2-golang/v2"
)

// mmdb is one database file. The library must not read a file that may be rewritten in place, so it is read into memory
// whole, tried, and swapped in; the old one is left to the garbage collector, since look-ups may still be in it.
type mmdb struct {
	key    string // of its warnings
	path   string
	try    func(*geoip2.Reader) error
	log    *slog.Logger
	warn   func(key, message string)
	reader atomic.Pointer[geoip2.Reader]
	seen   fileMark // of the last attempt to load
}

// fileMark tells whether a file has changed.
type fileMark struct {
	size int64
	time time.Time
	info os.FileInfo // which file it is
}

func markOf(st os.FileInfo) fileMark { return fileMark{st.Size(), st.ModTime(), st} }

func (m fileMark) same(o fileMark) bool {
	return m.size == o.size && m.time.Equal(o.time) && m.info != nil && o.info != nil && os.SameFile(m.info, o.info)
}

func (m *mmdb) load() error {
	st, err := os.Stat(m.path)
	if err != nil {
		return err
	}
	m.seen = markOf(st)
	data, err := os.ReadFile(m.path)
	if err != nil {
		return err
	}
	r, err := geoip2.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("%s is not a usable database: %w", m.path, err)
	}
	if err := m.try(r); err != nil {
		return fmt.Errorf("%s does not answer a look-up: %w", m.path, err)
	}
	m.reader.Store(r)
	return nil
}

// damaged says that a look-up failed: the library's words go to the log only, they are too long for a header.
func (m *mmdb) damaged(err error) error {
	m.log.Debug("database look-up failed", "path", m.path, "err", err)
	return errors.New("the database is damaged")
}

// reload loads the file when it has changed. One that does not load leaves the old one in force and is said.
func (m *mmdb) reload() {
	if m == nil {
		return
	}
	if st, err := os.Stat(m.path); err == nil && markOf(st).same(m.seen) {
		return
	}
	if err := m.load(); err != nil {
		m.warn(m.key, "the database in use is kept: "+err.Error())
		return
	}
	m.warn(m.key, "")
	m.log.Info("database loaded", "path", m.path)
}
