package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"text/tabwriter"

	"sekimori/filters"
	"sekimori/internal/text"
)

// version is set by the release build.
var version = "0.1.0-dev"

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

func (c versionCmd) Run(a *app) error {
	info, _ := debug.ReadBuildInfo()
	goVersion := ""
	if info != nil {
		goVersion = info.GoVersion
	}
	if c.JSON {
		return a.json(map[string]string{"version": version, "go": goVersion})
	}
	fmt.Fprintf(a.out, "sekimori %s (%s)\n", version, goVersion)
	return nil
}

// json prints one value.
func (a *app) json(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table returns a writer that aligns columns at tabs; the caller flushes it.
func (a *app) table() *tabwriter.Writer { return tabwriter.NewWriter(a.out, 2, 8, 2, ' ', 0) }

type symbolsCmd struct {
	JSON  bool   `help:"Print JSON."`
	Lang  string `enum:"en,ja" default:"en" help:"Language of the meanings: en or ja."`
	Facts bool   `help:"List the facts that rules can ask for instead."`
}

type symbolRow struct {
	Check   string  `json:"check"`
	Symbol  string  `json:"symbol"`
	Score   float64 `json:"score"`
	Meaning string  `json:"meaning"`
}

func (c symbolsCmd) Run(a *app) error {
	if c.Facts {
		return c.facts(a)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	policy, err := loadPolicy(cfg)
	if err != nil {
		return err
	}
	var rows []symbolRow
	for _, spec := range filters.Specs() {
		for _, s := range filters.Symbols([]filters.Spec{spec}) {
			rows = append(rows, symbolRow{spec.Name, s.Name, policy.Score(s.Name), text.Meaning(s.Name, text.Lang(c.Lang))})
		}
	}
	if c.JSON {
		return a.json(rows)
	}
	w := a.table()
	fmt.Fprintln(w, "SYMBOL\tSCORE\tMEANING")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%+.1f\t%s\n", r.Symbol, r.Score, r.Meaning)
	}
	return w.Flush()
}
