package filters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

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
		{Name: "dkim.result", Type: mail.String, Stage: mail.Data, Values: []string{"pass", "temperror", "policy", "fail", "permerror", "none"}},
		{Name: "dkim.domains", Type: mail.Strings, Stage: mail.Data},
		{Name: "dkim.failed", Type: mail.Strings, Stage: mail.Data},
		{Name: "dkim.selectors", Type: mail.Strings, Stage: mail.Data},
		{Name: "dkim.algorithms", Type: mail.Strings, Stage: mail.Data},
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
	reason, _, _ := strings.Cut(text, ": ")
	return dkimAnswer{"fail", reason}
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
