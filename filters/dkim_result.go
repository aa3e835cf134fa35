package filters

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"sekimori/internal/mail"
)

// dkimSymbol is the symbol for a result of RFC 8601 section 2.7.1.
func dkimSymbol(result string) string {
	switch result {
	case "policy":
		return "DKIM_WEAK"
	case "neutral":
		return "DKIM_TESTING"
	}
	return "DKIM_" + strings.ToUpper(result)
}

func (m *dkimMail) result(answers []dkimAnswer) mail.Result {
	var res mail.Result
	best, domains := "none", []string{}
	if m.over != "" && len(m.sigs) > 0 {
		best = "policy"
		res.Findings = append(res.Findings, m.tooComplex(m.over, &res, "policy"))
	}
	for i, s := range m.sigs {
		if m.over != "" {
			break
		}
		a := answers[i]
		res.Findings = append(res.Findings, m.finding(s, a))
		if a.result == "temperror" {
			res.Partial = append(res.Partial, s.keyName()+": "+strings.TrimPrefix(a.why, "key: "))
		}
		if s.over != "" {
			res.Partial = append(res.Partial, "signature of "+s.domain+": "+s.over)
		}
		if a.result == "pass" && !slices.Contains(domains, s.domain) {
			domains = append(domains, s.domain)
		}
		best = better(best, a.result)
	}
	shareWeights(res.Findings)
	if m.extra > 0 {
		res.Findings = append(res.Findings, m.tooComplex(fmt.Sprintf("%d signatures, of which %d were verified", maxDKIMSignatures+m.extra, maxDKIMSignatures), &res, ""))
	}
	res.Findings = append(res.Findings, m.notes(domains)...)
	if len(m.sigs) == 0 {
		res.Findings = append(res.Findings, mail.Finding{Symbol: "DKIM_NONE", Auth: &mail.AuthResult{Method: "dkim", Result: "none"}})
	}
	slices.Sort(domains)
	failed, selectors, algorithms := m.details(answers)
	res.Facts = []mail.FactValue{
		{Name: "dkim.result", Value: best},
		{Name: "dkim.domains", Value: domains},
		{Name: "dkim.failed", Value: failed},
		{Name: "dkim.selectors", Value: selectors},
		{Name: "dkim.algorithms", Value: algorithms},
		{Name: "dkim.signatures", Value: len(m.sigs) + m.extra},
	}
	return res
}

// details are the domains of signatures that do not hold, and of all signatures the selectors and algorithms; each sorted.
func (m *dkimMail) details(answers []dkimAnswer) (failed, selectors, algorithms []string) {
	failed, selectors, algorithms = []string{}, []string{}, []string{}
	for i, s := range m.sigs {
		selectors, algorithms = append(selectors, s.selector), append(algorithms, strings.ToLower(s.algo))
		if r := answers[i].result; r == "fail" || r == "permerror" || r == "policy" {
			failed = append(failed, s.domain)
		}
	}
	for _, list := range []*[]string{&failed, &selectors, &algorithms} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return failed, selectors, algorithms
}

// better returns the result that says more for a mail: a key that could not be asked for might have been a pass.
func better(best, next string) string {
	order := []string{"pass", "temperror", "policy", "fail", "permerror"}
	rank := func(s string) int {
		if i := slices.Index(order, s); i >= 0 {
			return i
		}
		return len(order)
	}
	if rank(next) < rank(best) {
		return next
	}
	return best
}

func (m *dkimMail) finding(s *dkimSig, a dkimAnswer) mail.Finding {
	symbol := dkimSymbol(a.result)
	if s.over != "" {
		symbol = "DKIM_TOO_COMPLEX"
	}
	f := mail.Finding{Symbol: symbol, Evidence: []mail.Evidence{
		{Key: "domain", Value: s.domain}, {Key: "selector", Value: s.selector}, {Key: "algorithm", Value: s.algo},
	}}
	if s.key != nil && s.key.bits > 0 {
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "bits", Value: strconv.Itoa(s.key.bits)})
	}
	if s.key != nil && s.key.testing {
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "key", Value: "testing"})
	}
	if a.why != "" {
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "why", Value: a.why})
	}
	f.Auth = &mail.AuthResult{Method: "dkim", Result: a.result, Reason: a.why, Props: []mail.Evidence{
		{Key: "header.d", Value: s.domain}, {Key: "header.s", Value: s.selector}, {Key: "header.b", Value: m.shortB(s)},
	}}
	return f
}

// shortB is the start of b=, eight characters or as many as tell it from the other signatures (RFC 6008 section 4).
func (m *dkimMail) shortB(s *dkimSig) string {
	for n := 8; n < len(s.b); n++ {
		if !slices.ContainsFunc(m.sigs, func(o *dkimSig) bool { return o != s && o.b != s.b && strings.HasPrefix(o.b, s.b[:n]) }) {
			return s.b[:n]
		}
	}
	return s.b
}

// tooComplex says that signatures were not verified, to the rules and to the reader of the verdict.
func (m *dkimMail) tooComplex(what string, res *mail.Result, result string) mail.Finding {
	res.Partial = append(res.Partial, what)
	f := mail.Finding{Symbol: "DKIM_TOO_COMPLEX", Evidence: []mail.Evidence{{Key: "why", Value: what}}}
	if result != "" {
		f.Auth = &mail.AuthResult{Method: "dkim", Result: result, Reason: what}
	}
	return f
}

// notes are what stands beside valid signatures: a domain below which everybody lives, and a From that is not signed.
func (m *dkimMail) notes(passed []string) []mail.Finding {
	var notes []mail.Finding
	for _, d := range passed {
		if suffix, icann := publicsuffix.PublicSuffix(d); suffix == d && (icann || !strings.Contains(d, ".")) {
			notes = append(notes, mail.Finding{Symbol: "DKIM_PUBLIC_SUFFIX", Evidence: []mail.Evidence{{Key: "domain", Value: d}}})
		}
	}
	if m.froms > 1 && len(m.sigs) > 0 {
		notes = append(notes, mail.Finding{Symbol: "DKIM_MULTI_FROM", Evidence: []mail.Evidence{{Key: "count", Value: strconv.Itoa(m.froms)}}})
	}
	return notes
}

// shareWeights makes several findings of one symbol count as one.
func shareWeights(findings []mail.Finding) {
	count := map[string]int{}
	for _, f := range findings {
		count[f.Symbol]++
	}
	for i := range findings {
		if n := cmp.Or(count[findings[i].Symbol], 1); n > 1 {
			findings[i].Weight = 1 / float64(n)
		}
	}
}
