package filters

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

var rdnsSpec = Spec{
	Name:   "rdns",
	Stages: []mail.Stage{mail.Connect, mail.Helo},
	Symbols: []mail.Symbol{
		{Name: "RDNS_CONFIRMED"},
		{Name: "RDNS_NONE", Score: 2},
		{Name: "RDNS_UNCONFIRMED", Score: 1.5},
		{Name: "RDNS_GENERIC", Score: 1.5},
		{Name: "RDNS_HELO_SELF", Score: 5},
		{Name: "RDNS_HELO_LITERAL", Score: 1.5},
		{Name: "RDNS_HELO_NOT_FQDN", Score: 1},
		{Name: "RDNS_HELO_UNRESOLVABLE", Score: 1},
		{Name: "RDNS_HELO_MISMATCH", Score: 0.5},
	},
	Facts: []mail.Fact{
		{Name: "rdns.result", Type: mail.String, Stage: mail.Connect, Values: []string{"pass", "unconfirmed", "none"}},
		{Name: "rdns.name", Type: mail.String, Stage: mail.Connect},
		{Name: "rdns.domain", Type: mail.String, Stage: mail.Connect},
		{Name: "rdns.generic", Type: mail.Bool, Stage: mail.Connect},
		{Name: "rdns.helo", Type: mail.String, Stage: mail.Helo, Values: heloResults},
	},
	Needs: []string{"dns"},
	New:   newRDNS,
}

// maxPTR is how many names of one address are looked at, as in RFC 7208 section 4.6.4.
const maxPTR = 10

// rdnsConfig is [filters.rdns].
type rdnsConfig struct {
	OwnNames   []string `toml:"own_names"`   // names that nobody but us may say in HELO, beside our host name
	Generic    []string `toml:"generic"`     // domains below which every name is generic
	NotGeneric []string `toml:"not_generic"` // domains below which none is
}

// rdns looks at the name of the client's address (connect) and at what it says in HELO (helo).
type rdns struct {
	dns   dns.Resolver
	own   []string
	names genericNames
}

func newRDNS(_ context.Context, env Env) (Check, error) {
	var cfg rdnsConfig
	if err := env.Config.Decode(&cfg); err != nil {
		return nil, err
	}
	own := []string{}
	for _, n := range append(cfg.OwnNames, env.Hostname) {
		if n = hostKey(n); n != "" && n != "localhost" {
			own = append(own, n)
		}
	}
	return &rdns{dns: env.DNS, own: own, names: genericNames{more: hostKeys(cfg.Generic), not: hostKeys(cfg.NotGeneric)}}, nil
}

// Check implements Check. Private addresses have no names that mean anything to us.
func (r *rdns) Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error) {
	if !isPublic(tx.Session.Client) {
		return mail.Result{Skipped: "private address"}, nil
	}
	if tx.Stage == mail.Helo {
		return r.helo(ctx, tx.Session)
	}
	return r.connect(ctx, tx.Session.Client)
}

// isPublic reports whether an address can belong to somebody on the internet.
func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

func (r *rdns) connect(ctx context.Context, client netip.Addr) (mail.Result, error) {
	rev, err := reverseOf(ctx, r.dns, client)
	if err != nil {
		return mail.Result{}, err
	}
	f := mail.Finding{Auth: &mail.AuthResult{Method: "iprev", Props: []mail.Evidence{{Key: "policy.iprev", Value: client.String()}}}}
	f.Evidence = []mail.Evidence{{Key: "ip", Value: client.String()}}
	result := "none"
	// The results are those of RFC 8601 section 2.7.3: no PTR record at all is "permerror".
	switch {
	case len(rev.names) == 0:
		f.Symbol, f.Auth.Result = "RDNS_NONE", "permerror"
	case rev.confirmed == "":
		result = "unconfirmed"
		f.Symbol, f.Auth.Result = "RDNS_UNCONFIRMED", "fail"
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "name", Value: rev.names[0]})
	default:
		result = "pass"
		f.Symbol, f.Auth.Result = "RDNS_CONFIRMED", "pass"
		f.Evidence = append(f.Evidence, mail.Evidence{Key: "name", Value: rev.confirmed})
	}
	res := mail.Result{Findings: []mail.Finding{f}}
	pattern := r.generic(rev, client)
	if pattern != "" {
		res.Findings = append(res.Findings, mail.Finding{Symbol: "RDNS_GENERIC", Evidence: []mail.Evidence{
			{Key: "name", Value: rev.best()}, {Key: "pattern", Value: pattern},
		}})
	}
	res.Facts = []mail.FactValue{
		{Name: "rdns.result", Value: result},
		// Only a confirmed name: the other is whatever the owner of the address wants to be taken for.
		{Name: "rdns.name", Value: rev.confirmed},
		{Name: "rdns.domain", Value: ownDomain(rev.confirmed, pattern != "")},
		{Name: "rdns.generic", Value: pattern != ""},
	}
	return res, nil
}

// ownDomain returns the domain that somebody registered of a confirmed name, "" when the name is one of a pool.
func ownDomain(name string, generic bool) string {
	if name == "" || generic {
		return ""
	}
	d, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(strings.TrimSuffix(name, ".")))
	if err != nil {
		return ""
	}
	return d
}

// generic says by what pattern the names are generic, "" when one of them is not.
func (r *rdns) generic(rev reverse, client netip.Addr) string {
	names := rev.names
	if rev.confirmed != "" {
		names = []string{rev.confirmed}
	}
	pattern := ""
	for _, n := range names {
		p := r.names.pattern(n, client)
		if p == "" {
			return ""
		}
		if pattern == "" {
			pattern = p
		}
	}
	return pattern
}

// reverse is what the DNS says of an address: its names, sorted, and the first of them that leads back to it.
type reverse struct {
	names     []string
	confirmed string
}

func (r reverse) best() string {
	if r.confirmed != "" {
		return r.confirmed
	}
	return r.names[0]
}

// reverseOf looks up the names of an address and confirms them forward. An error means that nobody could tell: a
// temporary failure, unless some name is confirmed without it.
func reverseOf(ctx context.Context, res dns.Resolver, client netip.Addr) (reverse, error) {
	names, err := res.LookupAddr(ctx, client.String())
	if isNotFound(err) {
		return reverse{}, nil
	}
	if err != nil {
		return reverse{}, err
	}
	for i, n := range names {
		names[i] = hostKey(n)
	}
	// Resolvers rotate the records; the result must not depend on it.
	slices.Sort(names)
	names = slices.Compact(names)
	names = names[:min(len(names), maxPTR)]
	points, errs := make([]bool, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for i, n := range names {
		if i == len(names)-1 {
			points[i], errs[i] = pointsTo(ctx, res, n, client)
			break
		}
		wg.Go(func() { points[i], errs[i] = pointsTo(ctx, res, n, client) })
	}
	wg.Wait()
	if i := slices.Index(points, true); i >= 0 {
		return reverse{names: names, confirmed: names[i]}, nil
	}
	for _, err := range errs {
		if err != nil {
			return reverse{}, err
		}
	}
	return reverse{names: names}, nil
}

// pointsTo reports whether a name has the address.
func pointsTo(ctx context.Context, res dns.Resolver, name string, addr netip.Addr) (bool, error) {
	network := "ip4"
	if addr.Is6() {
		network = "ip6"
	}
	addrs, err := res.LookupNetIP(ctx, network, name)
	if isNotFound(err) {
		return false, nil
	}
	return slices.Contains(addrs, addr), err
}

func isNotFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// hostKey is a host name as it is compared: lower case, no final dot.
func hostKey(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func hostKeys(names []string) []string {
	keys := make([]string, len(names))
	for i, n := range names {
		keys[i] = strings.Trim(hostKey(n), ".")
	}
	return keys
}

// within reports whether a name is a domain or below it.
func within(name, domain string) bool {
	return name == domain || len(name) > len(domain) && strings.HasSuffix(name, domain) && name[len(name)-len(domain)-1] == '.'
}
