package filters

import (
	"context"
	"fmt"
	"strings"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

// scored is what the models of a recipient say; several recipients for whom the same models count share one.
type scored struct {
	reputation.Score
	scopes string
}

// result scores a mail: once for everybody for whom nothing of their own was learned, and for each of the others.
func (b *bayesCheck) result(ctx context.Context, tx *mail.Transaction, tokens []string, factor float64, halved bool) mail.Result {
	general := scored{Score: b.memory.Bayes().Score(tokens)}
	var r mail.Result
	own := b.own(ctx, tx, tokens, &r)
	fact := func(rcpt mail.Address, s reputation.Score) {
		class, _ := bayesVerdict(s, factor)
		r.Facts = append(r.Facts,
			mail.FactValue{Name: "bayes.class", Value: class, Rcpt: rcpt},
			mail.FactValue{Name: "bayes.probability", Value: s.Probability, Rcpt: rcpt},
			mail.FactValue{Name: "bayes.z", Value: s.Z, Rcpt: rcpt})
	}
	finding := func(rcpt mail.Address, s scored) {
		_, f := bayesVerdict(s.Score, factor)
		if f.Symbol == "" {
			return
		}
		f.Rcpt = rcpt
		if s.scopes != "" {
			f.Evidence = append(f.Evidence, mail.Evidence{Key: "own", Value: s.scopes})
		}
		if halved {
			f.Evidence = append(f.Evidence, mail.Evidence{Key: "halved", Value: "yes"})
		}
		r.Findings = append(r.Findings, f)
	}
	fact(mail.Address{}, general.Score)
	if len(own) == 0 {
		finding(mail.Address{}, general)
		return r
	}
	for _, rcpt := range tx.Rcpts {
		s, ok := own[rcpt]
		if ok {
			fact(rcpt, s.Score)
		} else {
			s = general
		}
		finding(rcpt, s)
	}
	return r
}

// own scores the mail for the recipients for whom, or for whose domain, something of their own counts.
func (b *bayesCheck) own(ctx context.Context, tx *mail.Transaction, tokens []string, r *mail.Result) map[mail.Address]scored {
	var all map[mail.Address]scored
	var done map[string]scored
	for _, rcpt := range tx.Rcpts {
		x, err := b.memory.BayesFor(ctx, tx.Mailbox(rcpt))
		if err != nil && len(r.Partial) == 0 {
			r.Partial = append(r.Partial, fmt.Sprint("training: ", err))
		}
		if len(x.Scopes()) == 0 {
			continue
		}
		names := make([]string, 0, 2)
		for _, s := range x.Scopes() {
			names = append(names, s.String())
		}
		key := strings.Join(names, " ")
		s, ok := done[key]
		if !ok {
			s = scored{x.Score(tokens), key}
			if done == nil {
				done, all = map[string]scored{}, map[mail.Address]scored{}
			}
			done[key] = s
		}
		all[rcpt] = s
	}
	return all
}
