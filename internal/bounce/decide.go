package bounce

import (
	"strings"

	"sekimori/internal/mail"
)

// Refusal says why the sender of a mail is told nothing, in English, for the administrator; "" when a report may be sent. header
// is that of the mail.
func Refusal(from mail.Address, o mail.Origin, m *mail.Message) string {
	switch {
	case from.IsNull():
		return "the sender is empty: it is itself a report"
	case o.Kind != "":
		return "it is no mail that came in, but of the kind " + o.Kind
	case strings.EqualFold(from.Local, "mailer-daemon"):
		return "the sender is a mailer-daemon"
	}
	if why := automatic(m); why != "" {
		return why
	}
	if o.ID == "" {
		return "it is not known how the mail came in, so the sender is not confirmed"
	}
	if !o.Confirmed(from) {
		return "the sender is not confirmed, a report could reach an innocent third party: spf=" + orNone(o.SPF) + " dmarc=" + orNone(o.DMARC)
	}
	return ""
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// automatic says why no report is sent about such mail, whoever sent it; "" for a person's mail.
func automatic(m *mail.Message) string {
	for i := range m.Header {
		f := &m.Header[i]
		value := strings.ToLower(strings.TrimSpace(f.Value))
		word, _, _ := strings.Cut(value, ";")
		word, _, _ = strings.Cut(strings.TrimSpace(word), " ")
		switch strings.ToLower(f.Name) {
		case "auto-submitted":
			if word != "no" {
				return "it was sent automatically (Auto-Submitted)"
			}
		case "precedence":
			if word == "bulk" || word == "list" || word == "junk" {
				return "it was sent to many (Precedence: " + word + ")"
			}
		case "list-id":
			return "it came by a mailing list (List-Id)"
		case "x-auto-response-suppress":
			for w := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ' ' }) {
				if w == "all" || w == "dr" || w == "ndr" {
					return "it wants no reports (X-Auto-Response-Suppress)"
				}
			}
		case "content-type":
			if word == "multipart/report" {
				return "it is itself a report (multipart/report)"
			}
		}
	}
	return ""
}
