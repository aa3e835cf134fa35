package front

import (
	"slices"

	"sekimori/internal/mail"
)

const maxNames = 20 // of attachments, that a held mail is shown with

// show fills in what the person for whom the mail was meant is shown of it.
func (h *Held) show(m *mail.Message, v *mail.Verdict, o mail.Origin) {
	if len(m.From) > 0 {
		h.HeaderFrom, h.FromName = m.From[0].Addr.String(), m.From[0].Name
		if h.HeaderFrom == "" {
			h.HeaderFrom = m.From[0].Raw
		}
		h.Confirmed = o.DMARC == "pass" && len(m.From) == 1
	}
	h.Attachments, h.Attached = m.FileNames(maxNames)
	h.Describe, h.Final, h.Limit = v.Describe, v.Final, v.Limit
}

// beside says who would lose the mail as well if there were no room to hold a batch: whether somebody gets it, and the domains of those
// for whom it is held apart from the batch.
func (d *disposal) beside(b *batch) (shared bool, others []string) {
	for i := range d.tx.verdicts {
		switch {
		case d.tx.verdicts[i].Action < mail.Hold:
			shared = true
		case !slices.Contains(b.at, i) && !slices.Contains(others, d.tx.rcpts[i].Domain):
			others = append(others, d.tx.rcpts[i].Domain)
		}
	}
	return shared, others
}
