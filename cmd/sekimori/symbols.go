package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"sekimori/filters"
	"sekimori/internal/config"
	"sekimori/internal/text"
	"sekimori/internal/web"
	"sekimori/reputation"
	"sekimori/rules"
)

type symbolsCmd struct {
	JSON  bool   `help:"Print JSON."`
	Lang  string `enum:"en,ja" default:"en" help:"Language of the meanings: en or ja."`
	Facts bool   `help:"List the facts that rules can ask for instead."`
	HTML  string `placeholder:"FILE" help:"Write a page with all symbols and rules, in both languages, into this file."`
	Days  int    `default:"7" help:"For how many days hits and releases are counted, at most 44."`
}

// Help is the long help.
func (symbolsCmd) Help() string {
	return "HITS are the mails (and recipients refused before a message) of the last days in whose verdict the symbol counted, RELEASED the held " +
		"mails that somebody released although it spoke against them. They are those of all hosts; the latest seconds are missing."
}

type symbolRow struct {
	Check    string               `json:"check"`
	Symbol   string               `json:"symbol"`
	Score    float64              `json:"score"`   // in force
	Default  float64              `json:"default"` // unless a rule file says otherwise
	Meaning  string               `json:"meaning"`
	Meanings map[text.Lang]string `json:"meanings"`
	Counts   *reputation.Tallied  `json:"counts"` // of the last days; null: they cannot be read
	Days     int                  `json:"days"`
}

func (c symbolsCmd) Run(a *app) error {
	if c.Facts {
		return c.facts(a)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	policy, err := loadPolicy(cfg)
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	counts, err := a.counted(cfg, c.Days)
	if _, wrong := err.(failure); wrong { //nolint:errorlint // made by usage, never wrapped
		return err
	}
	if err != nil {
		fmt.Fprintln(a.err, "warning:", err)
	}
	if c.HTML != "" {
		return c.page(a, cfg, policy, counts)
	}
	rows := symbolRows(policy, counts, c.Days)
	for i := range rows {
		rows[i].Meaning = rows[i].Meanings[text.Lang(c.Lang)]
	}
	if c.JSON {
		return a.json(rows)
	}
	w := a.table()
	fmt.Fprintln(w, "SYMBOL\tSCORE\tHITS\tRELEASED\tMEANING")
	for _, r := range rows {
		hits, released := "-", "-"
		if r.Counts != nil {
			hits, released = fmt.Sprint(r.Counts.Hits), fmt.Sprint(r.Counts.Released)
		}
		fmt.Fprintf(w, "%s\t%+.1f\t%s\t%s\t%s\n", r.Symbol, r.Score, hits, released, r.Meaning)
	}
	return w.Flush()
}

// symbolRows lists every symbol; counts is nil when it is not known.
func symbolRows(policy *rules.Policy, counts map[string]reputation.Tallied, days int) []symbolRow {
	var rows []symbolRow
	for _, spec := range filters.Specs() {
		for _, s := range filters.Symbols([]filters.Spec{spec}) {
			r := symbolRow{Check: spec.Name, Symbol: s.Name, Score: policy.Score(s.Name), Default: s.Score, Days: days, Meanings: map[text.Lang]string{}}
			for _, lang := range []text.Lang{text.Ja, text.En} {
				r.Meanings[lang] = text.Fill("symbol."+s.Name, lang)
			}
			if counts != nil {
				n := counts[s.Name]
				r.Counts = &n
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// symbolPage is the page of all symbols and rules.
func symbolPage(cfg *config.Config, policy *rules.Policy, counts map[string]reputation.Tallied, days int, now time.Time) web.SymbolPage {
	p := web.SymbolPage{Hostname: cfg.Hostname, Days: days, At: now, Counted: counts != nil}
	for _, r := range symbolRows(policy, counts, days) {
		row := web.SymbolRow{Name: r.Symbol, Where: r.Check, Ja: r.Meanings[text.Ja], En: r.Meanings[text.En], Score: r.Score, Default: r.Default}
		if r.Counts != nil {
			row.Hits, row.Released = r.Counts.Hits, r.Counts.Released
		}
		p.Symbols = append(p.Symbols, row)
	}
	back := map[string]string{}
	for _, r := range policy.Retreats() {
		back[r.ID] = " (→ " + r.Mode + ")"
	}
	for _, r := range policy.Rules() {
		n := counts[r.ID]
		p.Rules = append(p.Rules, web.SymbolRow{
			Name: r.ID, Where: r.Place + back[r.ID], Ja: r.Describe["ja"], En: r.Describe["en"], Hits: n.Hits, Observed: n.Observed, Released: n.Released,
		})
	}
	return p
}

func (c symbolsCmd) page(a *app, cfg *config.Config, policy *rules.Policy, counts map[string]reputation.Tallied) error {
	f, err := os.Create(c.HTML)
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	err = symbolPage(cfg, policy, counts, c.Days, time.Now()).Write(f)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		fmt.Fprintln(a.out, c.HTML+": written")
	}
	return err
}

// symbolsPage is the page of the running server.
func (s *server) symbolsPage(ctx context.Context) web.SymbolPage {
	const days = 7
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	counts, err := s.tally.Read(ctx, days)
	if err != nil {
		counts = nil
	}
	return symbolPage(s.cfg(), s.judge().policy, counts, days, time.Now())
}
