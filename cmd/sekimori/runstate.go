package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"sekimori/internal/spool"
)

// runState is what a running serve tells the commands about itself: a file in data_dir that is rewritten at every reload.
type runState struct {
	PID       int         `json:"pid"`
	Version   string      `json:"version"`
	Started   time.Time   `json:"started"`
	Config    string      `json:"config"` // file, as given; empty: the built-in configuration
	Loaded    time.Time   `json:"loaded"` // when the configuration in force was read
	Rules     string      `json:"rules"`  // their version
	Files     fingerprint `json:"files"`  // of the configuration in force
	Refused   *refusal    `json:"refused,omitempty"`
	Listening []string    `json:"listening"`
	Warnings  []standing  `json:"warnings,omitempty"` // that stand at the moment
	Landlock  string      `json:"landlock"`           // off, not supported by the kernel, enforced (full), enforced (partial)
}

// standing is a warning that stands.
type standing struct {
	Cause  string `json:"cause"`
	Detail string `json:"detail"`
}

// refusal is a configuration that was not taken over.
type refusal struct {
	At     time.Time   `json:"at"`
	Files  fingerprint `json:"files"`
	Errors []string    `json:"errors"`
}

const (
	stateName = "running.json"
	stateLock = "running.lock" // held (flock) while the server runs
)

// stateFile is the file in data_dir. Safe for concurrent use.
type stateFile struct {
	dir  string
	lock *os.File
	last *runState // of the run before, when it did not end in order

	mu sync.Mutex
	runState
}

// openState takes the lock by which commands see that the server runs.
func openState(dir string) (*stateFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, stateLock), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o640)
	if err != nil {
		return nil, err
	}
	// A command holds it for a moment only; a second server was refused by the spool before.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	s := &stateFile{dir: dir, lock: f}
	s.last, _ = readLeft(dir) // what cannot be read says nothing
	_ = os.Remove(filepath.Join(dir, stateName))
	return s, nil
}

// readLeft returns what a server said that no longer runs and did not end in order, nil when there is no such thing. Who calls it
// holds the lock, or has seen that nobody does.
func readLeft(dir string) (*runState, error) {
	text, err := os.ReadFile(filepath.Join(dir, stateName))
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st := &runState{}
	if err := json.Unmarshal(text, st); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, stateName), err)
	}
	return st, nil
}

// change changes the state and writes it down.
func (f *stateFile) change(do func(*runState)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(&f.runState)
	text, err := json.MarshalIndent(&f.runState, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(f.dir, stateName), append(text, '\n'), 0o640)
}

// replaceFile writes a file so that who reads it meanwhile sees the old text or the new one. It is not synced.
func replaceFile(name string, text []byte, mode os.FileMode) error {
	if err := os.WriteFile(name+".new", text, mode); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (f *stateFile) close() {
	_ = os.Remove(filepath.Join(f.dir, stateName))
	_ = f.lock.Close()
}

// readState returns what the server that uses the data_dir says, nil when none runs.
func readState(dir string) (*runState, error) {
	f, err := os.Open(filepath.Join(dir, stateLock))
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil {
		return nil, nil // nobody holds it: what stands in the file is of a server that was killed
	}
	return readLeft(dir) // nil: it is starting
}

// recordStart writes down who runs, and with what, and tells of a run before that was killed.
func (s *server) recordStart() {
	if last := s.state.last; last != nil {
		s.log.Warn("the last run did not end in order: it was killed, or the machine stopped; the mail that it had taken is on the disk and goes on",
			"started", last.Started, "pid", last.PID, "queued", s.entries(spool.KindQueue), "pending_holds", s.entries(spool.KindHold))
	}
	s.state.mu.Lock()
	s.state.PID, s.state.Version, s.state.Started, s.state.Config = os.Getpid(), version, s.started, s.cfg().File
	s.state.Landlock = s.fence.String()
	s.state.mu.Unlock()
	s.keepInForce("start", nil)
	s.recordLoaded(s.first)
}

// recordLoaded writes down that a configuration is in force.
func (s *server) recordLoaded(files fingerprint) {
	now := time.Now()
	s.reloads.success.Store(1)
	s.reloads.at.Store(now.Unix())
	s.warn.set("config", "")
	s.writeState(func(st *runState) {
		st.Loaded, st.Files, st.Rules, st.Refused, st.Listening = now, files, s.judge().policy.Version(), nil, s.addrs()
	})
}

// recordRefused writes down that the configuration on the disk is not in force.
func (s *server) recordRefused(files fingerprint, errs []string) {
	s.reloads.success.Store(0)
	more := ""
	if len(errs) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(errs)-1)
	}
	s.warn.set("config", fmt.Sprintf("the configuration on the disk is not in force, the one of %s is: %s%s",
		s.state.loadedAt().Format("2006-01-02 15:04:05"), errs[0], more))
	s.writeState(func(st *runState) { st.Refused = &refusal{At: time.Now(), Files: files, Errors: errs} })
}

func (f *stateFile) loadedAt() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Loaded
}

func (s *server) writeState(do func(*runState)) {
	if err := s.state.change(do); err != nil {
		s.log.Warn("the state for `sekimori check` cannot be written", "err", err)
	}
}

// recordWarnings writes down the warnings that stand, when they have changed since the last call; it is called by one goroutine.
func (s *server) recordWarnings(last []standing) []standing {
	var list []standing
	all := s.warn.all()
	for _, cause := range slices.Sorted(maps.Keys(all)) {
		list = append(list, standing{cause, all[cause]})
	}
	if !slices.Equal(list, last) {
		s.writeState(func(st *runState) { st.Warnings = list })
	}
	return list
}
