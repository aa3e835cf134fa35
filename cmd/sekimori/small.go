package main

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"text/tabwriter"
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
