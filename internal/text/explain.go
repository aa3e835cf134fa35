package text

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"

	"sekimori/internal/mail"
)

var index = sync.OnceValue(func() map[string]Entry {
	m := map[string]Entry{}
	for _, e := range All() {
		m[e.Key] = e
	}
	return m
})

// Lookup returns the text at a key, and whether there is one. A language other than Ja is English.
func Lookup(key string, lang Lang) (string, bool) {
	e, ok := index()[key]
	if lang == Ja {
		return e.Ja, ok
	}
	return e.En, ok
}

// Fill returns the text at a key with every {name} replaced by the value of that evidence, cleaned for display; a name
// without evidence becomes "–". It returns "" when there is no such text.
func Fill(key string, lang Lang, evidence ...mail.Evidence) string {
	s, ok := Lookup(key, lang)
	if !ok {
		return ""
	}
	var b strings.Builder
	for {
		open := strings.IndexByte(s, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(s[open:], '}')
		if end < 0 {
			break
		}
		b.WriteString(s[:open])
		b.WriteString(valueOf(evidence, s[open+1:open+end]))
		s = s[open+end+1:]
	}
	return b.String() + s
}

func valueOf(evidence []mail.Evidence, name string) string {
	for _, e := range evidence {
		if e.Key == name && e.Value != "" {
			return Clean(e.Value, 300)
		}
	}
	return "–"
}

// Clean makes what came from a mail fit to be shown: no controls, no bidirectional or invisible characters, no broken
// UTF-8, at most n characters.
func Clean(s string, n int) string {
	var b strings.Builder
	count := 0
	for _, r := range s {
		if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == 0x2028 || r == 0x2029 {
			r = ' '
		}
		if count++; count > n {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Explain says to the person who would have received the mail why it was not simply delivered: whole sentences, without
// names of symbols and without points. It is never empty.
func Explain(v mail.Verdict, lang Lang) []string {
	sentences := reasons(v, lang)
	if len(sentences) == 0 {
		key := "class." + v.Class
		if v.Action == mail.Deliver {
			key = "explain.nothing"
		}
		sentences = append(sentences, orElse(Fill(key, lang), Fill("class.policy", lang)))
	}
	if failed := failedChecks(v.Degraded, lang); len(failed) > 0 {
		sentences = append(sentences, Fill("explain.unsure", lang, ev("what", list(failed, lang))))
	}
	if v.Action == mail.Hold && v.Class == "spam" {
		sentences = append(sentences, Fill("explain.suspect", lang))
	}
	return sentences
}

func ev(key, value string) mail.Evidence { return mail.Evidence{Key: key, Value: value} }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

const maxReasons = 3

// reasons are the text of the rule that decided, or else those of what counted most.
func reasons(v mail.Verdict, lang Lang) []string {
	if s := describe(v.Describe, lang); s != "" {
		return []string{s}
	}
	if v.Final || v.Action == mail.Deliver {
		return nil
	}
	counted := slices.Clone(v.Counted)
	slices.SortStableFunc(counted, func(a, b mail.Counted) int {
		switch {
		case a.Points > b.Points:
			return -1
		case a.Points < b.Points:
			return 1
		}
		return 0
	})
	var sentences []string
	for _, c := range counted {
		if c.Points <= 0 || len(sentences) == maxReasons {
			break
		}
		s := orElse(describe(c.Describe, lang), Fill("symbol."+c.Name, lang, c.Evidence...))
		if s != "" && !slices.Contains(sentences, s) {
			sentences = append(sentences, s)
		}
	}
	return sentences
}

// describe takes the other language rather than nothing.
func describe(texts map[string]string, lang Lang) string {
	if s := texts[string(lang)]; s != "" {
		return s
	}
	return orElse(texts[string(En)], texts[string(Ja)])
}

// failedChecks names the checks that should have looked and could not; those that are switched off do not concern the
// recipient.
func failedChecks(degraded []string, lang Lang) []string {
	var names []string
	for _, d := range degraded {
		check, why, _ := strings.Cut(d, ": ")
		if strings.HasPrefix(why, "skipped: ") || check == "rules" {
			continue
		}
		name := orElse(Fill("looking."+check, lang), check)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func list(items []string, lang Lang) string {
	if lang == Ja {
		return strings.Join(items, "、")
	}
	return strings.Join(items, ", ")
}

// Action names an action for people.
func Action(a mail.Action, lang Lang) string {
	return orElse(Fill("action."+a.String(), lang), a.String())
}

// Report says everything to the administrator, one thing a line: the verdict, what decided, every finding with its points
// and evidence, what was not looked at, and what would have changed the verdict. `scan` and `explain` print it.
func Report(v mail.Verdict, lang Lang) []string {
	lines := []string{Fill("report.action", lang, ev("action", orElse(Fill("action."+v.Word(), lang), v.Word())))}
	if !v.Redirect.IsNull() {
		lines = append(lines, Fill("report.redirect", lang, ev("rcpt", v.Redirect.String())))
	}
	for _, a := range v.Copies {
		lines = append(lines, Fill("report.copy", lang, ev("rcpt", a.String())))
	}
	if v.Class != "" {
		lines = append(lines, Fill("report.class", lang, ev("class", v.Class)))
	}
	lines = append(lines, decidedBy(v, lang))
	if s := describe(v.Describe, lang); s != "" {
		lines = append(lines, "  "+Clean(s, 500))
	}
	for _, c := range v.Counted {
		lines = append(lines, countedLines(c, lang)...)
	}
	for _, group := range []struct {
		key, name string
		items     []string
	}{{"report.degraded", "what", v.Degraded}, {"report.unknown", "ids", v.Unknown}, {"report.observed", "ids", v.Observed}} {
		if len(group.items) > 0 {
			lines = append(lines, Fill(group.key, lang, ev(group.name, list(group.items, lang))))
		}
	}
	if s := Counterfactual(v, lang); s != "" {
		lines = append(lines, s)
	}
	return lines
}

func decidedBy(v mail.Verdict, lang Lang) string {
	score := number(v.Score)
	switch {
	case v.RuleID == "":
		return Fill("report.none", lang, ev("score", score))
	case v.RuleID == "threshold."+v.Action.String() && v.Limit == 0:
		return Fill("report.sum", lang, ev("score", score), ev("action", Action(v.Action, lang)))
	case strings.HasPrefix(v.RuleID, "threshold."):
		action := Action(v.Action, lang)
		if a, ok := mail.ParseAction(strings.TrimPrefix(v.RuleID, "threshold.")); ok {
			action = Action(a, lang)
		}
		return Fill("report.threshold", lang, ev("score", score), ev("limit", number(v.Limit)), ev("action", action))
	}
	return Fill("report.rule", lang, ev("id", v.RuleID), ev("place", v.Rule))
}

func countedLines(c mail.Counted, lang Lang) []string {
	line := "  " + Fill("report.counted", lang, ev("points", fmt.Sprintf("%+.1f", c.Points)), ev("name", c.Name))
	for _, e := range c.Evidence {
		line += fmt.Sprintf(" %s=%q", e.Key, Clean(e.Value, 200))
	}
	lines := []string{line}
	if s := orElse(Fill("symbol."+c.Name, lang, c.Evidence...), describe(c.Describe, lang)); s != "" {
		lines = append(lines, "       "+Clean(s, 500))
	}
	return lines
}

func number(x float64) string { return fmt.Sprintf("%.1f", x) }

// Counterfactual says what would have changed the verdict, for the administrator; "" when nothing was done to the mail.
func Counterfactual(v mail.Verdict, lang Lang) string {
	if v.RuleID == "" || v.Action == mail.Deliver {
		return ""
	}
	if !strings.HasPrefix(v.RuleID, "threshold.") {
		return Fill("report.disable", lang, ev("id", v.RuleID), ev("score", number(v.Score)))
	}
	over := v.Score - v.Limit
	var names []string
	for _, c := range v.Counted {
		if c.Points > over {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return Fill("report.together", lang, ev("points", number(over)))
	}
	return Fill("report.without", lang, ev("names", list(names, lang)))
}
