package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/rules"
)

type rulesTestCmd struct {
	Dir      string `arg:"" optional:"" type:"existingdir" help:"Directory of rule files; default: rules_dir of the configuration."`
	Only     string `placeholder:"TEXT" help:"Run only tests whose rule, name or place has this text in it."`
	Coverage bool   `help:"Say which rules no test makes hit, and which no mail of the last days touched."`
	Days     int    `default:"14" help:"How many days of mail --coverage looks at, at most 44."`
	Verbose  bool   `short:"v" help:"List every test, not only those that fail."`
	JSON     bool   `help:"Print JSON."`
}

// Help is the long help.
func (rulesTestCmd) Help() string {
	return "Runs the tests in the rule files ([[rule.test]]), and judges the mails in the folder tests of the directory: each *.toml there lists " +
		"them as [[mail]] with the file, the envelope, what the checks find, and what is expected. Nothing is asked outside and nothing is " +
		"counted: DNS is what the test says it is. Exit code 0 when all tests pass, 1 when one fails or cannot be read."
}

// testReport is what test --json prints.
type testReport struct {
	OK       bool          `json:"ok"`
	Tests    []testOutcome `json:"tests"`
	Failed   int           `json:"failed"`
	Coverage *testCoverage `json:"coverage,omitempty"`
}

type testOutcome struct {
	Place    string       `json:"place"`
	Kind     string       `json:"kind"` // rule | mail
	Name     string       `json:"name"` // of the rule or of the mail
	OK       bool         `json:"ok"`
	Wrong    []string     `json:"wrong"` // expected and got
	Results  []scanResult `json:"results,omitempty"`
	verdicts []mail.Verdict
	hits     []string
}

// testCoverage are the rules by what tests do with them.
type testCoverage struct {
	Rules    int      `json:"rules"`
	Hit      int      `json:"hit"`     // some test makes it hit
	NoMail   []string `json:"no_mail"` // no mail of the last days touched it; null: what was counted cannot be read
	Days     int      `json:"days"`
	Untried  []string `json:"untried"`   // no test speaks of it, and no mail of a test makes it hit
	NeverHit []string `json:"never_hit"` // tests speak of it, and none makes it hit
}

func (c rulesTestCmd) Run(a *app) error {
	cfg, policy, err := a.loadRules(c.Dir)
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	outcomes, err := c.outcomes(a, cfg, policy)
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	r := testReport{Tests: orNone(outcomes)}
	for _, o := range outcomes {
		if !o.OK {
			r.Failed++
		}
	}
	r.OK = r.Failed == 0
	if c.Coverage {
		r.Coverage = coverage(policy, outcomes)
		if err := r.Coverage.mails(a, cfg, policy, c.Days); err != nil {
			return err
		}
	}
	if c.JSON {
		err = a.json(r)
	} else {
		r.tell(a, c.Verbose)
		fmt.Fprintf(a.out, "%s: %d tests, %d failed\n", dirName(cfg), len(r.Tests), r.Failed)
	}
	if err == nil && !r.OK {
		return found
	}
	return err
}

// outcomes runs all tests.
func (c rulesTestCmd) outcomes(a *app, cfg *config.Config, policy *rules.Policy) ([]testOutcome, error) {
	var list []testOutcome
	for _, t := range policy.Test() {
		o := testOutcome{Place: t.Place, Kind: "rule", Name: t.RuleID, OK: t.OK(), Wrong: []string{}}
		if !o.OK {
			o.Wrong = append(o.Wrong, fmt.Sprintf("%s: expected %s, got %s", t.RuleID, t.Want, t.Got))
		}
		if t.Got == "hit" {
			o.hits = []string{t.RuleID}
		}
		list = append(list, o)
	}
	var mails []rules.MailTest
	if cfg.RulesDir != "" {
		var err error
		if mails, err = policy.MailTests(cfg.RulesDir); err != nil {
			return nil, err
		}
	}
	tester := &mailTester{cfg: cfg, policy: policy}
	for _, m := range mails {
		o := testOutcome{Place: filepath.Join("tests", m.Place), Kind: "mail", Name: m.Name}
		if !c.wants(o) {
			continue
		}
		j, err := tester.run(a.ctx, m)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", o.Place, m.Name, err)
		}
		o.take(m, j)
		list = append(list, o)
	}
	return slices.DeleteFunc(list, func(o testOutcome) bool { return !c.wants(o) }), nil
}

func (c rulesTestCmd) wants(o testOutcome) bool {
	return c.Only == "" || strings.Contains(o.Name, c.Only) || strings.Contains(o.Place, c.Only)
}

// take compares the verdicts with what the test expects.
func (o *testOutcome) take(m rules.MailTest, j judged) {
	o.verdicts, o.Wrong = j.verdicts, []string{}
	for _, v := range j.verdicts {
		o.Results = append(o.Results, scanJSON(j.tx, v))
		for _, w := range m.Expect.Wrong(v) {
			if len(j.verdicts) > 1 {
				w = v.Rcpt.String() + ": " + w
			}
			o.Wrong = append(o.Wrong, w)
		}
		o.hits = append(o.hits, v.RuleID)
		o.hits = append(o.hits, v.Observed...)
		for _, counted := range v.Counted {
			o.hits = append(o.hits, counted.Name)
		}
	}
	o.OK = len(o.Wrong) == 0
}

func (r testReport) tell(a *app, all bool) {
	for _, o := range r.Tests {
		if o.OK {
			if all {
				fmt.Fprintf(a.out, "ok      %s: %s\n", o.Place, o.Name)
			}
			continue
		}
		fmt.Fprintf(a.out, "FAILED  %s: %s\n", o.Place, o.Name)
		for _, w := range o.Wrong {
			fmt.Fprintln(a.out, "        "+w)
		}
		for _, v := range o.verdicts {
			for _, line := range text.Report(v, text.En) {
				fmt.Fprintln(a.out, "        | "+line)
			}
		}
	}
	if c := r.Coverage; c != nil {
		fmt.Fprintf(a.out, "%d of %d rules hit in some test\n", c.Hit, c.Rules)
		for _, id := range c.Untried {
			fmt.Fprintln(a.out, "no test:       "+id)
		}
		for _, id := range c.NeverHit {
			fmt.Fprintln(a.out, "no test hits:  "+id)
		}
		for _, id := range c.NoMail {
			fmt.Fprintf(a.out, "no mail in %d days:  %s\n", c.Days, id)
		}
	}
}

// mails adds which rules no mail touched.
func (c *testCoverage) mails(a *app, cfg *config.Config, policy *rules.Policy, days int) error {
	c.Days = days
	counts, err := a.counted(cfg, days)
	var wrong failure
	if errors.As(err, &wrong) {
		return err
	}
	if err != nil {
		fmt.Fprintln(a.err, "warning:", err)
		return nil
	}
	c.NoMail = []string{}
	for _, r := range policy.Rules() {
		if n := counts[r.ID]; n.Hits+n.Observed == 0 {
			c.NoMail = append(c.NoMail, r.ID+" ("+r.Place+")")
		}
	}
	return nil
}

// coverage says which rules the tests touch.
func coverage(policy *rules.Policy, outcomes []testOutcome) *testCoverage {
	spoken, hit := map[string]bool{}, map[string]bool{}
	for _, o := range outcomes {
		if o.Kind == "rule" {
			spoken[o.Name] = true
		}
		for _, id := range o.hits {
			hit[id] = true
		}
	}
	c := &testCoverage{Untried: []string{}, NeverHit: []string{}}
	for _, r := range policy.Rules() {
		c.Rules++
		name := r.ID + " (" + r.Place + ")"
		switch {
		case hit[r.ID]:
			c.Hit++
		case spoken[r.ID]:
			c.NeverHit = append(c.NeverHit, name)
		default:
			c.Untried = append(c.Untried, name)
		}
	}
	return c
}
