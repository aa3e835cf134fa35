package rules

import (
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
)

const (
	leastKeep = time.Hour
	mostKeep  = 30 * 24 * time.Hour
)

// keep reads for how long a copy is kept of what the rule refuses.
func (x *decoder) keep(r *rule, t *table) {
	s, off := x.str(t, "keep")
	if s == "" {
		return
	}
	d, ok := parseAge(s)
	switch {
	case r.strip != nil:
		if !ok || d < leastKeep || d > mostKeep {
			x.errorf(off, "keep is a duration from \"1h\" to \"30d\"")
		}
	case r.scores || r.action != mail.Reject:
		x.errorf(off, "only a rule that rejects keeps a copy of what it refuses; what is held is kept as [[quarantine.keep]] says")
	case !ok:
		x.errorf(off, "%q is not a duration such as \"12h\" or \"3d\"", clip(s, 80))
	case d < leastKeep || d > mostKeep:
		x.errorf(off, "keep is from 1h to 30d")
	case r.at < mail.Data:
		x.d.warnf(x.f, off, "%s refuses at %s, when there is no mail yet that could be kept; with at = \"data\" it sees the whole mail", nameOf(r), r.at)
	}
	r.keep = d
}

// parseAge reads a Go duration, or a number of days or weeks.
func parseAge(s string) (time.Duration, bool) {
	for unit, hours := range map[string]int{"d": 24, "w": 7 * 24} {
		if n, is := strings.CutSuffix(s, unit); is {
			v, err := strconv.Atoi(n)
			return time.Duration(v*hours) * time.Hour, err == nil && v > 0 && v < 1000
		}
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}
