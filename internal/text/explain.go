package text

import (
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
		b.WriteString(valueOf(evidence, s[open+1:open+end], lang))
		s = s[open+end+1:]
	}
	return b.String() + s
}

// Meaning is the text of a symbol in general: what a mail's evidence says stands as the name of it, such as 〈ドメイン〉.
func Meaning(symbol string, lang Lang) string {
	s, _ := Lookup("symbol."+symbol, lang)
	var evidence []mail.Evidence
	for rest := s; ; {
		_, after, ok := strings.Cut(rest, "{")
		name, more, closed := strings.Cut(after, "}")
		if !ok || !closed {
			return Fill("symbol."+symbol, lang, evidence...)
		}
		evidence = append(evidence, ev(name, orElse(Fill("placeholder."+name, lang), "…")))
		rest = more
	}
}

func valueOf(evidence []mail.Evidence, name string, lang Lang) string {
	for _, e := range evidence {
		if e.Key != name || e.Value == "" {
			continue
		}
		switch name {
		case "why":
			return Why(e.Value, lang)
		case "country":
			return Country(e.Value, lang)
		case "words":
			return quoted(Clean(e.Value, 300), lang)
		}
		return Clean(e.Value, 300)
	}
	if name == "words" {
		return Fill("bayes.form", lang)
	}
	return "–"
}

// quoted sets words, which commas part, apart from our own.
func quoted(words string, lang Lang) string {
	if words == Fill("placeholder.words", lang) {
		return words
	}
	if lang == Ja {
		return "「" + strings.ReplaceAll(words, ", ", "」「") + "」"
	}
	return "“" + strings.ReplaceAll(words, ", ", "”, “") + "”"
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

// Reason is what Explain says, as one text on one line: what stands in the header, in the log, in the digest and on the pages.
func Reason(v mail.Verdict, lang Lang) string { return Join(Explain(v, lang), lang) }

const maxReason = 600

// Join makes one text of sentences, fit to be shown.
func Join(sentences []string, lang Lang) string {
	space := " "
	if lang == Ja {
		space = ""
	}
	return Reveal(strings.Join(sentences, space), maxReason)
}

const maxReasons = 3

// reasons are the text of the rule that decided, or else those of what counted most.
func reasons(v mail.Verdict, lang Lang) []string {
	if s := describe(v.Describe, lang); s != "" {
		return []string{s}
	}
	if v.Class == "undeliverable" || v.Class == "unchecked" {
		return nil // what was found is not why
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
		if s := Sentence(c, lang); s != "" && !slices.Contains(sentences, s) {
			sentences = append(sentences, s)
		}
	}
	return sentences
}

// Sentence says in words what counted: the text of a rule, or that of a finding with its evidence; "" when there is neither.
func Sentence(c mail.Counted, lang Lang) string {
	return orElse(describe(c.Describe, lang), Fill("symbol."+c.Name, lang, c.Evidence...))
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
