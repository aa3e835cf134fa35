package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/spool"
)

// maildir delivers into one Maildir (tmp, new, cur) for all recipients: one file per mail. On top of the octets as they came,
// CRLF line ends included, stand Return-Path (RFC 5321 section 4.4) and one Delivered-To per recipient. No address becomes
// a part of a path. The mail is on the disk, with its name, before the answer.
type maildir struct {
	target
	breaker
	host string
	seq  atomic.Uint64
	pid  int
	busy atomic.Int32 // deliveries under way

	mu  sync.Mutex
	new *spool.DirSync // open once the directories are there
}

func newMaildir(t target, host string) *maildir {
	host = strings.NewReplacer("/", `\057`, ":", `\072`).Replace(host)
	return &maildir{target: t, host: host, pid: os.Getpid()}
}

func (m *maildir) name() string                      { return m.url }
func (m *maildir) health() *breaker                  { return &m.breaker }
func (m *maildir) offers() (caps, bool)              { return caps{eightBit: true, utf8: true}, true }
func (m *maildir) counts() (busy, idle, waiting int) { return int(m.busy.Load()), 0, 0 }
func (m *maildir) reap(time.Time)                    {}
func (m *maildir) wake(error)                        {}

func (m *maildir) shut(hard bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if hard && m.new != nil {
		m.new.Close()
		m.new = nil
	}
}

func (m *maildir) probe(context.Context) error {
	_, err := m.open()
	return err
}

// open makes the directories when they are not there.
func (m *maildir) open() (*spool.DirSync, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.new != nil {
		return m.new, nil
	}
	for _, d := range []string{"", "tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(m.path, d), 0o700); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{m.path, filepath.Dir(m.path)} {
		if err := syncOnce(d); err != nil {
			return nil, err
		}
	}
	ds, err := spool.OpenDirSync(filepath.Join(m.path, "new"))
	m.new = ds
	return ds, err
}

func syncOnce(dir string) error {
	d, err := spool.OpenDirSync(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (m *maildir) send(ctx context.Context, j *job, _, _ time.Time) result {
	m.busy.Add(1)
	defer m.busy.Add(-1)
	res := result{backend: m.url}
	if err := ctx.Err(); err != nil {
		res.fault, res.err = aborted, err
		return res
	}
	if err := m.deliver(j); err != nil {
		res.fault, res.blame, res.err = unwell, true, err
		switch {
		case errors.Is(err, errAborted):
			res.fault, res.blame = aborted, false
		case errors.Is(err, errTaken):
			res.fault = lost
		}
		return res
	}
	m.ok()
	res.answers = make([]answer, len(j.rcpts))
	for i := range res.answers {
		res.answers[i] = answer{delivered, reply{code: 250}}
	}
	return res
}

func (m *maildir) deliver(j *job) error {
	dir, err := m.open()
	if err != nil {
		return err
	}
	now := time.Now()
	name := fmt.Sprintf("%d.M%06dP%dQ%d.%s", now.Unix(), now.Nanosecond()/1000, m.pid, m.seq.Add(1), m.host)
	tmp, final := filepath.Join(m.path, "tmp", name), filepath.Join(m.path, "new", name)
	if err = writeMaildir(tmp, j); err == nil && j.beforeEnd != nil {
		if err = j.beforeEnd(); err != nil {
			err = errors.Join(errAborted, err)
		}
	}
	if err == nil {
		err = os.Rename(tmp, final)
	}
	if errors.Is(err, os.ErrNotExist) {
		m.shut(true) // somebody took the directories away: make them again the next time
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	if err = dir.Sync(); err != nil && os.Remove(final) != nil {
		err = errors.Join(errTaken, err)
	}
	return err
}

// errTaken says that a mail could not be made safe, and cannot be taken back: whoever reads the Maildir may have it.
var errTaken = errors.New("the mail may have been read already")

func writeMaildir(name string, j *job) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 16<<10)
	w.WriteString("Return-Path: <" + headerSafe(j.from) + ">\r\n")
	for _, rcpt := range j.rcpts {
		w.WriteString("Delivered-To: " + headerSafe(rcpt) + "\r\n")
	}
	for _, p := range j.content {
		w.Write(p)
	}
	err = w.Flush()
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// headerSafe keeps an address from breaking out of its header field.
func headerSafe(a mail.Address) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return '?'
		}
		return r
	}, a.String())
}
