package filters

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/publicsuffix"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

// dkimSpec is the check of RFC 6376 for every signature of a mail. Each has a finding with its own result for
// Authentication-Results; of several with one symbol each counts for its share, so that a mail passed on by many hands
// is not the worse for it.
var dkimSpec = Spec{
	Name:   "dkim",
	Stages: []mail.Stage{mail.Data},
	Needs:  []string{"dns"},
	Symbols: []mail.Symbol{
		{Name: "DKIM_PASS", Score: 0},
		{Name: "DKIM_FAIL", Score: 0.5},
		{Name: "DKIM_NONE", Score: 0.3},
		{Name: "DKIM_PERMERROR", Score: 0.3},
		{Name: "DKIM_TEMPERROR", Score: 0},
		{Name: "DKIM_WEAK", Score: 0.5},
		{Name: "DKIM_TESTING", Score: 0},
		{Name: "DKIM_TOO_COMPLEX", Score: 3},
		{Name: "DKIM_MULTI_FROM", Score: 2.5},
		{Name: "DKIM_PUBLIC_SUFFIX", Score: 2},
	},
	Facts: []mail.Fact{
		{Name: "dkim.result", Type: mail.String, Stage: mail.Data},
		{Name: "dkim.domains", Type: mail.Strings, Stage: mail.Data},
		{Name: "dkim.signatures", Type: mail.Int, Stage: mail.Data},
	},
	New: newDKIM,
}

func newDKIM(_ context.Context, env Env) (Check, error) {
	var none struct{}
	if err := env.Config.Decode(&none); err != nil {
		return nil, err
	}
	return &dkimCheck{dns: env.DNS, now: env.Now, busy: make(chan struct{}, runtime.GOMAXPROCS(0))}, nil
}

type dkimCheck struct {
	dns  dns.Resolver
	now  func() time.Time
	busy chan struct{} // one place for each message whose signatures are being computed
}

// Check implements [Check]. A key that could not be asked for makes that signature a temperror; the check itself fails
// only when the processor had no time for it.
func (c *dkimCheck) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	if tx.Message == nil {
		return mail.Result{Skipped: "no message"}, nil
	}
	m := readDKIM(tx.Message.Raw)
	answers := make([]dkimAnswer, len(m.sigs))
	if m.over == "" && len(m.sigs) > 0 {
		asking, cancel := withReserve(ctx)
		fetchKeys(asking, c.dns, m.sigs)
		cancel()
		select {
		case c.busy <- struct{}{}:
		case <-ctx.Done():
			return mail.Result{}, fmt.Errorf("no time to verify: %w", ctx.Err())
		}
		answers = m.verify(c.now())
		<-c.busy
	}
	return m.result(answers), nil
}

// verify judges every signature of a message that keeps to the bounds.
func (m *dkimMail) verify(now time.Time) []dkimAnswer {
	answers := make([]dkimAnswer, len(m.sigs))
	var library []*dkim.Verification
	if !slices.ContainsFunc(m.sigs, func(s *dkimSig) bool { return s.over != "" || s.key.unfit() != "" }) &&
		slices.ContainsFunc(m.sigs, func(s *dkimSig) bool { return !s.unlike() && s.key.err == nil }) {
		library = m.runLibrary()
	}
	for i, s := range m.sigs {
		switch {
		case s.over != "":
			answers[i] = dkimAnswer{"policy", s.over}
		case strings.EqualFold(s.algo, "rsa-sha1"):
			answers[i] = dkimAnswer{"policy", "rsa-sha1 is too weak"} // RFC 8301 section 3.1
		case s.key.err != nil:
			answers[i] = keyAnswer(s.key.err)
		case s.key.unfit() != "":
			answers[i] = dkimAnswer{"policy", s.key.unfit()}
		case i < len(library) && !s.unlike():
			answers[i] = m.libraryAnswer(s, library[i], now)
		default:
			answers[i] = m.verifyOwn(s, now)
		}
		answers[i] = s.flags(answers[i])
	}
	return answers
}

func keyAnswer(err error) dkimAnswer {
	var e *net.DNSError
	if errors.As(err, &e) && !e.Temporary() {
		if e.IsNotFound && e.Err != "d= is no domain name" {
			return dkimAnswer{"permerror", "no key"}
		}
		return dkimAnswer{"permerror", e.Err}
	}
	return dkimAnswer{"temperror", "key: " + why(err)}
}

// runLibrary lets go-msgauth verify all signatures, with the keys that were fetched. It returns nil when it gave up.
func (m *dkimMail) runLibrary() []*dkim.Verification {
	keys := map[string]*dkimKey{}
	for _, s := range m.sigs {
		keys[s.keyName()] = s.key
	}
	lookup := func(name string) ([]string, error) {
		k := keys[name]
		if k == nil || k.err != nil {
			return nil, &net.DNSError{Err: "no key", Name: name, IsNotFound: true}
		}
		return k.txt, nil
	}
	// A reader over bytes: with two signatures or more, a read error would leak goroutines.
	v, err := dkim.VerifyWithOptions(bytes.NewReader(m.raw), &dkim.VerifyOptions{LookupTXT: lookup, MaxVerifications: maxDKIMSignatures})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		return nil
	}
	return v
}

func (m *dkimMail) libraryAnswer(s *dkimSig, v *dkim.Verification, now time.Time) dkimAnswer {
	expires := s.expiry()
	switch {
	case v.Err == nil && !expires.IsZero() && now.After(expires):
		return dkimAnswer{"permerror", "signature has expired"}
	case v.Err == nil:
		return dkimAnswer{result: "pass"}
	}
	text := strings.TrimPrefix(v.Err.Error(), "dkim: ")
	if strings.Contains(text, "expired") && !expires.IsZero() && !now.After(expires) {
		return m.verifyOwn(s, now) // the library reads the clock itself
	}
	switch {
	case dkim.IsTempFail(v.Err):
		return dkimAnswer{"temperror", text}
	case dkim.IsPermFail(v.Err):
		return dkimAnswer{"permerror", text}
	}
	return dkimAnswer{"fail", text}
}

// flags applies t= of the key (RFC 6376 section 3.6.1): t=s wants i= in d= itself; with t=y a failure counts as no
// signature. A pass with t=y stays a pass: it is as hard to forge as any, and every large receiver counts it.
func (s *dkimSig) flags(a dkimAnswer) dkimAnswer {
	if s.key == nil {
		return a
	}
	if a.result == "pass" && s.key.strict && s.identityDomain() != s.domain {
		a = dkimAnswer{"permerror", "i= is below d=, which the key forbids"}
	}
	if s.key.testing && (a.result == "fail" || a.result == "permerror") {
		a = dkimAnswer{"neutral", "key in test mode: " + a.why}
	}
	return a
}

var dkimSymbols = map[string]string{
	"pass": "DKIM_PASS", "fail": "DKIM_FAIL", "permerror": "DKIM_PERMERROR", "temperror": "DKIM_TEMPERROR",
	"policy": "DKIM_WEAK", "neutral": "DKIM_TESTING",
}

// dkimBest orders the results from what says most for a mail: a key that could not be asked for might have been a pass.
var dkimBest = []string{"pass", "temperror", "policy", "fail", "permerror"}

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
	res.Facts = []mail.FactValue{
		{Name: "dkim.result", Value: best},
		{Name: "dkim.domains", Value: domains},
		{Name: "dkim.signatures", Value: len(m.sigs) + m.extra},
	}
	return res
}

func better(best, next string) string {
	rank := func(s string) int {
		if i := slices.Index(dkimBest, s); i >= 0 {
			return i
		}
		return len(dkimBest)
	}
	if rank(next) < rank(best) {
		return next
	}
	return best
}

func (m *dkimMail) finding(s *dkimSig, a dkimAnswer) mail.Finding {
	symbol := dkimSymbols[a.result]
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
