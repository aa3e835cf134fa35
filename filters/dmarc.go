package filters

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

// dmarcSpec is the check of RFC 9989: whether the domain in From is one for which SPF or DKIM vouched, and what its
// owner asks for when it is not. It reads what the checks spf and dkim found.
var dmarcSpec = Spec{
	Name:   "dmarc",
	Stages: []mail.Stage{mail.Conclude},
	Needs:  []string{"dns"},
	Symbols: []mail.Symbol{
		{Name: "DMARC_PASS", Score: 0},
		{Name: "DMARC_REJECT", Score: 4},
		{Name: "DMARC_QUARANTINE", Score: 3.5},
		{Name: "DMARC_NONE_FAIL", Score: 0.5},
		{Name: "DMARC_NO_RECORD", Score: 0.2},
		{Name: "DMARC_PERMERROR", Score: 0.5},
		{Name: "DMARC_NO_FROM", Score: 3},
		{Name: "DMARC_BAD_FROM", Score: 3},
		{Name: "DMARC_MULTI_FROM", Score: 3},
	},
	Facts: []mail.Fact{
		{Name: "dmarc.result", Type: mail.String, Stage: mail.Conclude, Values: []string{"pass", "fail", "none", "permerror"}},
		{Name: "dmarc.policy", Type: mail.String, Stage: mail.Conclude, Values: []string{"", "none", "quarantine", "reject"}},
		{Name: "dmarc.domain", Type: mail.String, Stage: mail.Conclude},
		{Name: "dmarc.org_domain", Type: mail.String, Stage: mail.Conclude},
		{Name: "dmarc.aligned_spf", Type: mail.Bool, Stage: mail.Conclude},
		{Name: "dmarc.aligned_dkim", Type: mail.Bool, Stage: mail.Conclude},
	},
	New: newDMARC,
}

// maxDMARCFrom is how many domains in From are looked at; an honest mail has one.
const maxDMARCFrom = 4

func newDMARC(_ context.Context, env Env) (Check, error) {
	var none struct{}
	if err := env.Config.Decode(&none); err != nil {
		return nil, err
	}
	return &dmarcCheck{dns: env.DNS}, nil
}

type dmarcCheck struct{ dns dns.Resolver }

// errNotRun is why a mail that did not pass cannot be said to fail: a check that might have vouched did not run.
var errNotRun = errors.New("spf or dkim did not run")

// dmarcJudgement is the result for one domain in From.
type dmarcJudgement struct {
	domain string
	org    string
	result string // pass, fail, none or permerror
	policy string // what applies; empty without a record
	record *dmarcRecord
	spf    bool // aligned and passed
	dkim   bool
	why    string
}

// Check implements [Check]. It fails when an answer that did not come could have made a failure a pass.
func (c *dmarcCheck) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	switch {
	case tx.Message == nil:
		return mail.Result{Skipped: "no message"}, nil
	case tx.Session.Trusted:
		return mail.Result{Skipped: "trusted client"}, nil
	}
	domains, finding := dmarcFrom(tx.Message)
	if len(domains) == 0 {
		return dmarcNoAuthor(finding), nil
	}
	e := dmarcEvidence{walker: &dmarcWalker{dns: c.dns, cache: map[string]dmarcAnswer{}}}
	e.read(tx)
	var worst dmarcJudgement
	var failed error
	for _, d := range domains[:min(len(domains), maxDMARCFrom)] {
		j, err := e.judge(ctx, d)
		switch {
		case err != nil:
			failed = err
		case worst.domain == "" || j.rank() > worst.rank():
			worst = j
		}
	}
	if failed != nil && worst.result != "fail" {
		if errors.Is(failed, errNotRun) {
			return mail.Result{Skipped: failed.Error()}, nil
		}
		return mail.Result{}, failed
	}
	res := worst.outcome(&e)
	if finding != nil {
		res.Findings = append(res.Findings, *finding)
	}
	return res, nil
}

// dmarcFrom returns the distinct domains of all From fields, and the finding that goes with a From that is not exactly
// one field with one domain (RFC 9989 section 5.3.1).
func dmarcFrom(m *mail.Message) ([]string, *mail.Finding) {
	fields := m.CountHeader("From")
	var domains []string
	bad := ""
	for _, box := range m.From {
		name := strings.TrimSuffix(box.Addr.Domain, ".")
		if len(name) > 4*255 {
			name = "" // no domain; the time of Punycode grows with the square of the length
		}
		d, err := mail.ParseDomain(name)
		if err != nil || strings.HasPrefix(d, "[") {
			bad = box.Raw
			continue
		}
		if !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	switch {
	case len(domains) == 0 && fields == 0 && len(m.From) == 0:
		return nil, &mail.Finding{Symbol: "DMARC_NO_FROM"}
	case len(domains) == 0:
		return nil, &mail.Finding{Symbol: "DMARC_BAD_FROM", Evidence: []mail.Evidence{{Key: "from", Value: clipValue(bad)}}}
	case fields > 1 || len(domains) > 1:
		return domains, &mail.Finding{Symbol: "DMARC_MULTI_FROM", Evidence: []mail.Evidence{
			{Key: "fields", Value: strconv.Itoa(fields)},
			{Key: "domains", Value: clipValue(strings.Join(domains, ","))},
		}}
	}
	return domains, nil
}

func clipValue(s string) string { return s[:min(len(s), 256)] }

func dmarcNoAuthor(f *mail.Finding) mail.Result {
	f.Auth = &mail.AuthResult{Method: "dmarc", Result: "permerror", Reason: "no author domain"}
	return mail.Result{
		Findings: []mail.Finding{*f},
		Facts:    dmarcJudgement{result: "permerror"}.facts(),
	}
}

// rank orders judgements of one mail from mild to severe: of several authors the one counts who was wronged most.
func (j dmarcJudgement) rank() int {
	if j.result == "fail" {
		return 3 + slices.Index([]string{"none", "quarantine", "reject"}, j.policy)
	}
	return slices.Index([]string{"pass", "none", "permerror"}, j.result)
}

// judge finds the policy for one domain and says whether somebody vouched for it.
func (e *dmarcEvidence) judge(ctx context.Context, domain string) (dmarcJudgement, error) {
	j := dmarcJudgement{domain: domain}
	tree := e.walker.walk(ctx, domain)
	if tree.err != nil && tree.own() == nil {
		return j, tree.err // which policy applies is not known
	}
	j.org, j.record = tree.organisation(), tree.policy()
	pending := e.align(ctx, &j, tree)
	if j.record == nil {
		j.result = "none"
		return j, nil
	}
	j.policy = e.choosePolicy(ctx, j)
	switch {
	case j.spf || j.dkim:
		j.result = "pass"
	case pending != nil:
		return j, pending
	case j.record.broken != "":
		j.result, j.why = "permerror", j.record.broken
	default:
		j.result = "fail"
	}
	return j, nil
}

// choosePolicy asks whether the name exists only where that matters; when the DNS does not say, the milder policy holds.
func (e *dmarcEvidence) choosePolicy(ctx context.Context, j dmarcJudgement) string {
	there, absent := j.record.policyFor(j.domain, true), j.record.policyFor(j.domain, false)
	if there == absent || j.spf || j.dkim {
		return there
	}
	exists, known := e.walker.exists(ctx, j.domain)
	order := []string{"none", "quarantine", "reject"}
	switch {
	case exists, !known && slices.Index(order, there) < slices.Index(order, absent):
		return there
	}
	return absent
}

func (j dmarcJudgement) symbol() string {
	switch j.result {
	case "pass":
		return "DMARC_PASS"
	case "none":
		return "DMARC_NO_RECORD"
	case "permerror":
		return "DMARC_PERMERROR"
	}
	switch j.policy {
	case "reject":
		return "DMARC_REJECT"
	case "quarantine":
		return "DMARC_QUARANTINE"
	}
	return "DMARC_NONE_FAIL"
}

func (j dmarcJudgement) outcome(e *dmarcEvidence) mail.Result {
	f := mail.Finding{
		Symbol:   j.symbol(),
		Evidence: []mail.Evidence{{Key: "domain", Value: j.domain}},
		Auth: &mail.AuthResult{
			Method: "dmarc", Result: j.result, Reason: j.why,
			Props: []mail.Evidence{{Key: "header.from", Value: j.domain}},
		},
	}
	if j.record != nil {
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "policy", Value: j.policy}, mail.Evidence{Key: "record", Value: "_dmarc." + j.record.domain})
		if j.result == "fail" {
			f.Auth.Reason = "policy " + j.policy
		}
	}
	f.Evidence = append(f.Evidence, mail.Evidence{Key: "spf", Value: e.spfWords(j)}, mail.Evidence{Key: "dkim", Value: e.dkimWords()})
	return mail.Result{Findings: []mail.Finding{f}, Facts: j.facts()}
}

func (j dmarcJudgement) facts() []mail.FactValue {
	return []mail.FactValue{
		{Name: "dmarc.result", Value: j.result},
		{Name: "dmarc.policy", Value: j.policy},
		{Name: "dmarc.domain", Value: j.domain},
		{Name: "dmarc.org_domain", Value: j.org},
		{Name: "dmarc.aligned_spf", Value: j.spf},
		{Name: "dmarc.aligned_dkim", Value: j.dkim},
	}
}
