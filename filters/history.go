package filters

import (
	"context"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

// historySpec says what is remembered of the sender. Only a sender who is confirmed (DKIM or SPF for the domain in From, else SPF or
// the confirmed name of the server) has a past: a forged one is always new.
var historySpec = Spec{
	Name:    "history",
	Stages:  []mail.Stage{mail.Conclude},
	Needs:   []string{"redis"},
	Symbols: []mail.Symbol{{Name: "HISTORY_FIRST"}, {Name: "HISTORY_KNOWN"}, {Name: "HISTORY_REPORTED"}},
	Facts: []mail.Fact{
		{Name: "history.sender", Type: mail.String, Stage: mail.Conclude},
		{Name: "history.first", Type: mail.Bool, Stage: mail.Conclude},
		{Name: "history.mails", Type: mail.Int, Stage: mail.Conclude},
		{Name: "history.days", Type: mail.Int, Stage: mail.Conclude},
		{Name: "history.released", Type: mail.Int, Stage: mail.Conclude},
		{Name: "history.reported", Type: mail.Int, Stage: mail.Conclude},
		{Name: "history.rcpt_first", Type: mail.Bool, Stage: mail.Conclude, PerRcpt: true},
		{Name: "history.rcpt_mails", Type: mail.Int, Stage: mail.Conclude, PerRcpt: true},
		{Name: "history.rcpt_weeks", Type: mail.Int, Stage: mail.Conclude, PerRcpt: true},
		{Name: "history.rcpt_released", Type: mail.Int, Stage: mail.Conclude, PerRcpt: true},
		{Name: "history.rcpt_reported", Type: mail.Int, Stage: mail.Conclude, PerRcpt: true},
	},
	New: newHistory,
}

type historyCheck struct {
	memory reputation.Memory
	now    func() time.Time
}

func newHistory(_ context.Context, env Env) (Check, error) {
	var none struct{}
	if err := env.Config.Decode(&none); err != nil {
		return nil, err
	}
	return &historyCheck{env.Memory, env.Now}, nil
}

// Check implements [Check].
func (c *historyCheck) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	switch {
	case tx.Session.Trusted:
		return mail.Result{Skipped: "trusted client"}, nil
	case tx.Message == nil:
		return mail.Result{Skipped: "no message"}, nil
	}
	sender := confirmedSender(tx)
	boxes := make([]mail.Address, len(tx.Rcpts))
	for i, r := range tx.Rcpts {
		boxes[i] = tx.Mailbox(r)
	}
	var past reputation.Past
	var with map[string]reputation.Past
	if sender != "" {
		var err error
		if past, with, err = c.memory.Past(ctx, sender, boxes); err != nil {
			return mail.Result{}, err
		}
	}
	return c.result(tx, sender, past, with), nil
}

func (c *historyCheck) result(tx *mail.Transaction, sender string, past reputation.Past, with map[string]reputation.Past) mail.Result {
	var res mail.Result
	fact := func(rcpt mail.Address, name string, value any) {
		res.Facts = append(res.Facts, mail.FactValue{Name: "history." + name, Value: value, Rcpt: rcpt})
	}
	all := mail.Address{}
	days := 0
	if !past.First.IsZero() {
		days = max(int(c.now().Sub(past.First)/(24*time.Hour)), 0)
	}
	fact(all, "sender", sender)
	fact(all, "first", past.Mails+past.Released == 0)
	fact(all, "mails", past.Mails)
	fact(all, "days", days)
	fact(all, "released", past.Released)
	fact(all, "reported", past.Reported)
	for _, r := range tx.Rcpts {
		p, known := with[tx.Mailbox(r).Key()]
		if sender != "" && !known {
			continue // one of more recipients than are looked up
		}
		fact(r, "rcpt_first", p.Mails+p.Released == 0)
		fact(r, "rcpt_mails", p.Mails)
		fact(r, "rcpt_weeks", p.Weeks)
		fact(r, "rcpt_released", p.Released)
		fact(r, "rcpt_reported", p.Reported)
	}
	ev := []mail.Evidence{{Key: "sender", Value: senderText(sender, tx)}}
	switch {
	case past.Mails+past.Released == 0:
		res.Findings = append(res.Findings, mail.Finding{Symbol: "HISTORY_FIRST", Evidence: ev})
	default:
		res.Findings = append(res.Findings, mail.Finding{Symbol: "HISTORY_KNOWN", Evidence: append(ev, number("mails", past.Mails+past.Released), number("days", days))})
	}
	if past.Reported > 0 {
		res.Findings = append(res.Findings, mail.Finding{Symbol: "HISTORY_REPORTED", Evidence: append(ev[:1:1], number("reported", past.Reported))})
	}
	return res
}

// confirmedSender is who sent the mail, if somebody vouches for him. Whether DKIM or SPF do so for the domain in From is found out here:
// DMARC is checked at the same time.
func confirmedSender(tx *mail.Transaction) string {
	p := mail.ProofOf(tx)
	if p.Author.IsNull() {
		return ""
	}
	domain := strings.ToLower(p.Author.Domain)
	p.Aligned = p.SPF != "" && sameOrganisation(p.SPF, domain)
	if o, ok := tx.Outcome("dkim"); ok && o.State == mail.StateOK {
		for _, f := range o.Facts {
			if signers, ok := f.Value.([]string); ok && f.Name == "dkim.domains" {
				for _, d := range signers {
					p.Aligned = p.Aligned || sameOrganisation(d, domain)
				}
			}
		}
	}
	return p.Sender()
}

func senderText(sender string, tx *mail.Transaction) string {
	if sender != "" {
		return sender
	}
	if len(tx.Message.From) > 0 {
		return tx.Message.From[0].Addr.String()
	}
	return ""
}
