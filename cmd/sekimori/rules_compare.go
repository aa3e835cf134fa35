package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/text"
)

type rulesCompareCmd struct {
	Since       timeValue `default:"7d" placeholder:"TIME" help:"Only mail since then: 2026-11-20, 2026-11-20T14:00 or an age such as 7d (default)."`
	Until       timeValue `placeholder:"TIME" help:"Only mail until then."`
	Limit       int       `default:"10" help:"How many mails to list for each way in which we differ; 0: none."`
	MinMails    int       `default:"500" help:"For a go at least so many recipients' mails must have been compared."`
	MinDays     int       `default:"3" help:"And on so many days there must have been mail."`
	MaxStricter float64   `default:"0.1" help:"At most so many percent of what the gateway lets through may be held or refused here."`
	MaxKnown    int       `default:"0" help:"And of these so many that people released, or that come from known correspondents."`
	MaxMissed   float64   `default:"20" help:"At most so many percent of what the gateway marks may be delivered here without a mark."`
	JSON        bool      `help:"Print JSON."`
}

// Help is the long help.
func (rulesCompareCmd) Help() string {
	return "While an older gateway is in front (smtp.trusted_relays), [filters.gateway] reads what it says in its header. This compares it with what " +
		"the rules said, or would have said in a milder mode: a table, the mails for each way in which they differ (first those that people " +
		"released, then those of known correspondents), the rules that decided, and whether the old one can go, by criteria that are stated " +
		"and can be changed. What the old gateway refuses never comes here and is not among it. It reads the history of this host; run it on " +
		"each. Exit code 0: go, 1: no go, 2: wrong usage."
}

// comparison is what compare --json prints.
type comparison struct {
	Since    time.Time           `json:"since"`
	Until    time.Time           `json:"until,omitzero"`
	Mails    int                 `json:"mails"` // recipients' mails of which the gateway said something
	Silent   int                 `json:"silent"`
	Days     int                 `json:"days"`
	Cells    []*comparedCell     `json:"cells"`
	Criteria []comparedCriterion `json:"criteria"`
	Go       bool                `json:"go"`
	Others   []string            `json:"other_hosts"` // whose mail is not among it
	byDay    map[string]bool     // with mail
	by       map[[2]string]*comparedCell
}

// comparedCell is one pair of what the gateway says and what we say.
type comparedCell struct {
	Gateway string         `json:"gateway"`
	Ours    string         `json:"ours"`
	Count   int            `json:"count"`
	Known   int            `json:"known"` // released, or of known correspondents
	Rules   map[string]int `json:"rules"` // that decided here
	Mails   []comparedMail `json:"mails,omitempty"`
}

type comparedMail struct {
	Time     time.Time `json:"time"`
	ID       string    `json:"id"`
	From     string    `json:"from"`
	Rcpt     string    `json:"rcpt"`
	Subject  string    `json:"subject"`
	Rule     string    `json:"rule"`
	Score    float64   `json:"score"`
	Released bool      `json:"released,omitempty"`
	Known    bool      `json:"known,omitempty"` // a confirmed sender of whom mail was delivered before
}

// comparedCriterion is one condition of a go.
type comparedCriterion struct {
	Name  string `json:"name"`
	Found string `json:"found"`
	Met   bool   `json:"met"`
}

func (c rulesCompareCmd) Run(a *app) error {
	switch {
	case c.Limit < 0 || c.Limit > 100_000:
		return usage("--limit is from 0 to 100000")
	case c.MinMails < 1 || c.MinDays < 1 || c.MaxKnown < 0:
		return usage("--min-mails and --min-days are at least 1, --max-known at least 0")
	case c.MaxStricter < 0 || c.MaxStricter > 100 || c.MaxMissed < 0 || c.MaxMissed > 100:
		return usage("--max-stricter and --max-missed are percentages from 0 to 100")
	case !c.Until.IsZero() && !c.Since.Before(c.Until.Time):
		return usage("--until %s is not after --since %s", c.Until.Format(historyTime), c.Since.Format(historyTime))
	}
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	r, err := readHistory(cfg)
	if err != nil {
		return err
	}
	defer r.Close()
	x, err := c.read(r)
	if err != nil {
		fmt.Fprintln(a.err, "warning: some of the history cannot be read:", err)
	}
	x.decide(c)
	if x.Others, err = a.otherNames(cfg); err != nil {
		fmt.Fprintln(a.err, "warning: whether other hosts took mail cannot be told:", err)
	}
	if len(x.Others) > 0 {
		fmt.Fprintf(a.err, "note: only mail of %s was compared; run the command on %s, too: it is go when all say so\n", cfg.Hostname, strings.Join(x.Others, ", "))
	}
	if c.JSON {
		err = a.json(x)
	} else {
		err = x.print(a, len(cfg.SMTP.TrustedRelays) > 0)
	}
	if err == nil && !x.Go {
		return found
	}
	return err
}

// read gathers the mails. What cannot be read is an error beside the rest.
func (c rulesCompareCmd) read(r *history.Reader) (*comparison, error) {
	x := &comparison{Since: c.Since.Time, Until: c.Until.Time, byDay: map[string]bool{}, by: map[[2]string]*comparedCell{}}
	released, damaged := releasedMails(r, c.Since.Time)
	for e, err := range r.Search(history.Query{Since: c.Since.Time, Until: c.Until.Time, Kinds: []history.Kind{history.KindMail}}) {
		if err != nil {
			damaged = err
			continue
		}
		x.add(e, released[history.Base(e.ID)])
	}
	x.Days = len(x.byDay)
	x.Cells = slices.SortedFunc(maps.Values(x.by), func(a, b *comparedCell) int {
		return cmp.Or(cmp.Compare(degree(a.Gateway), degree(b.Gateway)), cmp.Compare(degree(a.Ours), degree(b.Ours)), cmp.Compare(a.Ours, b.Ours))
	})
	for _, cell := range x.Cells {
		slices.SortFunc(cell.Mails, func(a, b comparedMail) int {
			return cmp.Or(-cmp.Compare(a.weight(), b.weight()), b.Time.Compare(a.Time))
		})
		cell.Mails = cell.Mails[:min(len(cell.Mails), c.Limit)]
	}
	return x, damaged
}

// degree orders what can be done: let through, marked, kept from the recipient.
func degree(word string) int {
	switch word {
	case "deliver", "redirect":
		return 0
	case "tag":
		return 1
	}
	return 2
}

// weight puts first what matters most to people.
func (m comparedMail) weight() int {
	switch {
	case m.Released:
		return 2
	case m.Known:
		return 1
	}
	return 0
}

const mostCompared = 10_000 // mails that are kept of one cell

// add enters one mail.
func (x *comparison) add(e *history.Event, released bool) {
	known := slices.ContainsFunc(e.Findings, func(f history.Finding) bool { return f.Name == "HISTORY_KNOWN" })
	for i := range e.Rcpts {
		rcpt := &e.Rcpts[i]
		if rcpt.Action == "" {
			continue // it was not judged
		}
		if e.Gateway == "" {
			x.Silent++
			continue
		}
		x.Mails++
		x.byDay[e.Time.Format(time.DateOnly)] = true
		key := [2]string{e.Gateway, cmp.Or(rcpt.Would, rcpt.Action)}
		cell := x.by[key]
		if cell == nil {
			cell = &comparedCell{Gateway: key[0], Ours: key[1], Rules: map[string]int{}}
			x.by[key] = cell
		}
		cell.Count++
		if known || released {
			cell.Known++
		}
		if rcpt.Rule != "" {
			cell.Rules[rcpt.Rule]++
		}
		if cell.differs() && len(cell.Mails) < mostCompared {
			cell.Mails = append(cell.Mails, comparedMail{e.Time, e.ID, cmp.Or(e.HeaderFrom, e.From), rcpt.Addr, e.Subject, rcpt.Rule, rcpt.Score, released, known})
		}
	}
}

// differs reports whether we treat a mail otherwise than the gateway: let through, marked or kept from the recipient.
func (c *comparedCell) differs() bool { return degree(c.Gateway) != degree(c.Ours) }

// decide applies the criteria.
func (x *comparison) decide(c rulesCompareCmd) {
	clean, stricter, known, marked, missed := 0, 0, 0, 0, 0
	for _, cell := range x.Cells {
		switch degree(cell.Gateway) {
		case 0:
			if clean += cell.Count; degree(cell.Ours) == 2 {
				stricter, known = stricter+cell.Count, known+cell.Known
			}
		default:
			if marked += cell.Count; degree(cell.Ours) == 0 {
				missed += cell.Count
			}
		}
	}
	share := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	x.Criteria = []comparedCriterion{
		{fmt.Sprintf("at least %d mails were compared", c.MinMails), fmt.Sprint(x.Mails), x.Mails >= c.MinMails},
		{fmt.Sprintf("on at least %d days", c.MinDays), fmt.Sprint(x.Days), x.Days >= c.MinDays},
		{
			fmt.Sprintf("at most %g%% of what the gateway lets through is held or refused here", c.MaxStricter),
			fmt.Sprintf("%d of %d (%.2f%%)", stricter, clean, share(stricter, clean)), share(stricter, clean) <= c.MaxStricter,
		},
		{fmt.Sprintf("at most %d of these were released or come from known correspondents", c.MaxKnown), fmt.Sprint(known), known <= c.MaxKnown},
		{
			fmt.Sprintf("at most %g%% of what the gateway marks is delivered here without a mark", c.MaxMissed),
			fmt.Sprintf("%d of %d (%.2f%%)", missed, marked, share(missed, marked)), share(missed, marked) <= c.MaxMissed,
		},
	}
	x.Go = !slices.ContainsFunc(x.Criteria, func(k comparedCriterion) bool { return !k.Met })
}

func (x *comparison) print(a *app, relays bool) error {
	fmt.Fprintf(a.out, "%d recipients' mails since %s on which the gateway in front said something", x.Mails, x.Since.Local().Format(historyTime))
	if x.Silent > 0 {
		fmt.Fprintf(a.out, "; %d more on which it said nothing that is read", x.Silent)
	}
	fmt.Fprintln(a.out)
	switch {
	case x.Mails == 0 && !relays:
		fmt.Fprintln(a.out, "no gateway is in front: smtp.trusted_relays is empty")
	case x.Mails == 0:
		fmt.Fprintln(a.out, "name what the gateway writes in [filters.gateway], such as reads = [\"spamassassin\"], and come back when mail has passed")
	}
	w := a.table()
	fmt.Fprintln(w, "GATEWAY\tHERE\tMAILS\tRELEASED OR KNOWN\t")
	for _, c := range x.Cells {
		note := ""
		if c.differs() {
			note = "differs"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", c.Gateway, c.Ours, c.Count, c.Known, note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range x.Cells {
		if c.differs() {
			if err := c.print(a); err != nil {
				return err
			}
		}
	}
	fmt.Fprintln(a.out)
	for _, k := range x.Criteria {
		word := "yes"
		if !k.Met {
			word = "NO "
		}
		fmt.Fprintf(a.out, "%s  %s: %s\n", word, k.Name, k.Found)
	}
	if x.Go {
		fmt.Fprintln(a.out, "GO: by these criteria the gateway in front is not needed any more")
	} else {
		fmt.Fprintln(a.out, "NO GO: not all criteria are met")
	}
	return nil
}

// print lists the rules and mails of a cell.
func (c *comparedCell) print(a *app) error {
	fmt.Fprintf(a.out, "\nthe gateway says %s, here it is %s: %d\n", c.Gateway, c.Ours, c.Count)
	rules := slices.Collect(maps.Keys(c.Rules))
	slices.SortFunc(rules, func(x, y string) int { return cmp.Or(-cmp.Compare(c.Rules[x], c.Rules[y]), cmp.Compare(x, y)) })
	for _, id := range rules {
		fmt.Fprintf(a.out, "  %d by %s\n", c.Rules[id], id)
	}
	if len(c.Mails) == 0 {
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "  TIME\tID\tFROM\tTO\tSUBJECT\tRULE\tSCORE\t")
	for _, m := range c.Mails {
		note := [...]string{"", "known", "released"}[m.weight()]
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%s\n", m.Time.Local().Format(historyTime), m.ID, text.Clean(m.From, 60), text.Clean(m.Rcpt, 60),
			text.Clean(m.Subject, 40), cmp.Or(m.Rule, mail.Deliver.String()), m.Score, note)
	}
	return w.Flush()
}
