package text

import (
	"fmt"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Why says in words why a check did not look. The checks give it in English; what is not in the catalogue, such as the words of another
// program, stands as it is.
func Why(why string, lang Lang) string {
	why = Clean(why, 300)
	if s := Fill("why."+why, lang); s != "" {
		return s
	}
	var ham, needHam, spam, needSpam int
	if n, _ := fmt.Sscanf(why, "not trained: %d of %d ham, %d of %d spam", &ham, &needHam, &spam, &needSpam); n == 4 {
		return Fill("why.not trained.counts", lang, ev("ham", fmt.Sprint(ham)), ev("needham", fmt.Sprint(needHam)), ev("spam", fmt.Sprint(spam)), ev("needspam", fmt.Sprint(needSpam)))
	}
	for _, p := range [...]string{"DNS: ", "not trained: ", "client not known: "} {
		if detail, ok := strings.CutPrefix(why, p); ok {
			return Fill("why."+strings.TrimSuffix(p, ": "), lang, ev("detail", detail))
		}
	}
	return why
}

// Country names a country or region by its code of two letters; a code that stands for none stays as it is.
func Country(code string, lang Lang) string {
	r, err := language.ParseRegion(code)
	if err != nil || len(code) != 2 {
		return Clean(code, 10)
	}
	names := display.Regions(language.English)
	if lang == Ja {
		names = display.Regions(language.Japanese)
	}
	return orElse(names.Name(r), code)
}

// NotLooked says of one of Verdict.Degraded what was not looked at, and why, for the administrator: a sentence.
func NotLooked(degraded string, lang Lang) string {
	check, why, _ := strings.Cut(Clean(degraded, 400), ": ")
	why, skipped := strings.CutPrefix(why, "skipped: ")
	part := ""
	if !skipped {
		part, why = partOf(why)
	}
	key := "unlooked"
	if part != "" {
		key = "unlooked.part"
	}
	return Fill(key, lang, ev("what", Looking(check, lang)), ev("part", part), ev("reason", Why(why, lang)))
}

// partOf cuts off what stands before a reason that is known: the list or the domain that was asked.
func partOf(why string) (part, reason string) {
	for i := 0; i < len(why); {
		rest := why[i:]
		if _, ok := Lookup("why."+rest, En); ok || strings.HasPrefix(rest, "DNS: ") {
			return strings.TrimSuffix(why[:i], ": "), rest
		}
		next := strings.Index(rest, ": ")
		if next < 0 {
			break
		}
		i += next + len(": ")
	}
	return "", why
}

// Looking says what a check looks at, in a few words.
func Looking(check string, lang Lang) string { return orElse(Fill("looking."+check, lang), check) }
