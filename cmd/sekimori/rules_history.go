package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/ruleset"
	"sekimori/internal/text"
	"sekimori/reputation"
)

type rulesHistoryCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help is the long help.
func (rulesHistoryCmd) Help() string {
	return "Lists, newest first, every set of rules that came into force on this host, was refused, or was kept before a rollback, " +
		"and says which one is in force here and on the other hosts. Sets are told apart by their version: hosts with the same rule " +
		"files, lists and [policy] have the same one. Exit code 1 when the set on the disk was refused."
}

// rulesHistory is what history --json prints.
type rulesHistory struct {
	InForce *ruleset.Entry    `json:"in_force"` // null: none was ever in force on this data_dir
	Disk    diskSet           `json:"disk"`
	History []ruleset.Entry   `json:"history"`
	Nodes   rulesNodes        `json:"nodes"`
	Back    []reputation.Back `json:"retreats"` // rules that have stepped back
}

// diskSet is how the files in rules_dir stand to the set in force.
type diskSet struct {
	Version string   `json:"version"` // "": they cannot be read
	State   string   `json:"state"`   // in force | refused | not read yet | no server
	Errors  []string `json:"errors,omitempty"`
}

// inForce returns the entry of the set that judges, nil when none ever did.
func inForce(history []ruleset.Entry) *ruleset.Entry {
	for _, e := range history {
		if e.State == ruleset.InForce {
			return &e
		}
	}
	return nil
}

// inspectDisk compares the files with the history.
func inspectDisk(cfg *config.Config, history []ruleset.Entry) diskSet {
	set, err := readSet(cfg)
	if err != nil {
		return diskSet{State: string(ruleset.Refused), Errors: errorLines(err)}
	}
	d := diskSet{Version: set.Manifest().Version, State: "not read yet"}
	if now := inForce(history); now != nil && now.Version == d.Version {
		d.State = string(ruleset.InForce)
		return d
	}
	for _, e := range history {
		switch {
		case e.State == ruleset.InForce:
		case e.State == ruleset.Refused && e.Version == d.Version:
			d.State, d.Errors = string(ruleset.Refused), e.Errors
			return d
		default:
			continue
		}
		break
	}
	if st, err := readState(cfg.DataDir); err == nil && st == nil {
		d.State = "no server"
	}
	return d
}

func (c rulesHistoryCmd) Run(a *app) error {
	cfg, store, err := a.rulesets()
	if err != nil {
		return err
	}
	history, err := store.History()
	if err != nil {
		return err
	}
	h := rulesHistory{InForce: inForce(history), Disk: inspectDisk(cfg, history), History: history}
	h.Nodes, err = a.rulesNodes(cfg)
	if err != nil {
		fmt.Fprintln(a.err, "warning: what the other hosts have in force cannot be told:", err)
	}
	policy, _ := loadPolicy(cfg) // that the files are wrong is said below
	if h.Back, err = a.retreated(cfg, policy); err != nil {
		fmt.Fprintln(a.err, "warning:", err)
	}
	if c.JSON {
		err = a.json(h)
	} else {
		err = h.print(a, cfg)
	}
	if err == nil && h.Disk.State == string(ruleset.Refused) {
		return found
	}
	return err
}

const historyTime = "2006-01-02 15:04:05"

func (h rulesHistory) print(a *app, cfg *config.Config) error {
	if len(h.History) == 0 {
		fmt.Fprintf(a.out, "no set of rules was in force on this data_dir (%s) yet: the first is kept when `sekimori serve` starts\n", cfg.DataDir)
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "VERSION\tTIME\tSTATE\tWHY\tBY")
	for _, e := range h.History {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Version, e.Time.Local().Format(historyTime), e.State, text.Clean(shortWhy(e.Why), 70), strings.Join(e.By, ", "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	h.Disk.tell(a, h.InForce)
	h.Nodes.tell(a)
	for _, b := range h.Back {
		fmt.Fprintln(a.out, "stepped back: "+backWords(b))
	}
	return nil
}

// shortWhy leaves of changed files their names only.
func shortWhy(why string) string {
	files, ok := strings.CutPrefix(why, "changed: ")
	if !ok {
		return why
	}
	var names []string
	for f := range strings.SplitSeq(files, ", ") {
		names = append(names, filepath.Base(f))
	}
	return "changed: " + strings.Join(slices.Compact(names), ", ")
}

// tell says in words what is in force and what is on the disk.
func (d diskSet) tell(a *app, now *ruleset.Entry) {
	if now == nil {
		return
	}
	fmt.Fprintf(a.out, "in force: %s, since %s\n", now.Version, now.Time.Local().Format(historyTime))
	switch d.State {
	case string(ruleset.InForce):
	case string(ruleset.Refused):
		fmt.Fprintf(a.out, "on the disk: %s, which was refused:\n", orUnread(d.Version))
		for _, e := range d.Errors {
			fmt.Fprintln(a.out, "  "+e)
		}
		fmt.Fprintln(a.out, "mend the files (sekimori rules check), or write those in force back: sekimori rules rollback")
	case "no server":
		fmt.Fprintf(a.out, "on the disk: %s; no server runs on this data_dir, and the next one begins with it\n", d.Version)
	default:
		fmt.Fprintf(a.out, "on the disk: %s, not read yet: the server looks every %s, waits until the files stay as they are and no %s is there, or reads at SIGHUP\n", d.Version, reloadPoll, waitFile)
	}
}

func orUnread(version string) string {
	if version == "" {
		return "files that cannot be read"
	}
	return version
}

// rulesets opens what is kept for looking.
func (a *app) rulesets() (*config.Config, *ruleset.Store, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, nil, found
	}
	return cfg, ruleset.Reader(rulesetDir(cfg)), nil
}

// named is a set that the administrator named.
type named struct {
	Name     string // for people
	Manifest ruleset.Manifest
	Set      ruleset.Set
	Missing  []string // files whose content is not kept
}

// The names of sets beside their versions.
const (
	setDisk     = "disk"
	setInForce  = "in-force"
	setPrevious = "previous"
)

// findSet finds a set by its version or by one of the names.
func findSet(cfg *config.Config, store *ruleset.Store, name string) (named, error) {
	n := named{Name: name}
	if name == setDisk {
		set, err := readSet(cfg)
		if err != nil {
			return n, fmt.Errorf("rules_dir: %w", err)
		}
		return named{Name: "the files on the disk", Manifest: set.Manifest(), Set: set}, nil
	}
	history, err := store.History()
	if err != nil {
		return n, err
	}
	now := inForce(history)
	switch {
	case name != setInForce && name != setPrevious:
	case now == nil:
		return n, fmt.Errorf("no set of rules was in force on this data_dir yet (%s)", cfg.DataDir)
	case name == setInForce:
		n.Name = now.Version
	default:
		i := slices.IndexFunc(history, func(e ruleset.Entry) bool { return e.State == ruleset.InForce && e.Version != now.Version })
		if i < 0 {
			return n, errors.New("there was no other set in force before the present one")
		}
		n.Name = history[i].Version
	}
	if n.Manifest, err = store.Find(n.Name); err != nil {
		return n, err
	}
	n.Set, n.Missing, err = store.Set(n.Manifest)
	n.Name = n.Manifest.Version
	return n, err
}
