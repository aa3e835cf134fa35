package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sink takes the files of an export. Either all are there after done, or the target is not what it was meant to be and says so.
type sink interface {
	put(name string, pieces ...[]byte) error
	done() error
	// drop is called in any case; after done it does nothing.
	drop()
}

const summaryFile = "summary.json"

// openSink makes a directory, or an archive when the name says so. What is there already is an error, unless force is set; and a
// directory is written over only when it holds an earlier export.
func openSink(target string, force bool, now time.Time) (sink, error) {
	for _, end := range []string{".tar", ".tar.gz", ".tgz"} {
		if strings.HasSuffix(target, end) {
			return openTar(target, force, end != ".tar", now)
		}
	}
	return openFolder(target, force)
}

type folder struct {
	dir   string
	force bool
}

func openFolder(dir string, force bool) (sink, error) {
	list, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case len(list) > 0 && !force:
		return nil, fmt.Errorf("%s is not empty: name another directory, or --force when an earlier export there may go", dir)
	case len(list) > 0 && !slices.ContainsFunc(list, func(e os.DirEntry) bool { return e.Name() == summaryFile }):
		return nil, fmt.Errorf("%s holds something else than an export, and is left as it is", dir)
	case len(list) > 0:
		// Without its summary it is no export any more, until this one is whole.
		if err := errors.Join(os.Remove(filepath.Join(dir, summaryFile)), os.RemoveAll(filepath.Join(dir, "mails"))); err != nil {
			return nil, err
		}
	}
	return &folder{dir, force}, os.MkdirAll(filepath.Join(dir, "mails"), 0o700)
}

func (f *folder) put(name string, pieces ...[]byte) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if f.force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(filepath.Join(f.dir, filepath.FromSlash(name)), flags, 0o600)
	if err != nil {
		return err
	}
	err = file.Chmod(0o600) // one that was there may be readable for others
	for _, p := range pieces {
		if err == nil {
			_, err = file.Write(p)
		}
	}
	return errors.Join(err, file.Close())
}

func (f *folder) done() error { return nil }
func (f *folder) drop()       {}

type archive struct {
	target, temp string
	force        bool
	now          time.Time
	file         *os.File
	zip          *gzip.Writer
	tar          *tar.Writer
}

func openTar(target string, force, zip bool, now time.Time) (sink, error) {
	if _, err := os.Lstat(target); err == nil && !force {
		return nil, fmt.Errorf("%s is there already: name another file, or --force", target)
	}
	temp := target + ".partial"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there: another export is writing it, or one was killed; take it away", temp)
	}
	if err != nil {
		return nil, err
	}
	s := &archive{target: target, temp: temp, force: force, now: now, file: file}
	w := io.Writer(file)
	if zip {
		s.zip = gzip.NewWriter(file)
		w = s.zip
	}
	s.tar = tar.NewWriter(w)
	return s, nil
}

func (s *archive) put(name string, pieces ...[]byte) error {
	size := int64(0)
	for _, p := range pieces {
		size += int64(len(p))
	}
	h := tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: s.now, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if err := s.tar.WriteHeader(&h); err != nil {
		return err
	}
	for _, p := range pieces {
		if _, err := s.tar.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *archive) done() error {
	err := s.tar.Close()
	if s.zip != nil {
		err = errors.Join(err, s.zip.Close())
	}
	if err = errors.Join(err, s.file.Sync(), s.file.Close()); err != nil {
		return err
	}
	if !s.force {
		// Link, because Rename would write over what came meanwhile.
		if err := os.Link(s.temp, s.target); !errors.Is(err, errors.ErrUnsupported) {
			return errors.Join(err, os.Remove(s.temp))
		}
	}
	return os.Rename(s.temp, s.target)
}

func (s *archive) drop() {
	_ = s.file.Close()
	_ = os.Remove(s.temp)
}
