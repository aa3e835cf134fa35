package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sekimori/filters"
	"sekimori/internal/config"
)

// TestCutover has every TOML block of the page, and every example, loaded as `check` does on another machine, and every file that
// the page links to exist.
func TestCutover(t *testing.T) {
	text, err := os.ReadFile("examples/CUTOVER.md")
	if err != nil {
		t.Fatal(err)
	}
	o := config.Options{SkipFiles: true, Checks: filters.Names(filters.Specs())}
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d TOML blocks", len(blocks))
	}
	for _, b := range blocks {
		toml := b[1]
		if !strings.Contains(toml, "[[domain]]") {
			toml += "[[domain]]\nnames = [\"example.jp\"]\nrecipients = \"any\"\nbackends = [\"smtp://mail1.example.jp\"]\n"
		}
		if c, err := config.Parse("CUTOVER.md", []byte("hostname = \"mx1.example.jp\"\n"+toml), o); err != nil {
			t.Errorf("%s\n%v", toml, err)
		} else if len(c.Warnings) > 0 {
			t.Errorf("%s\n%v", toml, c.Warnings)
		}
	}
	links := regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(text), -1)
	examples, _ := filepath.Glob("examples/*.toml")
	linked := map[string]bool{}
	for _, l := range links {
		linked[l[1]] = true
		if _, err := os.Stat(filepath.Join("examples", l[1])); err != nil {
			t.Error(err)
		}
	}
	for _, e := range examples {
		if !linked[filepath.Base(e)] {
			t.Errorf("the page does not name %s", e)
		}
	}
}
