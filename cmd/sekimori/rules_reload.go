package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/replay"
	"sekimori/internal/ruleset"
)

type rulesReloadCmd struct {
	Dir       string    `arg:"" optional:"" type:"existingdir" help:"Directory with the new rule files, which are written into rules_dir; default: what stands in rules_dir."`
	Budget    share     `placeholder:"SHARE" help:"Refuse a set that would treat more of the mail otherwise than this share, such as 0.5%."`
	Since     timeValue `default:"7d" placeholder:"TIME" help:"With --budget, judge the mail since then: 2026-11-20 or an age such as 7d (default)."`
	Force     bool      `help:"Load the set although it would move more than the budget."`
	KeepLists bool      `help:"Leave the lists of rules_dir as they are and take the rule files of the directory only."`
	DryRun    bool      `help:"Say what would be done and do nothing."`
	NoWait    bool      `help:"Do not wait until the running server has read them."`
	JSON      bool      `help:"Print JSON."`
}

// Help is the long help.
func (rulesReloadCmd) Help() string {
	return "Puts new rules in force after they have been checked, and waits until the running server has them. With --budget the mail of " +
		"the last days is judged by them first (see rules replay), and a set that would treat more of it otherwise than that share is refused; mail of " +
		"which nobody can say what becomes of it counts as moved. --force loads it all the same.\n\n" +
		"The server reads a changed file in rules_dir by itself, without asking how much mail moves. So edit a copy and name it: sekimori rules " +
		"reload DIR --budget 0.5%. Its files are written into rules_dir all at once, as by rollback, and what stood there is kept as a version. Without " +
		"DIR it loads what stands in rules_dir: make the file " + waitFile + " there before you edit, then the server waits; this command " +
		"removes it when the set is within the budget, and leaves it when not.\n\n" +
		"Exit code 1 when the set does not load, is refused, or is not in force within 30 seconds."
}

// share is a part of the mail on the command line: 0.5%.
type share struct {
	of  float64 // 0 to 1
	set bool
}

// UnmarshalText reads a percentage.
func (s *share) UnmarshalText(b []byte) error {
	digits, ok := strings.CutSuffix(strings.TrimSpace(string(b)), "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return fmt.Errorf("%q is not a share of the mail such as 0.5%%", b)
	}
	*s = share{n / 100, true}
	return nil
}

// reloadReport is what reload --json prints.
type reloadReport struct {
	Was    string        `json:"was"`     // version in force before
	Set    string        `json:"version"` // that is loaded
	Budget *float64      `json:"budget"`  // null: none was given
	Share  float64       `json:"share"`   // of the mail that moves, or of which nobody can say
	Within bool          `json:"within"`
	Forced bool          `json:"forced"`
	Loaded bool          `json:"loaded"`
	Why    string        `json:"why,omitempty"` // it was not loaded
	Replay *replayReport `json:"replay,omitempty"`
}

// reloading is one run of the command.
type reloading struct {
	c      rulesReloadCmd
	a      *app
	say    io.Writer // what a person reads
	cfg    *config.Config
	store  *ruleset.Store
	before named // on the disk
	plan   rollback
	fresh  *loadedSet
	r      reloadReport
}

func (c rulesReloadCmd) Run(a *app) error {
	cfg, store, err := a.rulesets()
	if err != nil {
		return err
	}
	if cfg.RulesDir == "" {
		return errors.New("rules_dir is not set, so there are no files to load; the built-in rules are chosen by policy.defaults")
	}
	x := &reloading{c: c, a: a, say: a.out, cfg: cfg, store: store}
	if c.JSON {
		x.say = io.Discard
	}
	err = x.run()
	if c.JSON && x.r.Set != "" {
		if err != nil && x.r.Why == "" {
			x.r.Why = err.Error()
		}
		if jsonErr := a.json(x.r); jsonErr != nil {
			return jsonErr
		}
	}
	return err
}

func (x *reloading) run() error {
	if err := x.read(); err != nil {
		return err
	}
	defer x.fresh.close()
	if x.r.Was == x.r.Set && x.plan.empty() && !x.waiting() {
		fmt.Fprintf(x.say, "%s has the set in force already: %s\n", x.cfg.RulesDir, x.r.Set)
		x.r.Loaded, x.r.Within = true, true
		return nil
	}
	if err := x.check(); err != nil {
		return err
	}
	if x.c.DryRun {
		fmt.Fprintln(x.say, "nothing was done (--dry-run)")
		x.r.Why = "dry run"
		return nil
	}
	return x.load()
}

// read reads what is on the disk and what is to be, and loads that.
func (x *reloading) read() error {
	set, err := readSet(x.cfg)
	if err != nil {
		return fmt.Errorf("rules_dir: %w", err)
	}
	x.before = named{Name: setDisk, Manifest: set.Manifest(), Set: set}
	history, err := x.store.History()
	if err != nil {
		return err
	}
	if now := inForce(history); now != nil {
		x.r.Was = now.Version
	}
	target := x.before
	if x.c.Dir != "" && !sameDir(x.c.Dir, x.cfg.RulesDir) {
		other := *x.cfg
		other.RulesDir = x.c.Dir
		if set, err = readSet(&other); err != nil {
			return fmt.Errorf("%s: %w", x.c.Dir, err)
		}
		target = named{Name: x.c.Dir, Manifest: set.Manifest(), Set: set}
	}
	if x.plan, err = planRollback(x.cfg, x.before, target, x.c.KeepLists); err != nil {
		return err
	}
	after := x.before
	if !x.plan.empty() {
		after = x.plan.result(x.before, target)
	}
	if x.fresh, err = loadNamed(x.cfg, after); err != nil {
		x.fresh.close()
		fmt.Fprintf(x.a.err, "%s does not load, and nothing was done:\n", target.Name)
		printErrors(x.a.err, err)
		return found
	}
	x.fresh.Name, x.r.Set = target.Name, after.Manifest.Version
	diffSets(x.inForce(), after).tell(x.say)
	for _, l := range x.plan.left {
		fmt.Fprintln(x.say, "note:", l)
	}
	if _, err := os.Stat(filepath.Join(x.c.Dir, "tests")); x.c.Dir != "" && err == nil {
		fmt.Fprintln(x.say, "note: the folder tests is not copied")
	}
	return nil
}

// inForce is the set with which the new one is compared: the one on the disk, when nothing else is known.
func (x *reloading) inForce() named {
	if n, err := findSet(x.cfg, x.store, setInForce); err == nil {
		return n
	}
	return x.before
}

func sameDir(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// waiting reports whether the server was told to wait.
func (x *reloading) waiting() bool {
	_, err := os.Stat(filepath.Join(x.cfg.RulesDir, waitFile))
	return err == nil
}

// check judges past mail, and refuses a set that is over the budget.
func (x *reloading) check() error {
	if !x.c.Budget.set {
		x.r.Within = true
		return nil
	}
	x.r.Budget = &x.c.Budget.of
	r := replayer{a: x.a, cfg: x.cfg, since: x.c.Since.Time, limit: 5}
	if present, why := x.a.presentSet(x.cfg, x.store); present != nil {
		defer present.close()
		r.now = present
	} else {
		r.note("the set in force cannot be loaded, so this compares with what was done then: " + why)
	}
	rep, err := r.run(x.fresh)
	switch {
	case err != nil && !x.c.Force:
		return fmt.Errorf("how much mail would move cannot be told: %w\nnothing was done; --force loads the set all the same", err)
	case err != nil:
		fmt.Fprintln(x.say, "note: how much mail would move cannot be told:", err)
		x.r.Forced = true
		return nil
	}
	x.r.Replay = rep
	show := *x.a
	show.out = x.say
	if err := rep.print(&show, false); err != nil {
		return err
	}
	all := rep.Mails + rep.NotJudged.Mails
	if all > 0 {
		x.r.Share = float64(rep.Moved+rep.NotJudged.Mails) / float64(all)
	}
	x.r.Within = all > 0 && x.r.Share <= x.c.Budget.of+1e-12
	x.r.Why = x.over(rep, all)
	if x.r.Within {
		fmt.Fprintf(x.say, "\nwithin the budget: %s of %s\n", percent(x.r.Share), percent(x.c.Budget.of))
		x.r.Why = ""
		return nil
	}
	if x.c.Force {
		fmt.Fprintf(x.say, "\nforced, although %s\n", x.r.Why)
		x.r.Forced, x.r.Why = true, ""
		return nil
	}
	fmt.Fprintf(x.a.err, "refused: %s\nnothing was done; sekimori rules replay shows the mails, --force loads the set all the same\n", x.r.Why)
	return found
}

// over says why a set is refused.
func (x *reloading) over(rep *replayReport, all int) string {
	if all == 0 {
		return "no mail of that time is kept on this host, so that nobody can say how much would move"
	}
	s := fmt.Sprintf("%s of %s mails would be treated otherwise", thousands(rep.Moved), thousands(all))
	if n := rep.NotJudged.Mails; n > 0 {
		s += fmt.Sprintf(", and of %s nobody can say (a new condition on the text can observe first: mode = \"observe\")", thousands(n))
	}
	s += fmt.Sprintf(": %s, more than %s", percent(x.r.Share), percent(x.c.Budget.of))
	if because := movers(rep.Rules); because != "" {
		s += "; because of " + because
	}
	return s
}

// movers names the rules because of which most recipients move.
func movers(rules []replay.RuleCount) string {
	var list []string
	for i := range rules {
		if n := rules[i].Moves; n > 0 && len(list) < 10 {
			list = append(list, fmt.Sprintf("%s (%s)", rules[i].ID, thousands(n)))
		}
	}
	return strings.Join(list, ", ")
}

// load writes what is to be written, and lets the server read it.
func (x *reloading) load() error {
	if !x.plan.empty() {
		if err := x.write(); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(x.plan.dir, waitFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	x.r.Why = ""
	st, err := readState(x.cfg.DataDir)
	if err != nil {
		return err
	}
	if st != nil {
		_ = syscall.Kill(st.PID, syscall.SIGHUP) // without permission: it looks by itself in a moment
	}
	if x.c.NoWait {
		fmt.Fprintln(x.say, "the running server reads it in a moment")
		return nil
	}
	show := *x.a
	show.out = x.say
	if err := show.awaitSet(x.cfg, x.store, x.r.Set); err != nil {
		return err
	}
	x.r.Loaded = st != nil
	return nil
}

// write keeps what stands in rules_dir as a version and writes the new files.
func (x *reloading) write() error {
	kept := func(err error) error {
		return fmt.Errorf("what stands in rules_dir cannot be kept first, so nothing was written: %w", err)
	}
	store, err := ruleset.Open(rulesetDir(x.cfg), x.cfg.Policy.KeepVersions)
	if err != nil {
		return kept(err)
	}
	by := []string{whoRuns()}
	if _, err := store.Add(x.before.Set, ruleset.Entry{Time: time.Now(), State: ruleset.Kept, Why: "before the files of " + x.c.Dir, By: by}); err != nil {
		return kept(err)
	}
	if err := x.plan.write(); err != nil {
		return err
	}
	set, err := readSet(x.cfg)
	if err != nil {
		return err
	}
	if _, err := store.Add(set, ruleset.Entry{Time: time.Now(), State: ruleset.Written, Why: "from " + x.c.Dir, By: by}); err != nil {
		fmt.Fprintln(x.a.err, "warning: what was written is not in the history:", err)
	}
	fmt.Fprintf(x.say, "%s: written; what stood there is kept as %s\n", x.cfg.RulesDir, x.before.Manifest.Version)
	if inGit(x.cfg.RulesDir) {
		fmt.Fprintln(x.say, "rules_dir is in a git checkout: commit what was written, or the next pull brings the older rules again")
	}
	return nil
}
