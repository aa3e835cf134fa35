package main

import (
	"fmt"
	"io"

	"sekimori/internal/config"
	"sekimori/rules"
)

type rulesCmd struct {
	History  rulesHistoryCmd  `cmd:"" help:"List the sets of rules that were in force, and say which one is, here and on the other hosts."`
	Library  rulesLibraryCmd  `cmd:"" help:"Ready rule files: list them, read them, use them, compare yours with them."`
	Show     rulesShowCmd     `cmd:"" help:"Show a set of rules, one of its files, or write its files into a directory."`
	Diff     rulesDiffCmd     `cmd:"" help:"Compare two sets of rules, rule by rule."`
	Test     rulesTestCmd     `cmd:"" help:"Run the tests in the rule files and judge the mails in the folder tests; say which rules no test touches."`
	Compare  rulesCompareCmd  `cmd:"" help:"Compare with what an older gateway in front says, and say whether it can go."`
	Retreat  rulesRetreatCmd  `cmd:"" help:"List or clear the rules that have stepped back because people released what they held."`
	Rollback rulesRollbackCmd `cmd:"" help:"Write the files of an earlier set back into rules_dir."`
	Check    rulesCheckCmd    `cmd:"" help:"Read the rule files, run the tests in them, and print every error at once."`
	Reload   rulesReloadCmd   `cmd:"" help:"Put new rules in force, unless they would treat more mail otherwise than a budget allows."`
	Replay   rulesReplayCmd   `cmd:"" help:"Judge the mail of the last days with other rules, and say who would be treated otherwise."`
}

type rulesCheckCmd struct {
	Dir     string `arg:"" optional:"" type:"existingdir" help:"Directory of rule files; default: rules_dir of the configuration."`
	Verbose bool   `short:"v" help:"List every test."`
}

// loadRules loads the configuration and the rules, those of dir in place of rules_dir unless it is "". The configuration names dir.
func (a *app) loadRules(dir string) (*config.Config, *rules.Policy, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, nil, err
	}
	if dir != "" {
		changed := *cfg
		changed.RulesDir = dir
		cfg = &changed
	}
	policy, err := loadPolicy(cfg)
	return cfg, policy, err
}

func (c rulesCheckCmd) Run(a *app) error {
	cfg, policy, err := a.loadRules(c.Dir)
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	for _, w := range policy.Warnings() {
		fmt.Fprintln(a.out, "note:", w)
	}
	tests := policy.Test()
	failed := printTests(a.out, tests, c.Verbose)
	where := dirName(cfg)
	fmt.Fprintf(a.out, "%s: defaults %s, %d tests, %d failed\n", where, policy.Version(), len(tests), failed)
	if c.Dir == "" {
		a.tellRules(cfg)
		live, err := inspectRunning(cfg)
		if err != nil {
			fmt.Fprintln(a.out, "warning: what the running server uses cannot be told:", err)
		}
		live.print(a.out)
	}
	if failed > 0 {
		return found
	}
	return nil
}

func dirName(cfg *config.Config) string {
	if cfg.RulesDir == "" {
		return "built-in rules"
	}
	return cfg.RulesDir
}

// printTests prints what failed, or with all everything, and returns the number of failures.
func printTests(w io.Writer, tests []rules.TestResult, all bool) int {
	failed := 0
	for _, t := range tests {
		if !t.OK() {
			failed++
		}
		if all || !t.OK() {
			fmt.Fprintln(w, t)
		}
	}
	return failed
}
