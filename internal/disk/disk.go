// Package disk has the few operations with which the spool and the ledger make things durable. They stand behind an interface
// so that a test can record them, and replay what a power cut leaves of them (powercut).
package disk

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// FS changes a file system. Names are paths. Safe for concurrent use on different names.
type FS interface {
	// Create makes a new file for writing, readable by its owner only; it fails when the name exists. See Own for whose it is.
	Create(name string) (File, error)
	// Append opens an existing file for writing behind its end.
	Append(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	OpenDir(name string) (Dir, error)
}

// File is an open file. Its name is durable only when its directory was synced.
type File interface {
	io.Writer
	// Sync returns when everything written before is on the disk.
	Sync() error
	Truncate(size int64) error
	Close() error
}

// Dir is an open directory.
type Dir interface {
	// Sync returns when every name that was made, changed or removed in it before is on the disk.
	Sync() error
	Close() error
}

// OS is the real file system.
type OS struct{}

// Create implements FS.
func (OS) Create(name string) (File, error) {
	f, err := open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := Own(name); err != nil {
		_ = f.Close()
		_ = os.Remove(name)
		return nil, err
	}
	return f, nil
}

// Append implements FS.
func (OS) Append(name string) (File, error) { return open(name, os.O_WRONLY|os.O_APPEND) }

func open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// OpenDir implements FS.
func (OS) OpenDir(name string) (Dir, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

type file struct{ *os.File }

// Sync leaves out the times of the file, which nobody reads: it costs less than fsync. The size is not left out.
func (f file) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("fdatasync %s: %w", f.Name(), err)
		}
		return nil
	}
}
