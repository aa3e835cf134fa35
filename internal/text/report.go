package text

import (
	"fmt"
	"strings"

	"sekimori/internal/mail"
)

// Explanation says everything about a verdict to the administrator, in sentences. What came from the mail is cleaned.
type Explanation struct {
	Verdict   string    `json:"verdict"`
	Because   []string  `json:"because"`  // what decided
	Findings  []Finding `json:"findings"` // what counted, in the order in which it was found
	NotLooked []string  `json:"not_looked_at"`
	Notes     []string  `json:"notes"`   // rules that could not be judged or only observe
	Without   []string  `json:"without"` // what would have changed the verdict
	lang      Lang
}

// Finding is one thing that counted.
type Finding struct {
	Name     string  `json:"name"`
	Points   float64 `json:"points"`
	Sentence string  `json:"sentence"`
	Seen     string  `json:"seen,omitempty"`  // evidence that is not in the sentence
	Place    string  `json:"place,omitempty"` // file:line of a rule
}

// Explained makes the explanation of a verdict. change is what would have changed it: of rules.Policy.Without, or Needed.
func Explained(v mail.Verdict, change mail.Change, lang Lang) Explanation {
	x := Explanation{lang: lang, Because: decidedBy(&v, lang), Findings: []Finding{}, NotLooked: []string{}, Notes: []string{}, Without: []string{}}
	x.Verdict = Fill("said", lang, ev("action", orElse(Fill("action."+v.Word(), lang), v.Word())))
	if !v.Rcpt.IsNull() {
		x.Verdict = Fill("said.rcpt", lang, ev("action", orElse(Fill("action."+v.Word(), lang), v.Word())), ev("rcpt", v.Rcpt.String()))
	}
	if v.Would != "" {
		x.Because = append(x.Because, Fill("report.would", lang, ev("action", orElse(Fill("action."+v.Would, lang), v.Would))))
	}
	if !v.Redirect.IsNull() {
		x.Because = append(x.Because, Fill("report.redirect", lang, ev("rcpt", v.Redirect.String())))
	}
	for _, a := range v.Copies {
		x.Because = append(x.Because, Fill("report.copy", lang, ev("rcpt", a.String())))
	}
	for _, c := range v.Counted {
		f := foundIn(c, lang)
		if c.Name != v.RuleID {
			x.Findings = append(x.Findings, f)
		} else if f.Seen != "" {
			x.Because = append(x.Because, Fill("report.seen.rule", lang)+f.Seen)
		}
	}
	for _, d := range v.Degraded {
		x.NotLooked = append(x.NotLooked, NotLooked(d, lang))
	}
	if len(v.Unknown) > 0 {
		x.Notes = append(x.Notes, Fill("report.unknown", lang, ev("ids", list(v.Unknown, lang))))
	}
	if len(v.Observed) > 0 {
		x.Notes = append(x.Notes, Fill("report.observed", lang, ev("ids", list(v.Observed, lang))))
	}
	x.Without = without(&v, change, lang)
	return x
}

// Lines gives the explanation for a terminal or a page, one thing a line.
func (x *Explanation) Lines() []string {
	lines := append([]string{x.Verdict}, x.Because...)
	section := func(key string, items []string) {
		if len(items) == 0 {
			return
		}
		lines = append(lines, Fill(key, x.lang))
		for _, s := range items {
			lines = append(lines, Fill("report.item", x.lang)+s)
		}
	}
	var found []string
	for _, f := range x.Findings {
		found = append(found, f.line(x.lang))
	}
	section("report.findings", found)
	section("report.degraded", x.NotLooked)
	return append(append(lines, x.Notes...), x.Without...)
}

// Report is the lines of the explanation that a verdict alone allows.
func Report(v mail.Verdict, lang Lang) []string {
	x := Explained(v, Needed(v, mail.Limits{}), lang)
	return x.Lines()
}

func number(x float64) string { return fmt.Sprintf("%.1f", x) }

// decidedBy says what decided: a rule, the sum, a check that could not look, or nothing.
func decidedBy(v *mail.Verdict, lang Lang) []string {
	var lines []string
	add := func(key string, evidence ...mail.Evidence) {
		lines = append(lines, Fill(key, lang, append(evidence, ev("score", number(v.Score)))...))
	}
	id, threshold := strings.CutPrefix(v.RuleID, "threshold.")
	dependency, degraded := strings.CutPrefix(v.RuleID, "degraded.")
	switch {
	case v.RuleID == "" && v.Class == "undeliverable":
		add("report.undeliverable")
	case v.RuleID == "" && v.Threshold() > 0:
		add("report.below", ev("limit", number(v.Threshold())))
	case v.RuleID == "":
		add("report.none")
	case degraded:
		add("report.dependency", ev("dependency", dependency))
	case threshold && v.Limit == 0:
		add("report.sum", ev("action", actionOf(id, lang)))
	case threshold:
		add("report.threshold", ev("limit", number(v.Limit)), ev("action", actionOf(id, lang)))
	case v.Rule == "":
		add("report.rule.gone", ev("id", v.RuleID))
	default:
		add("report.rule", ev("id", v.RuleID), ev("place", v.Rule))
	}
	if s := describe(v.Describe, lang); s != "" {
		lines = append(lines, Fill("report.describe", lang)+Reveal(s, 500))
	}
	if v.Class != "" {
		add("report.class", ev("class", ClassName(v.Class, lang)), ev("code", v.Class))
	}
	if v.Class == "refused" && v.Action == mail.Hold {
		lines = append(lines, Fill("class.refused", lang))
	}
	return lines
}

func actionOf(name string, lang Lang) string { return orElse(Fill("action."+name, lang), name) }

// foundIn says in words what counted. What the sentence does not tell of the evidence stands beside it.
func foundIn(c mail.Counted, lang Lang) Finding {
	f := Finding{Name: c.Name, Points: c.Points, Place: c.Rule, Sentence: Reveal(Sentence(c, lang), 500)}
	pattern := ""
	if describe(c.Describe, lang) == "" {
		pattern, _ = Lookup("symbol."+c.Name, lang)
	}
	var seen []string
	for _, e := range c.Evidence {
		if !strings.Contains(pattern, "{"+e.Key+"}") {
			seen = append(seen, fmt.Sprintf("%s = %q", e.Key, Clean(e.Value, 200)))
		}
	}
	f.Seen = list(seen, lang)
	if f.Sentence == "" {
		f.Sentence = Fill("report.nameless", lang)
	}
	return f
}

// line is a finding on one line.
func (f *Finding) line(lang Lang) string {
	key := "report.counted"
	if f.Points == 0 {
		key = "report.uncounted"
	}
	name := f.Name
	if f.Place != "" {
		name = Fill("report.placed", lang, ev("id", f.Name), ev("place", f.Place))
	}
	s := Fill(key, lang, ev("points", fmt.Sprintf("%+.1f", f.Points)), ev("name", name)) + f.Sentence
	if f.Seen != "" {
		s += Fill("report.seen", lang) + f.Seen + Fill("report.seen.end", lang)
	}
	return s
}

// without says what would have changed the verdict.
func without(v *mail.Verdict, c mail.Change, lang Lang) []string {
	if c.Unfinished {
		return []string{Fill("without.unfinished", lang)}
	}
	if len(c.Sets) == 0 {
		return nil
	}
	end := Fill("without.end."+v.Word(), lang)
	if c.Early {
		end = Fill("without.end.early", lang)
	}
	n := len(c.Sets[0])
	key := "without.these"
	switch {
	case n == 1 && len(c.Sets) == 1:
		key = "without.this"
	case n == 1:
		key = "without.any"
	}
	lines := []string{Fill(key, lang, ev("n", fmt.Sprint(n)), ev("end", end))}
	shown := c.Sets[0]
	if n == 1 {
		shown = nil
		for _, set := range c.Sets {
			shown = append(shown, set[0])
		}
	}
	rule := false
	for _, m := range shown {
		what := Reveal(Sentence(m, lang), 500) + Fill("without.finding", lang, ev("name", m.Name), ev("points", fmt.Sprintf("%+.1f", m.Points)))
		if m.Rule != "" && m.Points == 0 {
			rule = true
			what = Fill("without.rule", lang, ev("id", m.Name), ev("place", m.Rule))
		}
		lines = append(lines, Fill("report.item", lang)+what)
	}
	switch {
	case n > 1 && c.More:
		lines = append(lines, Fill("without.many", lang))
	case n > 1 && len(c.Sets) > 1:
		lines = append(lines, Fill("without.others", lang, ev("n", fmt.Sprint(len(c.Sets)-1))))
	}
	if rule && !c.Judged {
		lines = append(lines, Fill("without.unasked", lang))
	}
	return lines
}
