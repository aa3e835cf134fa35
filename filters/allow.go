package filters

import (
	"context"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

// allowSpec finds out which recipients allow the sender for themselves, as they did when they released a mail of his. ALLOW_DOMAIN says
// that a recipient allows the domain in From (or, where many people share that, this address of it): whether DKIM or SPF vouches for
// it is for DMARC to say. ALLOW_SENDER says that he allows this address in From together with what confirms it here again.
var allowSpec = Spec{
	Name:   "allow",
	Stages: []mail.Stage{mail.Rcpt, mail.Conclude},
	Needs:  []string{"redis"},
	Symbols: []mail.Symbol{
		{Name: "ALLOW_DOMAIN"},
		{Name: "ALLOW_SENDER"},
	},
	New: newAllow,
}

func newAllow(_ context.Context, env Env) (Check, error) {
	var none struct{}
	if err := env.Config.Decode(&none); err != nil {
		return nil, err
	}
	return &allowCheck{memory: env.Memory}, nil
}

// allowCheck asks the store at RCPT, beside the other checks, so that at the end everything is in memory.
type allowCheck struct{ memory reputation.Memory }

// Check implements [Check].
func (c *allowCheck) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	switch {
	case tx.Session.Trusted:
		return mail.Result{Skipped: "trusted client"}, nil
	case tx.Stage == mail.Rcpt:
		_, err := c.memory.Allowed(ctx, []mail.Address{tx.Mailbox(tx.Rcpt), tx.Rcpt})
		return mail.Result{}, err
	case tx.Message == nil:
		return mail.Result{Skipped: "no message"}, nil
	}
	proof := mail.ProofOf(tx)
	if proof.Author.IsNull() {
		return mail.Result{}, nil // nobody can be meant
	}
	whose := make([]mail.Address, 0, 2*len(tx.Rcpts))
	for _, r := range tx.Rcpts {
		whose = append(whose, r)
		if box := tx.Mailbox(r); box != r {
			whose = append(whose, box)
		}
	}
	lists, err := c.memory.Allowed(ctx, whose)
	if err != nil {
		return mail.Result{}, err
	}
	var res mail.Result
	for _, r := range tx.Rcpts {
		list := lists[r.Key()]
		if box := tx.Mailbox(r); box != r {
			list = append(list[:len(list):len(list)], lists[box.Key()]...)
		}
		if f, ok := allowFinding(list, proof); ok {
			f.Rcpt = r
			res.Findings = append(res.Findings, f)
		}
	}
	return res, nil
}

// allowFinding looks for the first permission that fits; one that is confirmed here comes before one that DMARC has to confirm.
func allowFinding(list []reputation.Allow, p mail.Proof) (mail.Finding, bool) {
	address, domain := p.Author.Key(), strings.ToLower(p.Author.Domain)
	var found *reputation.Allow
	for i := range list {
		switch a := &list[i]; {
		case a.Address != "" && a.Address != address:
		case a.Domain != "":
			if a.Domain == domain && found == nil {
				found = a
			}
		case a.Address != "" && (a.SPF != "" && strings.EqualFold(a.SPF, p.SPF) || a.Host != "" && strings.EqualFold(a.Host, p.Host)):
			return allowEvidence("ALLOW_SENDER", a), true
		}
	}
	if found == nil {
		return mail.Finding{}, false
	}
	return allowEvidence("ALLOW_DOMAIN", found), true
}

func allowEvidence(symbol string, a *reputation.Allow) mail.Finding {
	f := mail.Finding{Symbol: symbol}
	for _, e := range []mail.Evidence{{Key: "domain", Value: a.Domain}, {Key: "address", Value: a.Address}, {Key: "spf", Value: a.SPF}, {Key: "host", Value: a.Host}} {
		if e.Value != "" {
			f.Evidence = append(f.Evidence, e)
		}
	}
	f.Evidence = append(f.Evidence, mail.Evidence{Key: "by", Value: a.By}, mail.Evidence{Key: "until", Value: a.Expires.UTC().Format(time.DateOnly)})
	return f
}
