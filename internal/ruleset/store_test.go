package ruleset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func set(text string) Set {
	return Set{Settings: Settings{Defaults: "1", Mode: "enforce"}, Files: map[string][]byte{"a.toml": []byte(text), "same.txt": []byte("list")}}
}

func open(t *testing.T, keep int) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rules")
	s, err := Open(dir, keep)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// TestAdd: a set comes back as it was; one that is in force already is not written again, and a file that two have is kept once.
func TestAdd(t *testing.T) {
	s, dir := open(t, 10)
	at := time.Unix(1e9, 0).UTC()
	for i, text := range []string{"one", "two", "two", "one"} {
		if _, err := s.Add(set(text), Entry{Time: at.Add(time.Duration(i) * time.Second), State: InForce, Why: "changed"}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := s.History()
	if err != nil || len(h) != 3 || h[0].Version != h[2].Version || h[0].Version == h[1].Version {
		t.Fatalf("%+v %v", h, err)
	}
	files, _ := os.ReadDir(filepath.Join(dir, "files"))
	if len(files) != 3 {
		t.Errorf("%d files, not 3", len(files))
	}
	m, err := s.Find(h[1].Version[:5])
	if err != nil {
		t.Fatal(err)
	}
	got, missing, err := s.Set(m)
	if err != nil || len(missing) > 0 || string(got.Files["a.toml"]) != "two" || got.Settings.Mode != "enforce" {
		t.Errorf("%+v %q %v", got, missing, err)
	}
	if since, err := s.Since(h[0].Version); err != nil || !since.Equal(at.Add(3*time.Second)) {
		t.Errorf("%v %v", since, err)
	}
	for _, name := range []string{"ffff", "ab", "../../etc"} {
		if _, err := s.Find(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := set("one")
	other.Settings.Mode = "observe"
	if other.Manifest().Version == h[0].Version {
		t.Error("another mode is no other version")
	}
}

// TestPrune: the number of entries is bounded, and the set in force stays however many were refused after it.
func TestPrune(t *testing.T) {
	s, dir := open(t, 5)
	at := time.Unix(1e9, 0)
	first, err := s.Add(set("in force"), Entry{Time: at, State: InForce})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := s.Add(set(fmt.Sprint(i)), Entry{Time: at.Add(time.Duration(i+1) * time.Second), State: Refused, Errors: []string{"wrong"}}); err != nil {
			t.Fatal(err)
		}
		age(t, dir)
	}
	h, err := s.History()
	if err != nil || len(h) != 6 || h[5].Version != first.Version || h[5].State != InForce {
		t.Fatalf("%d %+v %v", len(h), h, err)
	}
	if _, missing, err := s.Set(first); err != nil || len(missing) > 0 {
		t.Error(missing, err)
	}
	if sets, _ := os.ReadDir(filepath.Join(dir, "sets")); len(sets) > 7 {
		t.Errorf("%d sets are left", len(sets))
	}
	if files, _ := os.ReadDir(filepath.Join(dir, "files")); len(files) > 8 {
		t.Errorf("%d files are left", len(files))
	}
}

// age makes what is there old enough to be removed.
func age(t *testing.T, dir string) {
	t.Helper()
	past := time.Now().Add(-time.Hour)
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			_ = os.Chtimes(path, past, past)
		}
		return nil
	})
}

// TestLargeFile: of a file that is too large to keep the hash is known.
func TestLargeFile(t *testing.T) {
	s, _ := open(t, 5)
	big := set("x")
	big.Files["big.txt"] = make([]byte, MaxFile+1)
	m, err := s.Add(big, Entry{Time: time.Unix(1e9, 0), State: InForce})
	if err != nil {
		t.Fatal(err)
	}
	_, missing, err := s.Set(m)
	if err != nil || len(missing) != 1 || missing[0] != "big.txt" {
		t.Errorf("%q %v", missing, err)
	}
}
