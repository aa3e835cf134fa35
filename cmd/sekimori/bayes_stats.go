package main

import (
	"fmt"
	"slices"
	"strings"

	"sekimori/reputation"
)

type bayesCmd struct {
	Stats  bayesStatsCmd  `cmd:"" help:"Say how much was learned, whether it is enough, and what people say against it."`
	Export bayesExportCmd `cmd:"" help:"Write what was learned to a file."`
	Import bayesImportCmd `cmd:"" help:"Add what a file of bayes export holds."`
	Reset  bayesResetCmd  `cmd:"" help:"Forget what was learned."`
	Drift  bayesDriftCmd  `cmd:"" help:"Say how often people contradict the check, and give it its whole weight back."`
	Eval   bayesEvalCmd   `cmd:"" help:"Measure on your own mail how well the check would do."`
}

type bayesStatsCmd struct {
	Scope string `help:"For whom: all, @DOMAIN or an address." default:"all"`
	Days  int    `help:"Of how many days to show what the check said." default:"7"`
	JSON  bool   `help:"Print JSON."`
}

// Help is the long help.
func (bayesStatsCmd) Help() string {
	return "Shown are the mails that were put before the check for learning; learned are those of them whose words are counted, because it " +
		"was not sure of them yet. z is what it says of a mail: spam from 4, good from -2 down."
}

// bayesStats is what the command prints. The numbers of the class are those of the scope, over all months that count.
type bayesStats struct {
	Scope string
	reputation.Stats
	Months  []reputation.MonthStats
	Ways    map[reputation.Way]reputation.WayStats // by which way the mails shown came
	Domains int                                    // for so many was anything learned
	Persons int
	Scopes  []scopeStats // those for whom most was
	Zones   []reputation.ZoneDay
	Drift   reputation.DriftState
	Window  reputation.DriftNumbers
}

type scopeStats struct {
	Scope                   string
	HamLearned, SpamLearned int
	Counts                  bool
}

const mostScopesShown = 20

// Run prints the numbers.
func (c bayesStatsCmd) Run(a *app) error {
	scope, err := parseScope(c.Scope)
	if err != nil {
		return err
	}
	if c.Days < 1 || c.Days > reputation.ZoneDays {
		return usage("--days %d: what the check said is kept for 1 to %d days", c.Days, reputation.ZoneDays)
	}
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	s := bayesStats{Scope: scope.String()}
	if s.Months, err = l.Months(a.ctx, scope); err == nil {
		s.Zones, err = l.watch.ReadZones(a.ctx, c.Days)
	}
	if err == nil {
		s.Window, err = l.watch.Numbers(a.ctx)
	}
	if err == nil {
		s.Drift, err = l.watch.Read(a.ctx)
	}
	if err != nil {
		return err
	}
	s.sum(l, scope)
	s.sumWays()
	if c.JSON {
		return a.json(s)
	}
	return s.print(a)
}

// sum fills in the totals.
func (s *bayesStats) sum(l *learner, scope reputation.Scope) {
	if scope == reputation.Everybody {
		s.Stats = l.Stats()
	} else {
		for _, m := range s.Months {
			s.HamShown, s.SpamShown = s.HamShown+m.HamShown, s.SpamShown+m.SpamShown
			s.HamLearned, s.SpamLearned = s.HamLearned+m.HamLearned, s.SpamLearned+m.SpamLearned
			s.HamAuto, s.SpamAuto = s.HamAuto+m.HamAuto, s.SpamAuto+m.SpamAuto
			s.HamTokens, s.SpamTokens = max(s.HamTokens, m.HamTokens), max(s.SpamTokens, m.SpamTokens)
		}
	}
	for _, n := range l.Scopes() {
		if n.Scope.Domain() {
			s.Domains++
		} else {
			s.Persons++
		}
		if len(s.Scopes) < mostScopesShown {
			s.Scopes = append(s.Scopes, scopeStats{n.Scope.String(), n.HamLearned, n.SpamLearned, n.Counts})
		}
	}
}

func (s *bayesStats) print(a *app) error {
	w := a.table()
	fmt.Fprintln(w, "CLASS\tSHOWN\tBY OTHER CHECKS\tLEARNED\tTOKENS")
	fmt.Fprintf(w, "ham\t%d\t%d\t%d\t%d\n", s.HamShown, s.HamAuto, s.HamLearned, s.HamTokens)
	fmt.Fprintf(w, "spam\t%d\t%d\t%d\t%d\n", s.SpamShown, s.SpamAuto, s.SpamLearned, s.SpamTokens)
	s.printWays(w)
	if len(s.Months) > 0 {
		fmt.Fprintln(w, "\nMONTH\tHAM SHOWN\tBY OTHER CHECKS\tLEARNED\tSPAM SHOWN\tBY OTHER CHECKS\tLEARNED")
		for _, m := range s.Months {
			fmt.Fprintf(w, "%s-%s\t%d\t%d\t%d\t%d\t%d\t%d\n", m.Month[:4], m.Month[4:], m.HamShown, m.HamAuto, m.HamLearned, m.SpamShown, m.SpamAuto, m.SpamLearned)
		}
	}
	if len(s.Scopes) > 0 {
		fmt.Fprintf(w, "\nFOR (%d domains, %d persons)\tHAM LEARNED\tSPAM LEARNED\t\n", s.Domains, s.Persons)
		for _, n := range s.Scopes {
			counts := "too few to count"
			if n.Counts {
				counts = ""
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", n.Scope, n.HamLearned, n.SpamLearned, counts)
		}
	}
	columns := append(slices.Clone(reputation.Zones), "untrained", "temperror")
	fmt.Fprintf(w, "\nDAY, MAILS BY z\t%s\n", strings.Join(columns, "\t"))
	for _, d := range s.Zones {
		fmt.Fprintf(w, "%s-%s-%s", d.Day[:4], d.Day[4:6], d.Day[6:])
		for _, zone := range columns {
			fmt.Fprintf(w, "\t%d", d.Zones[zone])
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	printDrift(a, s.Drift, s.Window)
	return nil
}

// printDrift says what people say against the check, and how much of it counts.
func printDrift(a *app, d reputation.DriftState, n reputation.DriftNumbers) {
	fmt.Fprintf(a.out, "Held with its points: %d mails, of which %d were released, by %d people%s.\n", n.Held, n.Released, n.ReleasedBy, counts(n.Released, n.ReleasedCounted))
	fmt.Fprintf(a.out, "Found good and delivered: %d mails, of which %d were reported as spam, by %d people%s.\n", n.Passed, n.Reported, n.ReportedBy, counts(n.Reported, n.ReportedCounted))
	if d.Halved {
		fmt.Fprintf(a.out, "The check weighs half since %s: %s.\n", d.Since.Local().Format("2006-01-02 15:04 MST"), d.Why)
	}
}

// counts says how much of what people said counts against the limits, when it is less than all.
func counts(all, counted int) string {
	if all == counted {
		return ""
	}
	return fmt.Sprintf(" (%d count, since nobody speaks for the others)", counted)
}
