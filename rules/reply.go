package rules

import "sekimori/internal/mail"

// saying is what the sender is told for a class of reasons: in ASCII, never which rule or how many points. The front
// adds the transaction's id, with which the administrator finds the rest. subject and detail are the last two numbers of
// the enhanced code (RFC 3463); most are X.7.1, "delivery not authorized, message refused".
type saying struct {
	subject, detail int
	reject          string
	later           string
}

var sayings = map[string]saying{
	"client":     {7, 1, "Mail from your server is not accepted here", "Mail from your server is not accepted at the moment"},
	"reputation": {7, 1, "Your server has a bad reputation, mail from it is not accepted here", "Your server has a bad reputation, please try again later"},
	"sender":     {7, 1, "This sender is not accepted here", "This sender is not accepted at the moment"},
	"recipient":  {7, 1, "Mail to this recipient is not accepted from outside", "Mail to this recipient is not accepted at the moment"},
	"protocol":   {5, 0, "Your server did not keep to the protocol", "Your server did not keep to the protocol"},
	"ratelimit":  {7, 1, "Too many messages", "Too many messages, please try again later"},
	"spoof":      {7, 1, "The sender could not be confirmed", "The sender could not be confirmed, please try again later"},
	"content":    {7, 1, "Message refused because of its content", "Message not accepted at the moment"},
	"spam":       {7, 1, "Message refused because of its content or origin", "Message not accepted at the moment"},
	classMalware: {7, 1, "Message refused because of its content", "Message not accepted at the moment"},
}

var plainSaying = saying{7, 1, "Message refused by local policy", "Message not accepted at the moment, please try again later"}

// reply makes the answer of a verdict that defers or rejects. A refusal of the message itself, after DATA, is 554 as
// long as it is permanent; one of the sender or recipient is 550 (RFC 5321 section 4.2.2).
func (j *judging) reply(v *mail.Verdict, d *decision) mail.Reply {
	s, ok := sayings[v.Class]
	if !ok {
		s = plainSaying
	}
	text, late := s.reject, j.tx.Stage >= mail.Data
	if v.Action == mail.Defer {
		text = s.later
	}
	if d != nil && d.rule.id == v.RuleID && d.rule.replies != "" {
		text = d.rule.replies
	}
	switch {
	case v.Action == mail.Defer && late:
		return mail.Transient(451, s.subject, s.detail, text)
	case v.Action == mail.Defer:
		return mail.Transient(450, s.subject, s.detail, text)
	case late:
		return mail.Permanent(554, s.subject, s.detail, text)
	}
	return mail.Permanent(550, s.subject, s.detail, text)
}
