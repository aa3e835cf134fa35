package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"slices"
	"time"
)

// fingerprint says what files hold, by their path: the hash of the content, or why there is none. Comparable by equal.
type fingerprint map[string]string

func (f fingerprint) equal(o fingerprint) bool { return maps.Equal(f, o) }

// holds reports whether every file of o is the same in f.
func (f fingerprint) holds(o fingerprint) bool {
	for path, sum := range o {
		if f[path] != sum {
			return false
		}
	}
	return true
}

// changed returns the paths in which two fingerprints differ, sorted.
func (f fingerprint) changed(o fingerprint) []string {
	var list []string
	for path, sum := range f {
		if o[path] != sum {
			list = append(list, path)
		}
	}
	for path := range o {
		if _, both := f[path]; !both {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

// hasher makes fingerprints. It reads a file again only when its inode, size or time have changed, or when it is so new that
// it may have changed within the resolution of the clock.
type hasher struct {
	known map[string]hashed
}

type hashed struct {
	info os.FileInfo
	sum  string
	at   time.Time
}

// maxWatched is how much of a file counts; what configurations are made of is smaller.
const maxWatched = 64 << 20

func (h *hasher) look(files []string) fingerprint {
	next := make(map[string]hashed, len(files))
	all := make(fingerprint, len(files))
	for _, path := range files {
		one := h.one(path)
		next[path], all[path] = one, one.sum
	}
	h.known = next
	return all
}

func (h *hasher) one(path string) hashed {
	info, err := os.Stat(path)
	if err != nil {
		return hashed{sum: "cannot be read"}
	}
	old, ok := h.known[path]
	if ok && old.info != nil && os.SameFile(old.info, info) && old.info.Size() == info.Size() &&
		old.info.ModTime().Equal(info.ModTime()) && old.at.Sub(info.ModTime()) > time.Second {
		return old
	}
	one := hashed{info: info, at: time.Now(), sum: "cannot be read"}
	if !info.Mode().IsRegular() {
		return one
	}
	f, err := os.Open(path)
	if err != nil {
		return one
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.LimitReader(f, maxWatched)); err == nil {
		one.sum = hex.EncodeToString(sum.Sum(nil))
	}
	return one
}
