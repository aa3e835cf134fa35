package rules

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the .want files")

const shared = "../testdata/rules"

// loadFile loads one file of testdata as the only one of a directory, with the lists that lie beside it.
func loadFile(t *testing.T, path string) (*Policy, error) {
	t.Helper()
	dir := t.TempDir()
	lists, err := filepath.Glob(filepath.Join(shared, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(lists, path) {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(p)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	var list Errors
	if errors.As(err, &list) {
		for i := range list {
			list[i].File = filepath.Base(list[i].File)
			list[i].Message = strings.ReplaceAll(list[i].Message, dir+string(filepath.Separator), "")
		}
	}
	return p, err
}

// TestBadFiles compares what is said about each broken file with the .want file next to it.
func TestBadFiles(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared, "bad-*.toml"))
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d broken files: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := loadFile(t, path)
			if err == nil {
				t.Fatal("it loads")
			}
			sameAsFile(t, strings.TrimSuffix(path, ".toml")+".want", err.Error()+"\n")
		})
	}
}

var (
	ofPlace  = regexp.MustCompile(`^[^ ]*: `)
	ofValues = regexp.MustCompile("\"[^\"]*\"|`[^`]*`|[0-9]+|U\\+[0-9A-F]+( '.')?|[a-z_]+[.][a-z_]+")
)

// TestKindsOfMistakes counts what the .want files say, not the files: messages that differ in names, values and numbers only are one
// kind.
func TestKindsOfMistakes(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared, "bad-*.want"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			message, _, _ := strings.Cut(ofPlace.ReplaceAllString(strings.TrimSpace(line), ""), ";")
			kinds[ofValues.ReplaceAllString(message, "…")] = true
		}
	}
	if len(kinds) < 100 {
		t.Errorf("%d kinds of mistakes: %q", len(kinds), slices.Sorted(maps.Keys(kinds)))
	}
	t.Logf("%d kinds of mistakes in %d files", len(kinds), len(paths))
}

// TestNotes compares what is noted about each file that loads and yet is not what its author wanted.
func TestNotes(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared, "note-*.toml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p, err := loadFile(t, path)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, w := range p.Warnings() {
				if strings.HasSuffix(w.File, ".txt") {
					continue // lists of other files
				}
				w.File = filepath.Base(w.File)
				got += w.Error() + "\n"
			}
			sameAsFile(t, strings.TrimSuffix(path, ".toml")+".want", got)
		})
	}
}

// sameAsFile compares, or with -update writes.
func sameAsFile(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestGoodFiles(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared, "good-*.toml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p, err := loadFile(t, path)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Test() {
				if !r.OK() {
					t.Error(r)
				}
			}
		})
	}
}
