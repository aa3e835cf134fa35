package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/store"
	"sekimori/rules"
)

type checkCmd struct {
	Alert bool `help:"Mail a test to the addresses of alert.mail by way of the running serve, and say what became of it; nothing else is checked."`
	JSON  bool `help:"Print JSON."`
}

// checkReport is what check --json prints.
type checkReport struct {
	OK       bool     `json:"ok"`
	File     string   `json:"file"`
	Errors   []string `json:"errors"`
	Notes    []string `json:"notes"` // without "note: " in front; what begins with "warning: " needs attention
	Running  running  `json:"running"`
	Firewall []way    `json:"firewall"`
	Landlock *fence   `json:"landlock"` // what serve would restrict itself to on this machine
}

// Help is the long help.
func (checkCmd) Help() string {
	return "Reads the configuration, the rule files and the lists, makes every check as serve would, and prints every error " +
		"as file:line:column at once. Says whether the running server uses what is on the disk, and lists every port with its " +
		"direction, for a firewall. Nothing is changed. Exit code 1 when there is an error; with --alert, when an address does not have the test."
}

// Run collects the errors of the configuration, of the rules and of every check, so that one run shows them all.
func (c checkCmd) Run(a *app) error {
	if c.Alert {
		return a.testAlert(c.JSON)
	}
	if !c.JSON {
		return c.run(a)
	}
	var words, errs bytes.Buffer
	quiet := *a
	quiet.out, quiet.err = &words, &errs
	err := c.run(&quiet)
	r := checkReport{OK: err == nil, File: a.config, Errors: lines(errs.String()), Notes: []string{}, Firewall: []way{}}
	for _, l := range lines(words.String()) {
		if note, ok := strings.CutPrefix(l, "note: "); ok || strings.HasPrefix(l, "warning: ") {
			r.Notes = append(r.Notes, note)
		}
	}
	if cfg, _ := a.inspectConfig(); cfg != nil { // its errors are in r.Errors
		r.Running, _ = inspectRunning(cfg) // its error is in r.Notes
		r.Firewall = ways(cfg)
		r.Landlock = newFence(cfg, nil)
	}
	if jsonErr := a.json(r); jsonErr != nil {
		return jsonErr
	}
	return err
}

// lines divides a text; there are none in an empty one.
func lines(text string) []string {
	list := []string{}
	for l := range strings.Lines(text) {
		list = append(list, strings.TrimRight(l, "\n"))
	}
	return list
}

func (checkCmd) run(a *app) error {
	cfg, err := a.inspectConfig()
	if err != nil {
		printErrors(a.err, err)
	}
	if cfg == nil {
		return found
	}
	policy, ruleErr := loadPolicy(cfg)
	if ruleErr != nil {
		printErrors(a.err, ruleErr)
	}
	chainErr := a.checkFilters(cfg)
	if chainErr != nil {
		printErrors(a.err, chainErr)
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(a.out, "warning:", w)
	}
	live, stateErr := inspectRunning(cfg)
	if stateErr != nil {
		fmt.Fprintln(a.out, "warning: what the running server uses cannot be told:", stateErr)
	}
	if err != nil || ruleErr != nil || chainErr != nil {
		live.print(a.out)
		return found
	}
	if err := a.checkRecipients(cfg); err != nil {
		printErrors(a.err, err)
		return found
	}
	a.checkIMAP(cfg)
	if words := modeWords(policy); words != "" {
		fmt.Fprintln(a.out, "warning: policy.mode:", words)
	}
	for _, w := range policy.Warnings() {
		fmt.Fprintln(a.out, "note:", w)
	}
	tests := policy.Test()
	if printTests(a.out, tests, false) > 0 {
		return found
	}
	name := a.config
	if name == "" {
		name = "the built-in configuration"
	}
	if err := a.printWays(ways(cfg)); err != nil {
		return err
	}
	live.print(a.out)
	a.tellRules(cfg)
	a.tellHistory(cfg)
	a.tellRetreats(cfg, policy)
	a.tellDrift(cfg)
	fmt.Fprintf(a.out, "%s is fine: rules %s, %d tests in rule files passed\n", name, policy.Version(), len(tests))
	return nil
}

// checkFilters makes the checks over a store in memory and says which of them will not run.
func (a *app) checkFilters(cfg *config.Config) error {
	st, err := store.Open(a.ctx, store.Options{})
	if err != nil {
		return err
	}
	defer st.Close()
	// What was reported already must not be reported again, nor keep the checks from being made.
	trial := *cfg
	trial.RulesDir, trial.Policy, trial.DNS = "", config.Default().Policy, config.Default().DNS
	trial.DNS.Servers = []string{"127.0.0.1:53"}
	j, err := newJudge(a.ctx, &trial, judgeOptions{log: slog.New(slog.DiscardHandler), store: st, warn: func(string, string) {}})
	if err != nil {
		return err
	}
	defer j.close()
	for _, o := range j.chain.Off() {
		fmt.Fprintf(a.out, "note: %s does not run: %s\n", o.Check, o.Why)
	}
	return nil
}

// printErrors prints each of several errors on a line of its own.
func printErrors(w io.Writer, err error) {
	switch list := err.(type) { //nolint:errorlint // a joined error is taken apart, not searched
	case config.Errors:
		for _, e := range list {
			fmt.Fprintln(w, e)
		}
	case rules.Errors:
		for _, e := range list {
			fmt.Fprintln(w, e)
		}
	case interface{ Unwrap() []error }:
		for _, e := range list.Unwrap() {
			printErrors(w, e)
		}
	default:
		fmt.Fprintln(w, err)
	}
}
