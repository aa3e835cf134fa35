package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekimori/internal/ruleset"
	"sekimori/internal/text"
	"sekimori/rules"
)

type rulesDiffCmd struct {
	A        string `arg:"" optional:"" help:"Version, or in-force, previous, disk; default: the set in force, or the one before it when the files on the disk are in force."`
	B        string `arg:"" optional:"" help:"With what it is compared; default: the files on the disk."`
	JSON     bool   `help:"Print JSON."`
	ExitCode bool   `help:"Exit code 1 when they differ."`
}

// Help is the long help.
func (rulesDiffCmd) Help() string {
	return "Compares two sets rule by rule: what was added, removed, changed (each key), moved before or behind others, and how many " +
		"entries of each list came and went. Where in a file a rule stands is no difference."
}

// setDiff is what diff --json prints.
type setDiff struct {
	A          string             `json:"a"`
	B          string             `json:"b"`
	Same       bool               `json:"same"`
	Added      []shownRule        `json:"added"`
	Removed    []shownRule        `json:"removed"`
	Changed    []changedRule      `json:"changed"`
	Moved      []string           `json:"moved"`
	Scores     []rules.KeyChange  `json:"scores"`
	Thresholds []rules.KeyChange  `json:"thresholds"`
	Domains    []rules.KeyChange  `json:"domains"`
	SwitchedOn []string           `json:"switched_on"`
	Off        []string           `json:"switched_off"`
	Lists      []rules.ListChange `json:"lists"`
	Settings   []rules.KeyChange  `json:"settings"`
	Unkept     []string           `json:"unkept"` // files that differ and of which only the hash is kept
	Broken     []string           `json:"broken"` // files of B that are not TOML throughout
}

type changedRule struct {
	ID    string            `json:"id"`
	Place string            `json:"place"`
	Keys  []rules.KeyChange `json:"keys"`
}

func (c rulesDiffCmd) Run(a *app) error {
	cfg, store, err := a.rulesets()
	if err != nil {
		return err
	}
	if c.A == "" {
		history, err := store.History()
		if err != nil {
			return err
		}
		c.A, c.B = setInForce, setDisk
		if inspectDisk(cfg, history).State == string(ruleset.InForce) {
			c.A, c.B = setPrevious, setInForce
		}
	}
	x, err := findSet(cfg, store, c.A)
	if err != nil {
		return err
	}
	y, err := findSet(cfg, store, cmp.Or(c.B, setDisk))
	if err != nil {
		return err
	}
	d := diffSets(x, y)
	if c.JSON {
		err = a.json(d)
	} else {
		d.tell(a.out)
	}
	if err == nil && c.ExitCode && !d.Same {
		return found
	}
	return err
}

// diffSets compares two sets. A file whose content is not kept counts as it is known: by its hash.
func diffSets(x, y named) setDiff {
	from, to := rules.Source(x.Set.Files).Outline(), rules.Source(y.Set.Files).Outline()
	c := rules.Compare(from, to)
	d := setDiff{
		A: x.Manifest.Version, B: y.Manifest.Version, Added: []shownRule{}, Removed: []shownRule{}, Changed: []changedRule{}, Moved: orNone(c.Moved),
		Scores: orNone(c.Scores), Thresholds: orNone(c.Thresholds), Domains: orNone(c.Domains), SwitchedOn: orNone(c.Enabled), Off: orNone(c.Disabled), Lists: orNone(c.Lists),
		Settings: orNone(settingChanges(x.Manifest.Settings, y.Manifest.Settings)), Broken: orNone(to.Broken),
	}
	for _, r := range c.Added {
		d.Added = append(d.Added, shownRule{r.ID, r.Place, does(r)})
	}
	for _, r := range c.Removed {
		d.Removed = append(d.Removed, shownRule{r.ID, r.Place, does(r)})
	}
	for _, r := range c.Changed {
		d.Changed = append(d.Changed, changedRule{r.ID, r.Place, r.Keys})
	}
	d.unkept(x, y, to)
	d.Same = len(d.Added)+len(d.Removed)+len(d.Changed)+len(d.Moved)+len(d.Scores)+len(d.Thresholds)+len(d.Domains)+
		len(d.SwitchedOn)+len(d.Off)+len(d.Lists)+len(d.Settings)+len(d.Unkept) == 0
	return d
}

// unkept takes out the lists whose entries are not known, and names those that differ.
func (d *setDiff) unkept(x, y named, to *rules.Outline) {
	d.Unkept = []string{}
	sums := map[string]string{}
	for _, f := range x.Manifest.Files {
		sums[f.Name] = f.Sum
	}
	for _, f := range y.Manifest.Files {
		if !slices.Contains(x.Missing, f.Name) && !slices.Contains(y.Missing, f.Name) {
			continue
		}
		if sums[f.Name] != f.Sum {
			d.Unkept = append(d.Unkept, f.Name)
		}
		d.Lists = slices.DeleteFunc(d.Lists, func(l rules.ListChange) bool { return to.Lists[l.Name].File == f.Name })
	}
}

// orNone makes an empty list of nil, for JSON.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func settingChanges(x, y ruleset.Settings) []rules.KeyChange {
	var list []rules.KeyChange
	add := func(key, was, is string) {
		if was != is {
			list = append(list, rules.KeyChange{Key: key, Was: was, Is: is})
		}
	}
	add("policy.defaults", x.Defaults, y.Defaults)
	add("policy.mode", x.Mode, y.Mode)
	add("policy.disable", strings.Join(x.Disable, " "), strings.Join(y.Disable, " "))
	add("quarantine.admin_only", strings.Join(x.Protected, " "), strings.Join(y.Protected, " "))
	for _, key := range []string{"tag", "hold", "reject"} {
		add("policy.thresholds."+key, limit(x.Thresholds, key), limit(y.Thresholds, key))
	}
	return list
}

func limit(of map[string]float64, key string) string {
	if v, ok := of[key]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

func (d setDiff) tell(w io.Writer) {
	if d.Same {
		fmt.Fprintf(w, "%s and %s judge alike\n", d.A, d.B)
		return
	}
	fmt.Fprintf(w, "from %s to %s:\n", d.A, d.B)
	for _, r := range d.Added {
		fmt.Fprintf(w, "+ %s (%s): %s\n", r.ID, r.Place, r.Does)
	}
	for _, r := range d.Removed {
		fmt.Fprintf(w, "- %s (%s): %s\n", r.ID, r.Place, r.Does)
	}
	for _, r := range d.Changed {
		fmt.Fprintf(w, "~ %s (%s)\n", r.ID, r.Place)
		printKeys(w, r.Keys)
	}
	for _, id := range d.Moved {
		fmt.Fprintf(w, "~ %s stands before or behind other rules than it did\n", id)
	}
	for _, id := range d.Off {
		fmt.Fprintf(w, "- %s is switched off (disable)\n", id)
	}
	for _, id := range d.SwitchedOn {
		fmt.Fprintf(w, "+ %s is not switched off any more\n", id)
	}
	for _, l := range d.Lists {
		fmt.Fprintf(w, "~ list %s: %d -> %d entries%s\n", l.Name, l.Was, l.Is, entries(l))
	}
	for _, part := range []struct {
		name string
		keys []rules.KeyChange
	}{{"scores", d.Scores}, {"thresholds of the rule files", d.Thresholds}, {"sections of domains", d.Domains}, {"settings of the configuration", d.Settings}} {
		if len(part.keys) > 0 {
			fmt.Fprintf(w, "~ %s\n", part.name)
			printKeys(w, part.keys)
		}
	}
	for _, f := range d.Unkept {
		fmt.Fprintf(w, "~ %s is another file; it is too large for its entries to be kept\n", f)
	}
	for _, f := range d.Broken {
		fmt.Fprintf(w, "! %s is not TOML throughout; what cannot be read is not compared (sekimori rules check)\n", f)
	}
}

func printKeys(w io.Writer, keys []rules.KeyChange) {
	for _, k := range keys {
		if k.Key == "test" {
			fmt.Fprintln(w, "    test: other tests")
			continue
		}
		fmt.Fprintf(w, "    %s: %s -> %s\n", k.Key, text.Clean(cmp.Or(k.Was, "none"), 300), text.Clean(cmp.Or(k.Is, "none"), 300))
	}
}

// entries names up to five entries that came and went.
func entries(l rules.ListChange) string {
	var all []string
	for _, e := range l.Added {
		all = append(all, "+"+e)
	}
	for _, e := range l.Removed {
		all = append(all, "-"+e)
	}
	more := ""
	if len(all) > 5 {
		all, more = slices.Clone(all[:5]), fmt.Sprintf(" and %d more", len(all)-5)
	}
	return ": " + text.Clean(strings.Join(all, " "), 400) + more
}
