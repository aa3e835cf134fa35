package text

import (
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// Without says to a person which of the reasons, had it alone not been there, would have let the mail through: the sentences of
// Explain. It is empty when no single one would have, or when a rule of its own decided.
func Without(v mail.Verdict, lang Lang) []string {
	if v.Limit <= 0 || !strings.HasPrefix(v.RuleID, "threshold.") {
		return nil
	}
	var list []string
	for _, set := range Needed(v, mail.Limits{}).Sets {
		if len(set) != 1 {
			return nil
		}
		if s := Reveal(Sentence(set[0], lang), 500); s != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
