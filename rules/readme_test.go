package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme loads the rule files of README.md as one directory and runs their tests.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	n := 0
	for i, block := range strings.Split(string(data), "```toml\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		write(t, filepath.Join(dir, string(rune('a'+i))+".toml"), text)
		n++
	}
	_, list, _ := strings.Cut(string(data), "```text\n")
	list, _, _ = strings.Cut(list, "```")
	write(t, filepath.Join(dir, "good-partners.txt"), list)
	write(t, filepath.Join(dir, "bosses.txt"), "山田太郎\n")
	o := fixtureOptions()
	o.Dir = dir
	p, err := Load(o)
	if err != nil || n < 4 {
		t.Fatal(n, err)
	}
	for _, r := range p.Test() {
		if !r.OK() {
			t.Error(r)
		}
	}
	for _, s := range standardLists {
		if !strings.Contains(string(data), "`"+s.name+"`") {
			t.Errorf("no word of the list %s", s.name)
		}
	}
	for _, w := range append(append([]string{}, builtins...), keysOf(functions)...) {
		if !strings.Contains(string(data), w) {
			t.Errorf("no word of the function %s", w)
		}
	}
	for _, k := range ruleKeys {
		if !strings.Contains(string(data), k) {
			t.Errorf("no word of the key %s", k)
		}
	}
}
