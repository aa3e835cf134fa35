package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/history"
	"sekimori/internal/replay"
	"sekimori/internal/ruleset"
	"sekimori/rules"
)

type rulesReplayCmd struct {
	Set     string    `arg:"" name:"dir" help:"Directory with the new rule files, or a set of rules history: a version, previous, disk, in-force."`
	Since   timeValue `default:"14d" placeholder:"TIME" help:"Only mail since then: 2026-11-20, 2026-11-20T14:00 or an age such as 14d (default)."`
	Until   timeValue `placeholder:"TIME" help:"Only mail until then."`
	Against string    `enum:"in-force,then" default:"in-force" help:"What to compare with: what the set in force says (in-force), or what was done then, by whatever set (then)."`
	Only    string    `placeholder:"TEXT" help:"List only moves with this text in a rule, symbol, sender, recipient, subject or outcome (deliver>hold)."`
	Limit   int       `default:"20" help:"How many moves to list at the most; 0: none."`
	Verbose bool      `short:"v" help:"Count all rules, not only those because of which something moves."`
	JSON    bool      `help:"Print JSON."`
}

// Help is the long help.
func (rulesReplayCmd) Help() string {
	return "Judges the mail of the last days once more, with another set of rules, and says who would be treated otherwise: a table from what to " +
		"what, the mails (first those that people released, then those of known correspondents), and what each rule does. Nothing is " +
		"delivered, held or counted.\n\n" +
		"It judges what the rules saw of each mail, which this host keeps for [history] facts (14d). No text of a mail is among it: a " +
		"condition on the text that is new or changed is judged on mail that is in the quarantine yet; for the rest it is tried whether the " +
		"outcome depends on it, and what does is counted as not judged. Nothing is guessed.\n\n" +
		"With the set in force all verdicts come out as they were: sekimori rules replay in-force. One that does not is a mistake in this " +
		"program and is shown. Each host has its own mail: run the command on each. Exit code 1 when the set does not load, nothing is kept of that " +
		"time, or a verdict is not reproduced."
}

// replayReport is what replay --json prints.
type replayReport struct {
	Node    string         `json:"node"`
	Set     replaySet      `json:"set"`
	Against replaySet      `json:"against"`
	Since   time.Time      `json:"since,omitzero"`
	Until   time.Time      `json:"until,omitzero"`
	Kept    history.Period `json:"kept"` // what there is on this host
	*replay.Result
	Notes   []string `json:"notes"` // what was not covered, and why
	Others  []string `json:"other_hosts"`
	Seconds float64  `json:"seconds"`
}

// replaySet names a set of rules.
type replaySet struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (c rulesReplayCmd) Run(a *app) error {
	if c.Limit < 0 || c.Limit > 100_000 {
		return usage("--limit is from 0 to 100000")
	}
	if !c.Until.IsZero() && !c.Since.Before(c.Until.Time) {
		return usage("--until %s is not after --since %s", c.Until.Format(historyTime), c.Since.Format(historyTime))
	}
	cfg, store, err := a.rulesets()
	if err != nil {
		return err
	}
	fresh, err := a.replaySet(cfg, store, c.Set)
	if err != nil {
		return err
	}
	defer fresh.close()
	r := replayer{a: a, cfg: cfg, since: c.Since.Time, until: c.Until.Time, limit: c.Limit, only: c.Only}
	if c.Against == setInForce {
		present, why := a.presentSet(cfg, store)
		if present == nil {
			r.note("the set in force cannot be loaded, so this compares with what was done then: " + why)
		} else {
			defer present.close()
			r.now = present
		}
	}
	rep, err := r.run(fresh)
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.json(rep)
	} else {
		err = rep.print(a, c.Verbose)
	}
	if err == nil && (rep.Mismatch > 0 || rep.Mails+rep.NotJudged.Mails == 0) {
		return found
	}
	return err
}

// loadedSet is a set of rules that was loaded.
type loadedSet struct {
	replaySet
	policy *rules.Policy
	temp   string // directory with its files; "" for none
}

func (l *loadedSet) close() {
	if l.temp != "" {
		_ = os.RemoveAll(l.temp)
	}
}

// replaySet loads a directory, or a set that was kept. Errors of the rules are printed.
func (a *app) replaySet(cfg *config.Config, store *ruleset.Store, name string) (*loadedSet, error) {
	l := &loadedSet{}
	var err error
	if info, statErr := os.Stat(name); statErr == nil && info.IsDir() {
		changed := *cfg
		changed.RulesDir = name
		l.Name = name
		if set, err := readSet(&changed); err == nil {
			l.Version = set.Manifest().Version
		}
		l.policy, err = loadPolicy(&changed)
		return l.orErrors(a, err)
	}
	n, err := findSet(cfg, store, name)
	if err != nil {
		if strings.ContainsAny(name, `/\.`) {
			return nil, usage("rules replay %s: there is no such directory", name)
		}
		return nil, fmt.Errorf("%s is no directory, and no set of rules history: %w", name, err)
	}
	l, err = loadNamed(cfg, n)
	return l.orErrors(a, err)
}

// orErrors prints the errors of rules.
func (l *loadedSet) orErrors(a *app, err error) (*loadedSet, error) {
	if err == nil {
		return l, nil
	}
	if l != nil {
		l.close()
	}
	printErrors(a.err, err)
	return nil, found
}

// presentSet loads the set in force; nil, with the reason, when it cannot be. Where no server ran yet, it is the one on the disk.
func (a *app) presentSet(cfg *config.Config, store *ruleset.Store) (*loadedSet, string) {
	list, err := store.History()
	if err != nil {
		return nil, err.Error()
	}
	name := setInForce
	if inForce(list) == nil {
		name = setDisk
	}
	n, err := findSet(cfg, store, name)
	if err != nil {
		return nil, err.Error()
	}
	l, err := loadNamed(cfg, n)
	if err != nil {
		return nil, strings.Join(errorLines(err), "; ")
	}
	return l, ""
}

// loadNamed loads a set with its own settings: from rules_dir when that has the same files, else from where they are written to.
func loadNamed(cfg *config.Config, n named) (*loadedSet, error) {
	l := &loadedSet{replaySet: replaySet{n.Name, n.Manifest.Version}}
	trial := *cfg
	s := n.Manifest.Settings
	trial.Policy.Defaults, trial.Policy.Mode, trial.Policy.Disable, trial.Policy.Thresholds = s.Defaults, s.Mode, s.Disable, s.Thresholds
	disk, err := readSet(cfg)
	if err != nil || disk.Manifest().Version != n.Manifest.Version {
		if len(n.Missing) > 0 {
			return l, fmt.Errorf("%s: %s: too large to be kept with the set", n.Name, strings.Join(n.Missing, ", "))
		}
		if l.temp, err = os.MkdirTemp("", "sekimori-rules-"); err != nil {
			return l, err
		}
		if err := materialize(l.temp, n.Set.Files); err != nil {
			return l, err
		}
		trial.RulesDir = l.temp
	}
	l.policy, err = loadPolicy(&trial)
	return l, elsewhere(err, l.temp, n.Name)
}

// elsewhere lets errors of rules name the place from which the files were copied.
func elsewhere(err error, temp, name string) error {
	var list rules.Errors
	if temp == "" || !errors.As(err, &list) {
		return err
	}
	list = slices.Clone(list)
	for i := range list {
		if rel, ok := strings.CutPrefix(list[i].File, temp); ok {
			list[i].File = name + rel
		}
	}
	return list
}

// replayer carries out one replay for a command.
type replayer struct {
	a            *app
	cfg          *config.Config
	now          *loadedSet // with which it is compared; nil: with what was done
	since, until time.Time
	limit        int
	only         string
	notes        []string
}

func (r *replayer) note(s string) { r.notes = append(r.notes, s) }

// run judges the mail of this host.
func (r *replayer) run(fresh *loadedSet) (*replayReport, error) {
	reader, err := readHistory(r.cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no history in %s: serve never ran with this configuration", historyDir(r.cfg))
	}
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	rep := &replayReport{Node: r.cfg.Hostname, Set: fresh.replaySet, Against: replaySet{Name: "what was done then"}, Since: r.since, Until: r.until, Others: []string{}}
	if rep.Kept, err = reader.Period(history.Facts); err != nil {
		return nil, err
	}
	released, err := releasedMails(reader, r.since)
	if err != nil {
		r.note("not all releases are known: " + err.Error())
	}
	held := &heldBodies{a: r.a, cfg: r.cfg, since: r.since}
	defer held.close()
	o := replay.Options{
		New: fresh.policy, Released: func(id string) bool { return released[history.Base(id)] }, Body: held.body,
		Limit: r.limit, Wants: r.wants(), Progress: r.progress(),
	}
	if r.now != nil {
		o.Now, rep.Against = r.now.policy, r.now.replaySet
	}
	until := r.until
	if until.IsZero() {
		until = time.Now().Add(24 * time.Hour) // clocks differ
	}
	start := time.Now()
	rep.Result, err = replay.Run(r.a.ctx, reader.Facts(r.since, until), o)
	r.progressed()
	if err != nil {
		return nil, err
	}
	rep.Seconds = time.Since(start).Seconds()
	if held.err != nil {
		r.note("the quarantine could not be asked for mails: " + held.err.Error())
	}
	r.covered(rep)
	rep.Notes = orNone(r.notes)
	return rep, nil
}

// covered notes what was not looked at: times of which nothing is kept, and other hosts.
func (r *replayer) covered(rep *replayReport) {
	day := func(t time.Time) string { return t.Local().Format(historyTime) }
	switch {
	case rep.Kept.Records == 0:
		r.note("no facts are kept on this host; they are of mail that comes from now on")
	case rep.Kept.From.After(r.since.Add(time.Hour)):
		r.note(fmt.Sprintf("%s to %s is not covered: facts are kept from then on ([history] facts = %s)", day(r.since), day(rep.Kept.From), r.cfg.History.Facts))
	}
	if !r.until.IsZero() && rep.Kept.Records > 0 && rep.Kept.From.After(r.until) {
		r.note(fmt.Sprintf("all of that time is before %s, the first of which something is kept", day(rep.Kept.From)))
	}
	nodes, err := r.a.rulesNodes(r.cfg)
	if err != nil {
		r.note("whether other hosts took mail cannot be told: " + err.Error())
	}
	for _, n := range nodes {
		if n.Node != r.cfg.Hostname {
			rep.Others = append(rep.Others, n.Node)
		}
	}
	slices.Sort(rep.Others)
}

// wants chooses which moves are listed.
func (r *replayer) wants() func(*replay.Move) bool {
	if r.only == "" {
		return nil
	}
	want := strings.ToLower(r.only)
	return func(m *replay.Move) bool {
		all := append([]string{m.ID, m.Rcpt, m.Sender, m.Subject, m.Was.Rule, m.Is.Rule, m.From + ">" + m.To}, m.Changed...)
		return slices.ContainsFunc(all, func(s string) bool { return strings.Contains(strings.ToLower(s), want) })
	}
}

const progressEvery = 200 * time.Millisecond

// progress tells a person at a screen how far it is; nil when there is none.
func (r *replayer) progress() func(int, time.Time) {
	if !terminal(r.a.err) {
		return nil
	}
	var last atomic.Int64
	return func(mails int, at time.Time) {
		now := time.Now().UnixNano()
		if was := last.Load(); now-was < int64(progressEvery) || !last.CompareAndSwap(was, now) {
			return
		}
		fmt.Fprintf(r.a.err, "\r%s mails, %s ", thousands(mails), at.Local().Format("2006-01-02 15:04"))
	}
}

// progressed clears the line of progress.
func (r *replayer) progressed() {
	if terminal(r.a.err) {
		fmt.Fprint(r.a.err, "\r\033[K")
	}
}
