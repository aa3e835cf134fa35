package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sekimori/internal/config"
	"sekimori/internal/ruleset"
	"sekimori/rules"
)

type libraryDiffCmd struct {
	Name     string `arg:"" optional:"" help:"Name of ready rules; default: all that are in use."`
	JSON     bool   `help:"Print JSON."`
	ExitCode bool   `help:"Exit code 1 when something differs."`
}

// libraryDiff is what `library diff --json` prints of each.
type libraryDiff struct {
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Changes setDiff `json:"changes"` // from the file in rules_dir to the shipped one
}

func (c libraryDiffCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	list, used, err := c.diffs(cfg)
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.json(list)
	} else {
		for _, d := range list {
			fmt.Fprintf(a.out, "%s, ", d.File)
			d.Changes.tell(a.out)
		}
		if len(list) == 0 {
			fmt.Fprintf(a.out, "%d of the ready rules in use, all as shipped\n", used)
		}
	}
	if err == nil && c.ExitCode && len(list) > 0 {
		return found
	}
	return err
}

// diffs compares what is in use; those that judge alike are left out.
func (c libraryDiffCmd) diffs(cfg *config.Config) (list []libraryDiff, used int, err error) {
	list = []libraryDiff{}
	var only rules.Ready
	if c.Name != "" {
		if only, err = readyOf(c.Name); err != nil {
			return nil, 0, err
		}
	}
	for _, r := range rules.Library() {
		if c.Name != "" && r.Name != only.Name {
			continue
		}
		state, err := readyState(cfg.RulesDir, r)
		if err != nil {
			return nil, 0, err
		}
		if state == readyAbsent {
			if c.Name != "" {
				return nil, 0, fmt.Errorf("%s is not in use; `sekimori rules library use %s` copies it into rules_dir", r.File, r.Name)
			}
			continue
		}
		used++
		yours := map[string][]byte{}
		for name := range r.Source() {
			if data, err := os.ReadFile(filepath.Join(cfg.RulesDir, name)); err == nil {
				yours[name] = data
			}
		}
		shipped := r.Source()
		for _, l := range r.Fill {
			shipped[l] = yours[l]
		}
		d := diffSets(setOf("rules_dir", yours), setOf("the shipped ones", shipped))
		if !d.Same {
			list = append(list, libraryDiff{r.Name, r.File, d})
		}
	}
	return list, used, nil
}

// setOf makes a set of files, for comparison.
func setOf(name string, files map[string][]byte) named {
	set := ruleset.Set{Files: files}
	n := named{Name: name, Manifest: set.Manifest(), Set: set}
	n.Manifest.Version = name
	return n
}
