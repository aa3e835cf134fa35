package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/store"
	"sekimori/reputation"
)

func TestLearnFolder(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := reputation.NewLearner(st.Client(), time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	dir := t.TempDir()
	f := &mailFolder{BayesFolder: config.BayesFolder{Path: dir, Class: "spam", Scope: "@example.jp"}, known: map[string]bool{}}
	learn := func(shown int) {
		t.Helper()
		if p, err := f.learn(t.Context(), l, "mx.example.jp"); err != nil || p.Shown != shown {
			t.Errorf("%+v, %v; %d are new", p, err, shown)
		}
	}
	if _, err := f.learn(t.Context(), l, ""); err == nil {
		t.Error("a folder that is not there is no error")
	}
	for _, d := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string, n int) {
		t.Helper()
		text := fmt.Sprintf("From: a@partner.test\nMessage-ID: <%d@partner.test>\nSubject: offer %d\n\nSome words %d\n", n, n, n)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("cur/1.host:2,S", 1)
	put("new/2.host", 2)
	put("tmp/3.host", 3)
	put("cur/.hidden", 4)
	learn(2)
	learn(0)
	if err := os.Rename(filepath.Join(dir, "new/2.host"), filepath.Join(dir, "cur/2.host:2,RS")); err != nil {
		t.Fatal(err)
	}
	put("cur/5.host:2,", 5)
	put("cur/6.host:2,", 1) // a copy of the first
	learn(1)
	if n := l.Scopes(); len(n) != 1 || n[0].Scope != "@example.jp" || n[0].SpamLearned != 3 {
		t.Errorf("%+v", n)
	}
	f.known = map[string]bool{} // as after a restart
	learn(0)
}

// A file that cannot be learned is said and keeps the others from nothing: they are read once, and what a person says of them stays.
func TestLearnFolderBadFiles(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := reputation.NewLearner(st.Client(), time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	dir := t.TempDir()
	cur := filepath.Join(dir, "cur")
	if err := os.Mkdir(cur, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "From me@partner.test Fri Nov 27 12:00:00 2026\nFrom: a@partner.test\nSubject: offer\n\nSome words\n\nFrom here on more\n"
	if err := os.WriteFile(filepath.Join(cur, "2.good:2,"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(cur, "1.large:2,")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil { // it takes no room, and cannot be read into memory
		t.Skip("the file system has no sparse files:", err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	link, pipe := filepath.Join(cur, "3.link:2,"), filepath.Join(cur, "4.pipe:2,")
	if err := errors.Join(os.Symlink(outside, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	f := &mailFolder{BayesFolder: config.BayesFolder{Path: dir, Class: "spam", Scope: "all"}, known: map[string]bool{}}
	for i, shown := range []int{1, 0} {
		p, err := f.learn(t.Context(), l, "mx.example.jp")
		if err == nil || !strings.Contains(err.Error(), "1.large") || strings.Contains(err.Error(), "others") || p.Shown+p.Known != shown {
			t.Errorf("round %d: %+v, %v", i, p, err)
		}
	}
	for _, path := range []string{link, pipe, large} { // as when one comes in the place of a file that was listed
		if _, err := readLearned(path, true); err == nil {
			t.Errorf("%s is read", path)
		}
	}
	if !f.known["2.good"] || f.known["1.large"] {
		t.Error(f.known)
	}
	if err := os.Truncate(large, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.learn(t.Context(), l, "mx.example.jp"); err != nil || !f.known["1.large"] {
		t.Errorf("when it can be read: %v, %v", err, f.known)
	}
	reader := &learnReader{}
	n := 0
	for range reader.samples([]string{filepath.Join(dir)}) {
		n++
	}
	if n != 1 {
		t.Errorf("the command finds %d messages, not 1", n)
	}
}
