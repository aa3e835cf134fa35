package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"sekimori/internal/mail"
)

// Put stores a mail. When it returns nil, the mail is on the disk; on an error nothing of it is there. Version, Size and (when
// zero) Created are filled in. Errors: ErrFull, ErrExists, ErrInvalid, or the disk's. It may use half of the disk's reserve:
// the reserve keeps room for mail that was already let in when the disk filled up.
func (s *Spool) Put(e Entry, content mail.Content) error {
	e.Version, e.Size, e.CRC = e.format(), content.Len(), checksum(content)
	if e.Created.IsZero() {
		e.Created = s.o.Now()
	}
	if err := e.validate(); err != nil {
		return err
	}
	if err := s.roomFor(e.Size, s.o.DiskReserve/2); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path(e.Kind, e.ID, envExt)); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, e.ID)
	}
	env, err := encode(&e)
	if err != nil {
		return err
	}
	if err := s.put(&e, env, content); err != nil {
		return full(err)
	}
	s.count(1, e.Size)
	return nil
}

func (s *Spool) put(e *Entry, env []byte, content mail.Content) (err error) {
	tmpData, tmpEnv := s.tmpName(e.ID+dataExt), s.tmpName(e.ID+envExt)
	data, named := s.path(e.Kind, e.ID, dataExt), false
	defer func() {
		if err == nil {
			return
		}
		_ = s.o.FS.Remove(tmpData)
		_ = s.o.FS.Remove(tmpEnv)
		if named {
			_ = s.o.FS.Remove(data)
		}
	}()
	// The two files are independent until they are named: their syncs share the disk's journal when they run together.
	envDone := make(chan error, 1)
	go func() { envDone <- s.writeSynced(tmpEnv, env) }()
	err = s.writeContent(tmpData, content)
	if envErr := <-envDone; err == nil {
		err = envErr
	}
	if err != nil {
		return err
	}
	if err = s.o.FS.Rename(tmpData, data); err != nil {
		return err
	}
	named = true
	if err = s.o.FS.Rename(tmpEnv, s.path(e.Kind, e.ID, envExt)); err != nil {
		return err
	}
	if err = s.dirs[e.Kind].Sync(); err != nil {
		_ = s.o.FS.Remove(s.path(e.Kind, e.ID, envExt))
	}
	return err
}

// Update replaces the envelope of an entry, durably when it returns nil; on an error the old one stands. It does not look at
// the disk's reserve. The data stays.
func (s *Spool) Update(e Entry) error {
	e.Version = e.format()
	if err := e.validate(); err != nil {
		return err
	}
	name := s.path(e.Kind, e.ID, envExt)
	if _, err := os.Lstat(name); err != nil {
		return fmt.Errorf("%w: %s", ErrNotFound, e.ID)
	}
	env, err := encode(&e)
	if err != nil {
		return err
	}
	tmp := s.tmpName(e.ID + envExt)
	err = s.writeSynced(tmp, env)
	if err == nil {
		err = s.o.FS.Rename(tmp, name)
	}
	if err != nil {
		_ = s.o.FS.Remove(tmp)
		return full(err)
	}
	return s.dirs[e.Kind].Sync()
}

// Remove ends an entry, durably when it returns nil.
func (s *Spool) Remove(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	for _, kind := range kinds() {
		var size int64
		if st, err := os.Stat(s.path(kind, id, dataExt)); err == nil {
			size = st.Size()
		}
		err := s.o.FS.Rename(s.path(kind, id, envExt), s.path(kind, id, goneExt))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		s.count(-1, -size)
		if err := s.dirs[kind].Sync(); err != nil {
			return err
		}
		return s.finish(kind, id, true)
	}
	return fmt.Errorf("%w: %s", ErrNotFound, id)
}

// finish unlinks what is left of an ended entry: the mark last, so that a crash in between is taken up at the next start.
func (s *Spool) finish(kind, id string, data bool) error {
	if data {
		if err := s.o.FS.Remove(s.path(kind, id, dataExt)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.o.FS.Remove(s.path(kind, id, goneExt))
}

func (s *Spool) tmpName(name string) string {
	return filepath.Join(s.dir, dirTmp, strconv.FormatUint(s.names.Add(1), 10)+"-"+name)
}

func (s *Spool) writeSynced(name string, b []byte) error {
	return s.writeContent(name, mail.Content{b})
}

// writeContent makes a new file with these octets and syncs it.
func (s *Spool) writeContent(name string, content mail.Content) error {
	f, err := s.o.FS.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 16<<10)
	for _, p := range content {
		if _, err = w.Write(p); err != nil {
			break
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// full makes a lack of room recognisable, whichever way the file system says it.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
