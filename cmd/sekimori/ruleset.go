package main

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ruleset"
	"sekimori/rules"
)

func rulesetDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "rules") }

// ruleSets is what the server knows of its sets of rules.
type ruleSets struct {
	present atomic.Pointer[ruleset.Entry] // the set in force
	refused atomic.Pointer[ruleset.Entry] // the set on the disk, when it did not load; else nil
}

// errMoving is a directory whose files were not the same before and after they were read. It is tried again.
var errMoving = errors.New("the rule files changed while they were read; they are read again when they stay as they are")

// readSet reads what the rules of a configuration are made of.
func readSet(cfg *config.Config) (ruleset.Set, error) {
	src, err := rules.ReadSource(cfg.RulesDir, cfg.Policy.Defaults)
	if err != nil {
		return ruleset.Set{}, err
	}
	set := ruleset.Set{Files: src, Settings: ruleset.Settings{
		Defaults: cfg.Policy.Defaults, Mode: cfg.Policy.Mode, Disable: slices.Clone(cfg.Policy.Disable), Thresholds: cfg.Policy.Thresholds,
		Protected: cfg.Quarantine.AdminOnly,
	}}
	if all := rules.Versions(); set.Settings.Defaults == "" {
		set.Settings.Defaults = all[len(all)-1]
	}
	return set, nil
}

// sameSet returns errMoving when what is on the disk is not the set any more.
func sameSet(cfg *config.Config, set ruleset.Set) error {
	again, err := readSet(cfg)
	if err != nil || again.Manifest().Version != set.Manifest().Version {
		return errMoving
	}
	return nil
}

// firstGeneration is newGeneration for a start, which waits for files that are being copied.
func (s *server) firstGeneration(ctx context.Context, cfg *config.Config) (*generation, error) {
	for n := 0; ; n++ {
		gen, err := s.newGeneration(ctx, cfg)
		if !errors.Is(err, errMoving) || n == 10 {
			return gen, err
		}
		s.log.Info("not started yet", "message", err.Error())
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(reloadPoll):
		}
	}
}

// keepInForce writes down the set that has just come into force, and returns its version. changed are the files because of which.
func (s *server) keepInForce(why string, changed []string) string {
	gen := s.present.Load()
	e := ruleset.Entry{Time: time.Now(), State: ruleset.InForce, Why: why, By: ownersOf(changed)}
	e.Version = gen.set.Manifest().Version
	store, err := ruleset.Open(rulesetDir(gen.cfg), gen.cfg.Policy.KeepVersions)
	if err == nil {
		_, err = store.Add(gen.set, e)
	}
	if err != nil {
		s.log.Error("the set of rules in force cannot be kept, so that it cannot be gone back to", "version", e.Version, "err", err)
	}
	gen.set = ruleset.Set{} // lists are large
	if old := s.sets.present.Load(); old == nil || old.Version != e.Version {
		if since, err := ruleset.Reader(rulesetDir(gen.cfg)).Since(e.Version); err == nil {
			e.Time = since
		}
		s.sets.present.Store(&e)
	}
	s.sets.refused.Store(nil)
	return e.Version
}

// keepRefused writes down a set that did not load. A configuration that was refused for something else is no set.
func (s *server) keepRefused(cfg *config.Config, why string, err error) {
	var wrong rules.Errors
	if cfg == nil || !errors.As(err, &wrong) {
		return
	}
	set, readErr := readSet(cfg)
	if readErr != nil {
		return
	}
	e := ruleset.Entry{Time: time.Now(), State: ruleset.Refused, Why: why, Errors: errorLines(wrong)}
	e.Version = set.Manifest().Version
	store, openErr := ruleset.Open(rulesetDir(s.cfg()), cfg.Policy.KeepVersions)
	if openErr == nil {
		_, openErr = store.Add(set, e)
	}
	if openErr != nil {
		s.log.Error("a refused set of rules cannot be kept", "err", openErr)
	}
	s.sets.refused.Store(&e)
}

// ownersOf names to whom files belong, each once.
func ownersOf(files []string) []string {
	var names []string
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			continue
		}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			uid := strconv.Itoa(int(sys.Uid))
			name := "uid " + uid
			if u, err := user.LookupId(uid); err == nil {
				name = u.Username
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// waitFile in rules_dir keeps the server from reading it: whoever copies slowly makes it first and removes it at the end.
const waitFile = ".sekimori-wait"

const (
	waitWarn = 10 * time.Minute // after which waiting is a warning
	tempLeft = 10 * time.Minute // after which a temporary file is one that was left over
)

// copying notices that a directory is being written.
type copying struct {
	seen string // what was there at the last look
}

// look reports whether the directory has stayed the same since the last look, and what says that it is not complete yet ("" for
// nothing).
func (c *copying) look(dir string, now time.Time) (same bool, why string) {
	if dir == "" {
		return true, ""
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, "it is not there at the moment"
	}
	var b strings.Builder
	b.WriteString(root)
	_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == ".hg" || d.Name() == ".svn") {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		sys, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		changed := time.Unix(sys.Ctim.Unix())
		if why == "" {
			why = partial(d.Name(), now.Sub(changed))
		}
		b.WriteString("\n" + path + " " + strconv.FormatUint(sys.Ino, 10) + " " + strconv.FormatInt(changed.UnixNano(), 10) + " " + strconv.FormatInt(info.Size(), 10))
		return nil
	})
	for _, lock := range []string{filepath.Join(root, ".git/index.lock"), filepath.Join(filepath.Dir(root), ".git/index.lock")} {
		if info, err := os.Stat(lock); err == nil && now.Sub(info.ModTime()) < tempLeft {
			why = lock + " is there: git is at work"
		}
	}
	same = b.String() == c.seen
	c.seen = b.String()
	return same, why
}

// partial says that a file is there only while a directory is being written: ours, or the one that rsync writes into.
func partial(name string, age time.Duration) string {
	if name == waitFile {
		return waitFile + " is there; remove it when the files are complete"
	}
	dot := strings.LastIndexByte(name, '.')
	temp := strings.HasPrefix(name, ".") && dot > 0 && len(name)-dot == 7 && !strings.ContainsFunc(name[dot+1:], func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if temp && age < tempLeft || name == ".~tmp~" {
		return name + " is there: it is being copied"
	}
	return ""
}

// settled reports whether rules_dir is complete, and tells of one that is not for long.
func (r *reloader) settled() bool {
	same, why := r.dir.look(r.s.cfg().RulesDir, time.Now())
	r.s.tellWaiting(why)
	return same && why == ""
}

// hangup reloads at once, or when the directory is complete.
func (r *reloader) hangup() {
	var now copying
	if _, why := now.look(r.s.cfg().RulesDir, time.Now()); why != "" && r.s.cfg().RulesDir != "" {
		if _, err := os.Stat(r.s.cfg().RulesDir); err == nil {
			r.s.log.Info("SIGHUP: reloaded when rules_dir is complete", "message", why)
			r.pending = "SIGHUP"
			return
		}
	}
	r.reload("SIGHUP")
}

// tellWaiting warns when the marker of an unfinished copy has been there for long.
func (s *server) tellWaiting(why string) {
	message := ""
	if why != "" {
		if info, err := os.Stat(filepath.Join(s.cfg().RulesDir, waitFile)); err == nil && time.Since(info.ModTime()) > waitWarn {
			message = "rules_dir is not read since " + info.ModTime().Format("2006-01-02 15:04") + ": " + why
		}
	}
	s.warn.set("rules wait", message)
}
