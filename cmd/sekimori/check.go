package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"sekimori/internal/config"
	"sekimori/internal/store"
	"sekimori/rules"
)

type checkCmd struct{}

// Help is the long help.
func (checkCmd) Help() string {
	return "Reads the configuration, the rule files and the lists, makes every check as serve would, and prints every error " +
		"as file:line:column at once. Nothing is changed and nothing is sent. Exit code 1 when there is an error."
}

// Run collects the errors of the configuration and of the rules, so that one run shows all of both.
func (checkCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		// The rules can be checked as well when the directory is known from elsewhere; it is not.
		return found
	}
	policy, ruleErr := loadPolicy(cfg)
	if ruleErr != nil {
		printErrors(a.err, ruleErr)
	}
	chainErr := a.checkFilters(cfg, ruleErr != nil)
	if chainErr != nil {
		printErrors(a.err, chainErr)
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(a.out, "warning:", w)
	}
	if ruleErr != nil || chainErr != nil {
		return found
	}
	for _, w := range policy.Warnings() {
		fmt.Fprintln(a.out, "note:", w)
	}
	failed := printTests(a.out, policy.Test(), false)
	if failed > 0 {
		return found
	}
	name := a.config
	if name == "" {
		name = "the built-in configuration"
	}
	fmt.Fprintf(a.out, "%s is fine: rules %s, %d tests in rule files passed\n", name, policy.Version(), len(policy.Test()))
	return nil
}

// checkFilters makes the checks over a store in memory and says which of them will not run.
func (a *app) checkFilters(cfg *config.Config, quiet bool) error {
	st, err := store.Open(a.ctx, store.Options{})
	if err != nil {
		return err
	}
	defer st.Close()
	trial := *cfg
	trial.RulesDir = "" // reported already
	if quiet {
		trial.Policy.Disable = nil
	}
	j, err := newJudge(a.ctx, &trial, judgeOptions{log: slog.New(slog.DiscardHandler), store: st, warn: func(string, string) {}})
	if err != nil {
		return err
	}
	defer j.resolver.Close()
	for _, o := range j.chain.Off() {
		fmt.Fprintf(a.out, "note: %s does not run: %s\n", o.Check, o.Why)
	}
	return nil
}

// printErrors prints each of several errors on a line of its own.
func printErrors(w io.Writer, err error) {
	var many config.Errors
	var ruleErrs rules.Errors
	var joined interface{ Unwrap() []error }
	switch {
	case errors.As(err, &many):
		for _, e := range many {
			fmt.Fprintln(w, e)
		}
	case errors.As(err, &ruleErrs):
		for _, e := range ruleErrs {
			fmt.Fprintln(w, e)
		}
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			printErrors(w, e)
		}
	default:
		fmt.Fprintln(w, err)
	}
}
