package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekimori/internal/ruleset"
	"sekimori/rules"
)

type rulesShowCmd struct {
	Version string `arg:"" help:"Version (its first characters are enough), or in-force, previous, disk."`
	File    string `placeholder:"NAME" help:"Print this file of the set."`
	Out     string `placeholder:"DIR" help:"Write the files into this directory, which is made."`
	JSON    bool   `help:"Print JSON."`
}

// Help is the long help.
func (rulesShowCmd) Help() string {
	return "Shows of which rules, files and settings a set is made. --out writes its files into a new directory, from where they can go " +
		"back into version control."
}

type shownSet struct {
	ruleset.Manifest
	Rules []shownRule `json:"rules"`
}

type shownRule struct {
	ID    string `json:"id"`
	Place string `json:"place"`
	Does  string `json:"does"`
}

func (c rulesShowCmd) Run(a *app) error {
	cfg, store, err := a.rulesets()
	if err != nil {
		return err
	}
	n, err := findSet(cfg, store, c.Version)
	if err != nil {
		return err
	}
	switch {
	case c.File != "":
		data, ok := n.Set.Files[c.File]
		if !ok {
			return fmt.Errorf("%s has no file %q whose content is kept; it has %s", n.Manifest.Version, c.File, strings.Join(fileNames(n.Manifest), ", "))
		}
		_, err := a.out.Write(data)
		return err
	case c.Out != "":
		return c.write(a, n)
	}
	s := shownSet{Manifest: n.Manifest, Rules: []shownRule{}}
	for _, r := range rules.Source(n.Set.Files).Outline().Rules {
		s.Rules = append(s.Rules, shownRule{r.ID, r.Place, does(r)})
	}
	if c.JSON {
		return a.json(s)
	}
	return s.print(a, n.Missing)
}

func fileNames(m ruleset.Manifest) []string {
	var names []string
	for _, f := range m.Files {
		names = append(names, f.Name)
	}
	return names
}

// does says in short what a rule does, as it is written.
func does(r rules.OutlineRule) string {
	var parts []string
	for _, key := range []string{"score", "action", "redirect", "bcc", "at", "mode"} {
		if v := r.Keys[key]; v != "" {
			parts = append(parts, key+" = "+v)
		}
	}
	return strings.Join(parts, ", ")
}

func (s shownSet) print(a *app, missing []string) error {
	fmt.Fprintf(a.out, "version %s: built-in rules %s, mode %s", s.Version, s.Settings.Defaults, s.Settings.Mode)
	if len(s.Settings.Disable) > 0 {
		fmt.Fprintf(a.out, ", switched off %s", strings.Join(s.Settings.Disable, " "))
	}
	fmt.Fprintln(a.out)
	w := a.table()
	fmt.Fprintln(w, "FILE\tOCTETS\tSHA256")
	for _, f := range s.Files {
		note := ""
		if slices.Contains(missing, f.Name) {
			note = " (the content is not kept)"
		}
		fmt.Fprintf(w, "%s\t%d\t%s%s\n", f.Name, f.Size, f.Sum[:16], note)
	}
	fmt.Fprintln(w, "\t\t\nRULE\tFROM\tDOES")
	for _, r := range s.Rules {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.ID, r.Place, r.Does)
	}
	return w.Flush()
}

// write makes the directory with the files of the set.
func (c rulesShowCmd) write(a *app, n named) error {
	if entries, err := os.ReadDir(c.Out); err == nil && len(entries) > 0 {
		return fmt.Errorf("--out %s: the directory is there and not empty; name a new one", c.Out)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := materialize(c.Out, n.Set.Files); err != nil {
		return err
	}
	for _, f := range n.Missing {
		fmt.Fprintf(a.err, "warning: %s is not kept and was not written\n", f)
	}
	fmt.Fprintf(a.out, "%s: the files of %s (%s)\n", c.Out, n.Manifest.Version, time.Now().Format(historyTime))
	return nil
}

// materialize writes the files of a set that stand in its directory.
func materialize(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if !inDirectory(name) {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inDirectory reports whether a file of a set stands in rules_dir: neither built in nor a list elsewhere.
func inDirectory(name string) bool { return !rules.IsBuiltin(name) && filepath.IsLocal(name) }
