package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/disk"
	"sekimori/internal/ruleset"
)

type rulesRollbackCmd struct {
	Version   string `arg:"" optional:"" help:"Version, or previous; default: the set in force when the files on the disk are another one, else the set before it."`
	DryRun    bool   `help:"Say what would change and write nothing."`
	KeepLists bool   `help:"Leave the lists as they are and write the rule files only."`
	Force     bool   `help:"Write the files even when they do not load any more."`
	NoWait    bool   `help:"Do not wait until the running server has read them."`
}

// Help is the long help.
func (rulesRollbackCmd) Help() string {
	return "Writes the rule files and lists of an earlier set back into rules_dir, all at once as far as the server sees, and waits until it " +
		"has them in force. What stands there now is kept as a version first, so that nothing is lost and `sekimori rules rollback` goes " +
		"back again. Other files in the directory are left alone; so are the settings in the configuration file.\n\n" +
		"The files on the disk are always what is in force: nothing is pinned, so that the next change of a file works as usual. When the " +
		"directory is a checkout, `git diff` shows what was written: commit it, or the next pull brings the newer rules again. When " +
		"Ansible or the like copies the files, roll back at their source, too (`sekimori rules show VERSION --out DIR` gives them), or the next run does " +
		"the same. Of several hosts, each is rolled back on its own."
}

func (c rulesRollbackCmd) Run(a *app) error {
	cfg, store, err := a.rulesets()
	if err != nil {
		return err
	}
	if cfg.RulesDir == "" {
		return errors.New("rules_dir is not set, so there are no files to write back; the built-in rules are chosen by policy.defaults")
	}
	target, err := c.target(cfg, store)
	if err != nil {
		return err
	}
	set, err := readSet(cfg)
	if err != nil {
		return fmt.Errorf("rules_dir: %w", err)
	}
	present := named{Name: setDisk, Manifest: set.Manifest(), Set: set}
	plan, err := planRollback(cfg, present, target, c.KeepLists)
	if err != nil {
		return err
	}
	diffSets(present, plan.result(present, target)).tell(a.out)
	plan.notes(a)
	if plan.empty() {
		fmt.Fprintf(a.out, "rules_dir has the files of %s already\n", target.Manifest.Version)
		return nil
	}
	if err := plan.loads(cfg, present); err != nil {
		fmt.Fprintf(a.err, "the set %s does not load any more:\n", target.Manifest.Version)
		printErrors(a.err, err)
		if !c.Force {
			fmt.Fprintln(a.err, "nothing was written; --force writes it all the same")
			return found
		}
	}
	if c.DryRun {
		fmt.Fprintln(a.out, "nothing was written (--dry-run)")
		return nil
	}
	return c.write(a, cfg, plan, present, target)
}

// target is the set to go back to.
func (c rulesRollbackCmd) target(cfg *config.Config, store *ruleset.Store) (named, error) {
	if c.Version == "" {
		history, err := store.History()
		if err != nil {
			return named{}, err
		}
		c.Version = setInForce
		if inspectDisk(cfg, history).State == string(ruleset.InForce) {
			c.Version = setPrevious
		}
	}
	if c.Version == setDisk {
		return named{}, usage("rules rollback %s: these are the files that are there; name a version of sekimori rules history", setDisk)
	}
	return findSet(cfg, store, c.Version)
}

// write keeps what is there, writes, and says so.
func (c rulesRollbackCmd) write(a *app, cfg *config.Config, plan rollback, present, target named) error {
	store, err := ruleset.Open(rulesetDir(cfg), cfg.Policy.KeepVersions)
	if err != nil {
		return fmt.Errorf("what stands in rules_dir cannot be kept first, so nothing was written: %w", err)
	}
	by := []string{whoRuns()}
	if _, err := store.Add(present.Set, ruleset.Entry{Time: time.Now(), State: ruleset.Kept, Why: "before the rollback to " + target.Manifest.Version, By: by}); err != nil {
		return fmt.Errorf("what stands in rules_dir cannot be kept first, so nothing was written: %w", err)
	}
	if err := plan.write(); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w\nwhere the files come from elsewhere, take them from there: sekimori rules show %s --out DIR", err, target.Manifest.Version)
		}
		return err
	}
	set, err := readSet(cfg)
	if err != nil {
		return err
	}
	m, err := store.Add(set, ruleset.Entry{Time: time.Now(), State: ruleset.Rollback, Why: "to " + target.Manifest.Version, By: by})
	if err != nil {
		fmt.Fprintln(a.err, "warning: the rollback is not in the history:", err)
	}
	fmt.Fprintf(a.out, "%s: written; what stood there is kept as %s\n", cfg.RulesDir, present.Manifest.Version)
	if inGit(cfg.RulesDir) {
		fmt.Fprintln(a.out, "rules_dir is in a git checkout: git diff shows what was written; commit it, or the next pull brings the newer rules again")
	}
	if c.NoWait {
		return nil
	}
	return a.awaitSet(cfg, store, m.Version)
}

// awaitSet waits until the running server has a set in force or has refused it.
func (a *app) awaitSet(cfg *config.Config, store *ruleset.Store, version string) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		st, err := readState(cfg.DataDir)
		if err != nil {
			return err
		}
		if st == nil {
			fmt.Fprintln(a.out, "no server runs on this data_dir; the next one begins with it")
			return nil
		}
		history, err := store.History()
		if err != nil {
			return err
		}
		if now := inForce(history); now != nil && now.Version == version {
			fmt.Fprintf(a.out, "the running server has %s in force\n", version)
			return nil
		}
		if len(history) > 0 && history[0].State == ruleset.Refused && history[0].Version == version {
			return fmt.Errorf("the running server has refused it: %s", strings.Join(history[0].Errors, "; "))
		}
		select {
		case <-a.ctx.Done():
			return a.ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return errors.New("the running server has not read it within 30s: see sekimori rules history")
}

// whoRuns is who gave the command.
func whoRuns() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("uid %d", os.Getuid())
	}
	return u.Username
}

// inGit reports whether a directory is in a checkout.
func inGit(dir string) bool {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, ".git")); statErr == nil {
			return true
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	return false
}

// rollback is what is to be written and removed.
type rollback struct {
	dir    string            // rules_dir, symbolic links followed
	files  map[string][]byte // to write
	remove []string          // files that the set does not have
	left   []string          // notes on what stays as it is
}

func planRollback(cfg *config.Config, present, target named, keepLists bool) (rollback, error) {
	dir, err := filepath.EvalSymlinks(cfg.RulesDir)
	p := rollback{dir: dir, files: map[string][]byte{}}
	if err != nil {
		return p, fmt.Errorf("rules_dir: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(target.Set.Files)) {
		data := target.Set.Files[name]
		old, there := present.Set.Files[name]
		switch {
		case there && bytes.Equal(old, data), keepLists && filepath.Ext(name) != ".toml":
		case !inDirectory(name):
			p.left = append(p.left, name+" is another one now and is not in rules_dir; it stays as it is")
		default:
			p.files[name] = data
		}
	}
	for _, f := range present.Manifest.Files {
		if _, ok := target.Set.Files[f.Name]; !ok && inDirectory(f.Name) && !slices.Contains(target.Missing, f.Name) && (!keepLists || filepath.Ext(f.Name) == ".toml") {
			p.remove = append(p.remove, f.Name)
		}
	}
	for _, name := range target.Missing {
		if _, there := present.Set.Files[name]; !there {
			return p, fmt.Errorf("%s was too large to be kept and is not in rules_dir any more; put it there first, from a backup", name)
		}
		p.left = append(p.left, name+" is too large to be kept; it stays as it is")
	}
	for _, k := range settingChanges(present.Manifest.Settings, target.Manifest.Settings) {
		p.left = append(p.left, fmt.Sprintf("%s was %s then and is %s now; it stands in the configuration file and stays", k.Key, cmp.Or(k.Is, "not set"), cmp.Or(k.Was, "not set")))
	}
	return p, nil
}

func (p rollback) empty() bool { return len(p.files)+len(p.remove) == 0 }

func (p rollback) notes(a *app) {
	for _, l := range p.left {
		fmt.Fprintln(a.out, "note:", l)
	}
}

// result is what the directory holds afterwards.
func (p rollback) result(present, target named) named {
	n := named{Name: target.Name, Set: ruleset.Set{Settings: present.Set.Settings, Files: maps.Clone(present.Set.Files)}}
	maps.Copy(n.Set.Files, p.files)
	for _, name := range p.remove {
		delete(n.Set.Files, name)
	}
	n.Manifest = n.Set.Manifest()
	return n
}

// loads reads the rules as they will be.
func (p rollback) loads(cfg *config.Config, present named) error {
	dir, err := os.MkdirTemp("", "sekimori-rules-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := materialize(dir, p.result(present, present).Set.Files); err != nil {
		return err
	}
	trial := *cfg
	trial.RulesDir = dir
	_, err = loadPolicy(&trial)
	return err
}

// write replaces the files. While it does, waitFile keeps the server from reading; when it fails in the middle, waitFile stays,
// and the server goes on with the set that it has.
func (p rollback) write() error {
	wait := filepath.Join(p.dir, waitFile)
	if err := os.WriteFile(wait, []byte("sekimori rules writes here\n"), 0o644); err != nil {
		return err
	}
	fresh := map[string]string{}
	for name, data := range p.files {
		temp, err := writeBeside(filepath.Join(p.dir, name), data)
		if err != nil {
			for _, t := range fresh {
				_ = os.Remove(t)
			}
			_ = os.Remove(wait)
			return err
		}
		fresh[name] = temp
	}
	for name, temp := range fresh {
		if err := os.Rename(temp, filepath.Join(p.dir, name)); err != nil {
			return half(err, wait)
		}
	}
	for _, name := range p.remove {
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
			return half(err, wait)
		}
	}
	return os.Remove(wait)
}

func half(err error, wait string) error {
	return fmt.Errorf("rules_dir is written by half: %w\nthe server does not read it while %s is there; mend what is wrong and run the command again with the version", err, wait)
}

// writeBeside writes a file under a temporary name, with the permissions of the one that it will replace.
func writeBeside(path string, data []byte) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".sekimori-")
	if err != nil {
		return "", err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close(), disk.Own(f.Name())); err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
