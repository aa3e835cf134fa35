package rules

import (
	"fmt"
	"time"
)

// soon is from how many days before its last day on a rule is said to end.
const soon = 7

// Ending says which rules end within seven days of now, or have ended on one of the last seven: "NAME (file:line) ends on 2026-12-31".
// Rules that only observe are among them.
func (p *Policy) Ending(now time.Time) []string {
	today := now.Format(time.DateOnly)
	first, last := now.AddDate(0, 0, -soon).Format(time.DateOnly), now.AddDate(0, 0, soon).Format(time.DateOnly)
	var list []string
	for _, r := range p.rules {
		switch {
		case r.until == "" || r.until < first || r.until > last:
		case r.until < today:
			list = append(list, fmt.Sprintf("%s (%s) has ended on %s", r.id, r.place(), r.until))
		default:
			list = append(list, fmt.Sprintf("%s (%s) ends on %s", r.id, r.place(), r.until))
		}
	}
	return list
}
