package store

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrLocked means that another process uses the embedded store.
var ErrLocked = errors.New("the embedded store is in use by another process")

// lockFile takes the lock for this process; it is released when the file is closed or the process ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("embedded store: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("embedded store: lock %s: %w", path, err)
		}
		who, _ := io.ReadAll(io.LimitReader(f, 20))
		return nil, fmt.Errorf("%w (%s, process %s)", ErrLocked, path, strings.TrimSpace(string(who)))
	}
	// For people only: the lock is flock's.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// listen offers the store on a socket that only this user may open. The caller holds the lock, so that a socket which is
// already there was left by a process that was killed.
func (e *embedded) listen(path string) error {
	// Made inside the private folder and then moved, so that there is no moment at which others may open it.
	private := filepath.Join(e.dir, "sock.new")
	_ = os.Remove(private)
	l, err := net.Listen("unix", short(private))
	if err != nil {
		return fmt.Errorf("store socket: %w", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(private, 0o600), os.Rename(private, path)); err != nil {
		_ = l.Close()
		_ = os.Remove(private)
		return fmt.Errorf("store socket: %w", err)
	}
	e.mu.Lock()
	e.sock, e.path = l, path
	e.mu.Unlock()
	e.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !e.accept(c) {
				_ = c.Close()
			}
		}
	})
	return nil
}

// short gives a path of a socket that fits into the 108 octets of an address, if a relative one does.
func short(path string) string {
	if len(path) < 100 {
		return path
	}
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
