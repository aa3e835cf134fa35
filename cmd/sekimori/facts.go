package main

import (
	"fmt"
	"slices"
	"strings"

	"sekimori/filters"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

type factRow struct {
	Fact    string   `json:"fact"`
	Type    string   `json:"type"`
	Values  []string `json:"values,omitempty"`
	Stage   string   `json:"stage"`
	PerRcpt bool     `json:"per_rcpt,omitempty"`
	Meaning string   `json:"meaning"`
}

// facts lists what rules can ask for. It needs no configuration.
func (c symbolsCmd) facts(a *app) error {
	var rows []factRow
	for _, f := range slices.Concat(filters.Facts(filters.Specs()), mail.RcptLookups) {
		name, _, _ := strings.Cut(f.Name, "(")
		rows = append(rows, factRow{f.Name, f.Kind(), f.Values, f.Stage.String(), f.PerRcpt, text.Fill("fact."+name, text.Lang(c.Lang))})
	}
	if c.JSON {
		return a.json(rows)
	}
	w := a.table()
	fmt.Fprintln(w, "FACT\tTYPE\tFROM\tMEANING")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Fact, r.Type, r.Stage, r.Meaning)
	}
	return w.Flush()
}
