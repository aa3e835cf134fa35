package text

import (
	"fmt"
	"time"

	"sekimori/internal/mail"
)

var weekdays = [...]string{"日", "月", "火", "水", "木", "金", "土"}

// Moment writes a time with its weekday, in the time zone that t carries.
func Moment(t time.Time, lang Lang) string {
	if lang == Ja {
		return Day(t, lang) + t.Format("15時04分")
	}
	return Day(t, lang) + t.Format(" 15:04")
}

// Day writes a date with its weekday.
func Day(t time.Time, lang Lang) string {
	if lang == Ja {
		return fmt.Sprintf("%d年%d月%d日（%s）", t.Year(), int(t.Month()), t.Day(), weekdays[t.Weekday()])
	}
	return t.Format("Mon 2 Jan 2006")
}

// Size writes a number of octets as people read it.
func Size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%d KB", (n+500)/1000)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Certainty is how sure a verdict is.
type Certainty string

// The degrees of certainty.
const (
	CertaintyHigh   Certainty = "high"
	CertaintyMedium Certainty = "medium"
	CertaintyLow    Certainty = "low"
)

// Sure says how sure the decision to hold a mail is: a rule of its own decided, or how far the sum is above its threshold. What could
// not be looked at makes it less sure.
func Sure(v mail.Verdict) Certainty {
	c := CertaintyMedium
	switch {
	case v.Class == "malware":
		return CertaintyHigh
	case v.Class == "unchecked", v.Class == "undeliverable", v.Class == "ratelimit":
		return CertaintyLow
	case v.Final:
		c = CertaintyHigh
	case v.Limit > 0 && v.Score >= 2*v.Limit:
		c = CertaintyHigh
	case v.Limit > 0 && v.Score < 1.25*v.Limit:
		c = CertaintyLow
	}
	if c == CertaintyHigh && len(failedChecks(v.Degraded, En)) > 0 {
		c = CertaintyMedium
	}
	return c
}

// SureWord is the certainty in a word.
func SureWord(c Certainty, lang Lang) string { return Fill("sure."+string(c), lang) }

// ClassName is a class in a few words, such as "なりすましの疑い". A class of an administrator's own stands as it is.
func ClassName(class string, lang Lang) string {
	return orElse(orElse(Fill("classname."+class, lang), Reveal(class, 40)), Fill("classname.other", lang))
}
