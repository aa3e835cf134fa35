package filters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// dmarcEvidence is what spf and dkim found of one mail, with the walker that compares domains.
type dmarcEvidence struct {
	walker *dmarcWalker
	notRun bool // one of the two did not run at all

	spfResult string
	spfDomain string
	dkim      []dkimIdentity
	dkimErr   error // the check dkim failed as a whole
}

type dkimIdentity struct{ domain, result, why string }

// read takes the results from the outcomes of the transaction.
func (e *dmarcEvidence) read(tx *mail.Transaction) {
	o, ok := tx.Outcome("spf")
	switch {
	case !ok || o.State == mail.StateSkipped:
		e.notRun = true
	case o.State == mail.StateTempError:
		// Which domain it would have been about is known all the same (RFC 7208 section 2.4).
		e.spfResult, e.spfDomain = "temperror", tx.From.Domain
		if tx.From.IsNull() {
			e.spfDomain = tx.Session.Helo
		}
	default:
		e.readSPF(o)
	}
	e.spfDomain = strings.ToLower(strings.TrimSuffix(e.spfDomain, "."))
	o, ok = tx.Outcome("dkim")
	switch {
	case !ok || o.State == mail.StateSkipped:
		e.notRun = true
	case o.State == mail.StateTempError:
		e.dkimErr = fmt.Errorf("dkim: %s", o.Why)
	default:
		e.readDKIM(o)
	}
}

func (e *dmarcEvidence) readSPF(o mail.Outcome) {
	for _, f := range o.Findings {
		if f.Auth == nil || f.Auth.Method != "spf" {
			continue
		}
		if from := f.Auth.Prop("smtp.mailfrom"); from != "" {
			e.spfResult, e.spfDomain = f.Auth.Result, from[strings.LastIndexByte(from, '@')+1:]
		}
	}
}

func (e *dmarcEvidence) readDKIM(o mail.Outcome) {
	for _, f := range o.Findings {
		if f.Auth == nil || f.Auth.Method != "dkim" {
			continue
		}
		if d := f.Auth.Prop("header.d"); d != "" {
			id := dkimIdentity{domain: strings.ToLower(strings.TrimSuffix(d, ".")), result: f.Auth.Result, why: f.Auth.Reason}
			if !slices.Contains(e.dkim, id) {
				e.dkim = append(e.dkim, id)
			}
		}
	}
}

// align sets j.spf and j.dkim. When neither is true, its error says what did not answer and could have made one of them
// true; nil when the answers that are there suffice.
func (e *dmarcEvidence) align(ctx context.Context, j *dmarcJudgement, tree dmarcTree) error {
	var strictSPF, strictDKIM bool
	if j.record != nil {
		strictSPF, strictDKIM = j.record.strictSPF, j.record.strictDKIM
	}
	var pending error
	if e.spfResult == "pass" || e.spfResult == "temperror" {
		ok, err := e.aligned(ctx, e.spfDomain, tree, strictSPF)
		j.spf = ok && e.spfResult == "pass"
		if ok && e.spfResult == "temperror" {
			err = fmt.Errorf("spf of %s did not answer", e.spfDomain)
		}
		pending = errors.Join(pending, err)
	}
	for _, id := range e.dkim {
		if id.result != "pass" && id.result != "temperror" {
			continue
		}
		ok, err := e.aligned(ctx, id.domain, tree, strictDKIM)
		j.dkim = j.dkim || ok && id.result == "pass"
		if ok && id.result == "temperror" {
			err = fmt.Errorf("dkim key of %s did not answer", id.domain)
		}
		pending = errors.Join(pending, err)
	}
	pending = errors.Join(pending, e.dkimErr)
	if pending == nil && e.notRun {
		pending = errNotRun
	}
	return pending
}

// aligned compares an identity with the author's domain (RFC 9989 section 4.4). An organisation is always an upper part
// of the name itself, so that only names which share one are walked.
func (e *dmarcEvidence) aligned(ctx context.Context, identity string, author dmarcTree, strict bool) (bool, error) {
	switch {
	case identity == author.start:
		return true, nil
	case strict || identity == "" || !mail.IsHostname(identity):
		return false, nil
	}
	if author.err == nil && !isWithin(identity, author.organisation()) {
		return false, nil
	}
	if author.err != nil && !isWithin(identity, author.failed) {
		// What did not answer is above the names that were seen; an identity outside of it can share none but those.
		return false, nil
	}
	if author.err != nil {
		return false, author.err
	}
	tree := e.walker.walk(ctx, identity)
	if tree.err != nil {
		return false, tree.err
	}
	return tree.organisation() == author.organisation(), nil
}

func (e *dmarcEvidence) spfWords(j dmarcJudgement) string {
	switch {
	case e.spfResult == "":
		return "not checked"
	case e.spfResult == "pass" && !j.spf:
		return "pass for another domain: " + e.spfDomain
	}
	return e.spfResult + " for " + e.spfDomain
}

func (e *dmarcEvidence) dkimWords() string {
	if len(e.dkim) == 0 {
		return "no signature"
	}
	words := make([]string, len(e.dkim))
	for i, id := range e.dkim {
		words[i] = id.result + " for " + id.domain
	}
	return strings.Join(words, ", ")
}
