package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/disk"
	"sekimori/internal/text"
	"sekimori/rules"
)

type rulesLibraryCmd struct {
	List libraryListCmd `cmd:"" default:"withargs" help:"List the ready rule files, what each does, and which are in use (the default)."`
	Show libraryShowCmd `cmd:"" help:"Print a ready rule file."`
	Use  libraryUseCmd  `cmd:"" help:"Copy ready rule files with their lists and tests into rules_dir."`
	Diff libraryDiffCmd `cmd:"" help:"Compare the ready rules in rules_dir with those that this version brings along."`
}

// Help is the long help.
func (rulesLibraryCmd) Help() string {
	return "The program brings rule files along that an administrator can copy into his directory: phishing in Japan, dangerous attachments, " +
		"forgeries of one's own domain, business mail compromise, newsletters, first contact, countries. What is a matter of taste only " +
		"observes in them. A copy is the administrator's own: an upgrade does not touch it, and `diff` shows what the new version has."
}

// How a ready rule file stands in rules_dir.
const (
	readyAbsent  = "absent"
	readyShipped = "shipped" // octet by octet
	readyChanged = "changed"
)

// readyOf finds a ready rule file by its name, with or without what stands around it in a directory.
func readyOf(name string) (rules.Ready, error) {
	var names []string
	for _, r := range rules.Library() {
		if name == r.Name || name == r.File || name == r.Name+".toml" {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return rules.Ready{}, usage("there are no ready rules %q; there are %s", name, strings.Join(names, ", "))
}

// readyState compares the rule file in a directory with the shipped one.
func readyState(dir string, r rules.Ready) (string, error) {
	if dir == "" {
		return readyAbsent, nil
	}
	data, err := os.ReadFile(filepath.Join(dir, r.File))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return readyAbsent, nil
	case err != nil:
		return "", err
	case bytes.Equal(data, r.Data(r.File)):
		return readyShipped, nil
	}
	return readyChanged, nil
}

// readyRow is what `library --json` prints of each.
type readyRow struct {
	Name     string   `json:"name"`
	File     string   `json:"file"`  // in rules_dir
	State    string   `json:"state"` // absent | shipped | changed
	Rules    int      `json:"rules"`
	Observe  int      `json:"observe"` // of them
	Lists    []string `json:"lists"`
	ToFill   []string `json:"to_fill"` // lists that are still empty
	Meaning  string   `json:"meaning"`
	observed []string
}

func rowOf(dir string, r rules.Ready, lang text.Lang) (readyRow, error) {
	state, err := readyState(dir, r)
	if err != nil {
		return readyRow{}, err
	}
	row := readyRow{Name: r.Name, File: r.File, State: state, Lists: orNone(r.Lists), ToFill: []string{}, Meaning: text.Fill("library."+r.Name, lang)}
	source := rules.Source{r.File: r.Data(r.File)}
	if state != readyAbsent {
		if data, err := os.ReadFile(filepath.Join(dir, r.File)); err == nil {
			source[r.File] = data
		}
	}
	for _, one := range source.Outline().Rules {
		row.Rules++
		if one.Keys["mode"] == `"observe"` {
			row.Observe++
			row.observed = append(row.observed, one.ID)
		}
	}
	for _, l := range r.Fill {
		data, err := os.ReadFile(filepath.Join(dir, l))
		if dir == "" || err != nil || bytes.Equal(data, r.Data(l)) {
			row.ToFill = append(row.ToFill, l)
		}
	}
	return row, nil
}

type libraryListCmd struct {
	Lang string `enum:"en,ja" default:"en" help:"Language: en or ja."`
	JSON bool   `help:"Print JSON."`
}

func (c libraryListCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	var rows []readyRow
	for _, r := range rules.Library() {
		row, err := rowOf(cfg.RulesDir, r, text.Lang(c.Lang))
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	if c.JSON {
		return a.json(rows)
	}
	w := a.table()
	fmt.Fprintln(w, "NAME\tRULES\tOBSERVE\tSTATE\tWHAT IT DOES")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", r.Name, r.Rules, r.Observe, text.Fill("library.state."+r.State, text.Lang(c.Lang)), r.Meaning)
	}
	return w.Flush()
}

type libraryShowCmd struct {
	Name string `arg:"" help:"Name of the ready rules, such as attachments."`
	File string `placeholder:"NAME" help:"Print one of its lists or tests in place of the rules."`
}

func (c libraryShowCmd) Run(a *app) error {
	r, err := readyOf(c.Name)
	if err != nil {
		return err
	}
	file := c.File
	if file == "" {
		file = r.File
	}
	data := r.Data(file)
	if data == nil {
		return usage("%s has no file %q; it has %s", r.Name, file, strings.Join(slices.Concat([]string{r.File}, r.Lists, r.Tests), ", "))
	}
	_, err = a.out.Write(data)
	return err
}

type libraryUseCmd struct {
	Names []string `arg:"" help:"Names of ready rules, such as attachments."`
	Force bool     `help:"Write over rule files and lists that differ from those that are shipped. Lists that you fill in are never touched."`
	Lang  string   `enum:"en,ja" default:"en" help:"Language: en or ja."`
}

// Help is the long help.
func (libraryUseCmd) Help() string {
	return "Copies the rule files as ready-NAME.toml into rules_dir, with the lists that they ask and their tests. Nothing that is there is " +
		"written over without --force. The rules must load together with those that are there, else nothing stays. The running " +
		"server reads them by itself within seconds; take one out again by deleting its file."
}

func (c libraryUseCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	if cfg.RulesDir == "" {
		return errors.New(`rules_dir is not set, so there is no directory to copy into; set rules_dir = "/etc/sekimori/rules" in the configuration`)
	}
	for _, name := range c.Names {
		r, err := readyOf(name)
		if err != nil {
			return err
		}
		if err := c.use(a, cfg, r); err != nil {
			return err
		}
	}
	return nil
}

// readyCopy is one `library use`: the files by their paths in rules_dir.
type readyCopy struct {
	dir string
	all map[string][]byte
}

func (c libraryUseCmd) use(a *app, cfg *config.Config, r rules.Ready) error {
	plan := readyCopy{dir: cfg.RulesDir, all: map[string][]byte{}}
	for _, l := range r.Lists {
		plan.all[l] = r.Data(l)
	}
	for _, t := range r.Tests {
		plan.all[filepath.Join("tests", t)] = r.Data(t)
	}
	body := r.Data(r.File)
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(plan.all)) {
		if there, same := plan.compare(name, plan.all[name]); there && !same {
			if slices.Contains(r.Fill, name) {
				delete(plan.all, name) // what the administrator filled in
			} else {
				differ = append(differ, name)
			}
		}
	}
	there, same := plan.compare(r.File, body)
	if there && !same {
		differ = append(differ, r.File)
	}
	if len(differ) > 0 && !c.Force {
		return fmt.Errorf("%s: not as they are shipped: %s; see `sekimori rules library diff %s`, or write over them with --force", cfg.RulesDir, strings.Join(differ, ", "), r.Name)
	}
	plan.all[r.File] = body
	if err := plan.loads(cfg); err != nil {
		fmt.Fprintf(a.err, "%s does not load with the other rules; nothing was copied:\n", r.File)
		printErrors(a.err, err)
		return found
	}
	if err := plan.write(); err != nil {
		return err
	}
	return c.tell(a, cfg, r, there && same)
}

// compare says whether a file is there, and is the same.
func (p *readyCopy) compare(name string, data []byte) (there, same bool) {
	have, err := os.ReadFile(filepath.Join(p.dir, name))
	return err == nil, bytes.Equal(have, data)
}

// loads tries the rules as they would be.
func (p *readyCopy) loads(cfg *config.Config) error {
	set, err := readSet(cfg)
	if err != nil {
		return err
	}
	trial, err := os.MkdirTemp("", "sekimori-rules-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(trial)
	files := maps.Clone(set.Files)
	maps.Copy(files, p.all)
	if err := materialize(trial, files); err != nil {
		return err
	}
	changed := *cfg
	changed.RulesDir = trial
	_, err = loadPolicy(&changed)
	var list rules.Errors
	if errors.As(err, &list) {
		for i := range list {
			list[i].File = strings.Replace(list[i].File, trial, p.dir, 1)
		}
	}
	return err
}

// write writes each file whole or not at all, the rules after the lists that they ask.
func (p *readyCopy) write() error {
	names := slices.Sorted(maps.Keys(p.all))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(filepath.Ext(b), filepath.Ext(a)) })
	for _, name := range names {
		path := filepath.Join(p.dir, name)
		there, same := p.compare(name, p.all[name])
		if same && there {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := disk.Own(filepath.Dir(path)); err != nil {
			return err
		}
		beside, err := writeBeside(path, p.all[name])
		if err != nil {
			return err
		}
		if err := os.Rename(beside, path); err != nil {
			return err
		}
	}
	return nil
}

// tell says what was copied and what is left to do.
func (c libraryUseCmd) tell(a *app, cfg *config.Config, r rules.Ready, already bool) error {
	row, err := rowOf(cfg.RulesDir, r, text.Lang(c.Lang))
	if err != nil {
		return err
	}
	path := filepath.Join(cfg.RulesDir, r.File)
	if already {
		fmt.Fprintf(a.out, "%s is in use already, as shipped\n", path)
	} else {
		fmt.Fprintf(a.out, "%s: %d rules, %d of them only observe; lists: %s\n", path, row.Rules, row.Observe, joinOr(r.Lists, "none"))
	}
	fmt.Fprintln(a.out, "  "+row.Meaning)
	for _, l := range row.ToFill {
		fmt.Fprintf(a.out, "  %s: %s\n", filepath.Join(cfg.RulesDir, l), text.Fill("library.fill."+l, text.Lang(c.Lang)))
	}
	return nil
}

func joinOr(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}
