package quarantine

import (
	"strings"

	"sekimori/internal/mail"
)

// MaxNames bounds Held.Attachments.
const MaxNames = 20

// Verdict gives back why the mail is held, for package text.
func (h *Held) Verdict() mail.Verdict {
	v := mail.Verdict{
		Action: mail.Hold, Final: h.Final, Class: h.Class, Score: h.Score, Limit: h.Limit, Counted: h.Reasons,
		Describe: h.Describe, Degraded: h.Degraded,
	}
	v.RuleID, v.Rule, _ = strings.Cut(strings.TrimSuffix(h.Rule, ")"), " (")
	if len(h.Rcpts) > 0 {
		v.Rcpt = h.Rcpts[0]
	}
	return v
}
