package front

import "sekimori/internal/mail"

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
