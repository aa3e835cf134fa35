package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekimori/internal/disk"
)

const maxRequest = 1 << 20 // octets

// Request is something that a command asks of the running serve, such as Verb "queue.retry" with IDs as Args.
type Request struct {
	Version int       `json:"version"`
	Verb    string    `json:"verb"`
	Args    []string  `json:"args"`
	Time    time.Time `json:"time"`

	file string
}

// Ask leaves a request in the spool at dir. It may run as another user than serve: the file can be read by everybody, the
// directory only by its owner.
func Ask(dir, verb string, args []string, now time.Time) error {
	b, err := json.Marshal(Request{Version: Version, Verb: verb, Args: args, Time: now})
	if err != nil {
		return err
	}
	if len(b) > maxRequest {
		return fmt.Errorf("%w: the request is too long", ErrInvalid)
	}
	dir = filepath.Join(dir, dirRequests)
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = disk.Own(f.Name())
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	name := filepath.Join(dir, fmt.Sprintf("%d-%s.json", now.UnixNano(), strings.TrimPrefix(filepath.Base(f.Name()), ".new-")))
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return full(fmt.Errorf("spool: %w", err))
	}
	return nil
}

// Requests returns the open requests whose verb begins with prefix, oldest first. One that cannot be read is moved aside and
// reported as a problem.
func (s *Spool) Requests(prefix string) ([]Request, error) {
	dir := filepath.Join(s.dir, dirRequests)
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var list []Request
	for _, n := range names {
		if strings.HasPrefix(n.Name(), ".") {
			continue
		}
		r := Request{file: filepath.Join(dir, n.Name())}
		b, err := readBounded(r.file, maxRequest)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err == nil && r.Version != Version {
			err = fmt.Errorf("%w: a request of version %d", ErrInvalid, r.Version)
		}
		if err != nil {
			s.badRequest(r.file, err)
			continue
		}
		if strings.HasPrefix(r.Verb, prefix) {
			list = append(list, r)
		}
	}
	return list, nil
}

func (s *Spool) badRequest(name string, err error) {
	s.o.Log.Error("spool: a request cannot be read", "path", name, "error", err)
	s.problem(name, err)
	if rerr := os.Rename(name, filepath.Join(s.dir, dirAside, "request-"+filepath.Base(name))); rerr != nil {
		os.RemoveAll(name)
	}
}

// Answered takes a request away.
func (s *Spool) Answered(r Request) error {
	if r.file == "" {
		return nil
	}
	if err := os.Remove(r.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}
