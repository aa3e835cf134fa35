package filters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"blitiri.com.ar/go/spf"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

// spfSpec is the check of RFC 7208 for both identities of a mail: MAIL FROM (postmaster@helo for the null sender, section
// 2.4) and HELO (section 2.3). Its outcome holds one finding for each, with the result for Authentication-Results in
// smtp.mailfrom and smtp.helo.
var spfSpec = Spec{
	Name:   "spf",
	Stages: []mail.Stage{mail.Mail},
	Needs:  []string{"dns"},
	Symbols: []mail.Symbol{
		{Name: "SPF_PASS", Score: 0},
		{Name: "SPF_FAIL", Score: 2.5},
		{Name: "SPF_SOFTFAIL", Score: 1},
		{Name: "SPF_NEUTRAL", Score: 0.3},
		{Name: "SPF_NONE", Score: 0.5},
		{Name: "SPF_PERMERROR", Score: 1},
		{Name: "SPF_TEMPERROR", Score: 0},
		{Name: "SPF_HELO_PASS", Score: 0},
		{Name: "SPF_HELO_FAIL", Score: 2},
		{Name: "SPF_HELO_SOFTFAIL", Score: 0.5},
		{Name: "SPF_HELO_NEUTRAL", Score: 0},
		{Name: "SPF_HELO_NONE", Score: 0},
		{Name: "SPF_HELO_PERMERROR", Score: 0.3},
		{Name: "SPF_HELO_TEMPERROR", Score: 0},
	},
	Facts: []mail.Fact{
		{Name: "spf.result", Type: mail.String, Stage: mail.Mail, Values: spfResults},
		{Name: "spf.helo", Type: mail.String, Stage: mail.Mail, Values: spfResults},
		{Name: "spf.domain", Type: mail.String, Stage: mail.Mail},
	},
	New: newSPF,
}

var spfResults = []string{"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"}

// spfConfig is [filters.spf].
type spfConfig struct {
	// MaxQueries bounds the DNS queries for one identity. RFC 7208 section 4.6.4 bounds the terms that cause look-ups to
	// ten, but each mx or ptr of them may ask for ten more names.
	MaxQueries int `toml:"max_queries"`
}

func newSPF(_ context.Context, env Env) (Check, error) {
	c := spfConfig{MaxQueries: 60}
	if err := env.Config.Decode(&c); err != nil {
		return nil, err
	}
	if c.MaxQueries < 11 || c.MaxQueries > 250 {
		return nil, env.Config.Errorf("max_queries", "must be between 11 and 250, not %d", c.MaxQueries)
	}
	return &spfCheck{dns: env.DNS, maxQueries: int64(c.MaxQueries)}, nil
}

type spfCheck struct {
	dns        dns.Resolver
	maxQueries int64
}

// spfAnswer is the result for one identity.
type spfAnswer struct {
	identity string // local@domain, or the name given at HELO
	domain   string
	result   spf.Result
	why      string
	asked    bool // the DNS was needed
}

// Check implements [Check]. It fails only when nothing could be said of either identity.
func (c *spfCheck) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	if tx.Session.Trusted {
		return mail.Result{Skipped: "trusted client"}, nil
	}
	if tx.Session.Helo == "" && tx.From.IsNull() {
		return mail.Result{Skipped: "no sender, and the relay does not say the HELO"}, nil
	}
	ctx, cancel := withReserve(ctx)
	defer cancel()
	s := tx.Session
	heloSender := "postmaster@" + s.Helo
	sender, domain := heloSender, s.Helo
	if !tx.From.IsNull() && tx.From.Domain != "" {
		local := tx.From.Local
		if local == "" {
			local = "postmaster" // RFC 7208 section 4.3
		}
		sender, domain = local+"@"+tx.From.Domain, tx.From.Domain
	}
	var helo, from spfAnswer
	var wg sync.WaitGroup
	wg.Go(func() { helo = c.evaluate(ctx, s, heloSender, s.Helo) })
	if sender != heloSender {
		from = c.evaluate(ctx, s, sender, domain)
	}
	wg.Wait()
	if sender == heloSender {
		from = helo
	}
	from.identity, helo.identity = sender, s.Helo
	if from.result == spf.TempError && (helo.result == spf.TempError || !helo.asked) {
		return mail.Result{}, fmt.Errorf("%s: %s", from.domain, from.why)
	}
	return spfResult(tx, from, helo), nil
}

func spfResult(tx *mail.Transaction, from, helo spfAnswer) mail.Result {
	res := mail.Result{
		Findings: []mail.Finding{from.finding("SPF_", "smtp.mailfrom", tx), helo.finding("SPF_HELO_", "smtp.helo", tx)},
		Facts: []mail.FactValue{
			{Name: "spf.result", Value: string(from.result)},
			{Name: "spf.helo", Value: string(helo.result)},
			{Name: "spf.domain", Value: strings.ToLower(from.domain)},
		},
	}
	if helo.identity == "" { // a trusted relay did not say it: there is nothing that could have a result
		res.Findings = res.Findings[:1]
		res.Facts = slices.DeleteFunc(res.Facts, func(f mail.FactValue) bool { return f.Name == "spf.helo" })
	}
	for _, a := range []spfAnswer{from, helo} {
		if a.result == spf.TempError {
			res.Partial = append(res.Partial, a.domain+": "+a.why)
		}
	}
	return res
}

func (a spfAnswer) finding(prefix, prop string, tx *mail.Transaction) mail.Finding {
	f := mail.Finding{
		Symbol: prefix + strings.ToUpper(string(a.result)),
		Evidence: []mail.Evidence{
			{Key: "domain", Value: a.domain},
			{Key: "client", Value: tx.Session.Client.String()},
		},
		Auth: &mail.AuthResult{Method: "spf", Result: string(a.result), Props: []mail.Evidence{{Key: prop, Value: a.identity}}},
	}
	if a.why != "" {
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "why", Value: a.why})
		if a.result == spf.TempError || a.result == spf.PermError {
			f.Auth.Reason = a.why
		}
	}
	return f
}

// evaluate is check_host() of RFC 7208 section 4 for one identity.
func (c *spfCheck) evaluate(ctx context.Context, s *mail.Session, sender, domain string) (a spfAnswer) {
	a = spfAnswer{domain: domain, result: spf.None}
	// Section 4.3: an address literal or a single label has no policy; nothing is asked.
	if !strings.Contains(strings.TrimSuffix(domain, "."), ".") || strings.ContainsAny(domain, "[]:") {
		a.why = "not a domain name"
		return a
	}
	a.asked = true
	defer func() {
		if p := recover(); p != nil {
			a.result, a.why = spf.TempError, "internal error"
		}
	}()
	client := s.Client.Unmap().WithZone("")
	r := &spfResolver{Resolver: c.dns, v4: client.Is4()}
	r.left.Store(c.maxQueries)
	var err error
	a.result, err = spf.CheckHostWithSender(net.IP(client.AsSlice()), s.Helo, sender, spf.WithContext(ctx), spf.WithResolver(r))
	a.why = spfWhy(a.result, err)
	switch {
	case r.left.Load() < 0 && a.result != spf.Pass:
		// The number of queries is in the hand of who wrote the records: an excess is their error (section 4.6.4).
		a.result, a.why = spf.PermError, fmt.Sprintf("more than %d DNS queries", c.maxQueries)
	case ctx.Err() != nil && a.result != spf.Pass:
		// The library takes a ptr that could not be asked for one that does not match.
		a.result, a.why = spf.TempError, "timeout"
	}
	return a
}

func spfWhy(result spf.Result, err error) string {
	if err == nil || result == spf.None {
		return ""
	}
	return why(err)
}

// withReserve ends a little before ctx does, so that what is known by then can still be returned.
func withReserve(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-time.Until(end)/20))
}

// spfResolver counts queries and hands the library the error values that it knows: it does not unwrap.
type spfResolver struct {
	dns.Resolver
	v4   bool
	left atomic.Int64
}

// spend takes one query of the budget.
func (r *spfResolver) spend(name string) error {
	if r.left.Add(-1) < 0 {
		return &net.DNSError{Err: "too many queries", Name: name}
	}
	return nil
}

func (r *spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := r.spend(name); err != nil {
		return nil, err
	}
	txt, err := r.Resolver.LookupTXT(ctx, name)
	return txt, bareDNSError(name, err)
}

func (r *spfResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	if err := r.spend(name); err != nil {
		return nil, err
	}
	mx, err := r.Resolver.LookupMX(ctx, name)
	return mx, bareDNSError(name, err)
}

// LookupIPAddr asks for A only when the client has an IPv4 address: then nothing else can match (RFC 7208 section 5).
// For IPv6 both are asked for, because exists: means A (section 5.7) and the library does not say who asks.
func (r *spfResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	network := "ip"
	if r.v4 {
		network = "ip4"
	} else if err := r.spend(host); err != nil {
		return nil, err
	}
	if err := r.spend(host); err != nil {
		return nil, err
	}
	found, err := r.Resolver.LookupNetIP(ctx, network, host)
	addrs := make([]net.IPAddr, len(found))
	for i, a := range found {
		addrs[i].IP = net.IP(a.Unmap().AsSlice())
	}
	return addrs, bareDNSError(host, err)
}

func (r *spfResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if err := r.spend(addr); err != nil {
		return nil, err
	}
	names, err := r.Resolver.LookupAddr(ctx, addr)
	return names, bareDNSError(addr, err)
}

// bareDNSError gives a bare *net.DNSError, the only kind that the libraries for SPF and DKIM tell apart. What is no DNS
// error at all is temporary: it says nothing about the name.
func bareDNSError(name string, err error) error {
	if err == nil {
		return nil
	}
	var e *net.DNSError
	if errors.As(err, &e) {
		return e
	}
	return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
}
