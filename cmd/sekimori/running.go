package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/text"
)

// running is what `check` says of the server that uses the same data_dir.
type running struct {
	State   string    `json:"state"` // none | same | refused | pending
	PID     int       `json:"pid,omitempty"`
	Loaded  time.Time `json:"loaded,omitzero"`   // when the configuration in force was read
	Changed []string  `json:"changed,omitempty"` // files that differ from what is in force
	Errors  []string  `json:"errors,omitempty"`  // why the configuration on the disk was refused
	Killed  time.Time `json:"killed,omitzero"`   // none runs, and the last one, started then, did not end in order

	Warnings []standing `json:"warnings,omitempty"` // what the server warns of at the moment
}

// The states of running.
const (
	runningNone    = "none"    // no server runs
	runningSame    = "same"    // it uses what is on the disk
	runningRefused = "refused" // it has read what is on the disk and does not use it
	runningPending = "pending" // it has not read what is on the disk
)

// inspectRunning compares what is on the disk with what the running server uses.
func inspectRunning(cfg *config.Config) (running, error) {
	st, err := readState(cfg.DataDir)
	if err != nil {
		return running{State: runningNone}, err
	}
	if st == nil {
		r := running{State: runningNone}
		if left, _ := readLeft(cfg.DataDir); left != nil {
			r.Killed = left.Started
		}
		return r, nil
	}
	r := running{State: runningSame, PID: st.PID, Loaded: st.Loaded, Warnings: st.Warnings}
	now := (&hasher{}).look(cfg.Files())
	if r.Changed = now.changed(st.Files); len(r.Changed) == 0 {
		return r, nil
	}
	r.State = runningPending
	if st.Refused != nil && st.Refused.Files.holds(now) {
		r.State, r.Errors = runningRefused, st.Refused.Errors
	}
	return r, nil
}

func (r running) print(w io.Writer) {
	at := r.Loaded.Format("2006-01-02 15:04:05")
	switch r.State {
	case runningNone:
		fmt.Fprintln(w, "no server runs on this data_dir")
		if !r.Killed.IsZero() {
			fmt.Fprintf(w, "the last one, started %s, did not end in order: the mail it had taken waits on the disk for `sekimori serve`\n", r.Killed.Format("2006-01-02 15:04:05"))
		}
		return
	case runningSame:
		fmt.Fprintf(w, "the running server (pid %d) uses this configuration, since %s\n", r.PID, at)
	case runningRefused:
		fmt.Fprintf(w, "the running server (pid %d) uses the configuration of %s; what is on the disk was refused:\n", r.PID, at)
		for _, e := range r.Errors {
			fmt.Fprintln(w, "  "+e)
		}
	case runningPending:
		fmt.Fprintf(w, "the running server (pid %d) uses the configuration of %s; it has not read yet: %s (it looks every %s, or at SIGHUP)\n",
			r.PID, at, strings.Join(r.Changed, ", "), reloadPoll)
	}
	r.printWarnings(w)
}

// printWarnings says what the server warns of, and what to do about it.
func (r running) printWarnings(w io.Writer) {
	if len(r.Warnings) == 0 {
		fmt.Fprintln(w, "it warns of nothing at the moment")
		return
	}
	fmt.Fprintln(w, "it warns at the moment:")
	for _, x := range r.Warnings {
		is, do := warningWords(text.En, x.Cause)
		fmt.Fprintf(w, "  %s: %s\n    %s\n", is, text.Clean(x.Detail, 500), do)
	}
}

// deadBackends returns the backends of which the running server says that they do not take mail, with what is wrong; none when no
// server runs.
func deadBackends(cfg *config.Config) map[string]string {
	dead := map[string]string{}
	if st, err := readState(cfg.DataDir); err == nil && st != nil {
		for _, x := range st.Warnings {
			if kind, url := text.Warning(x.Cause); kind == "backend" {
				dead[url] = x.Detail
			}
		}
	}
	return dead
}
