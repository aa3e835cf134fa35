package filters

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"sekimori/internal/mail"
)

// heloResult is what rdns.helo says.
const (
	heloMatch        = "match"        // the name has the client's address
	heloRelated      = "related"      // it has not, but is of the organisation of the confirmed reverse name
	heloMismatch     = "mismatch"     // it has other addresses
	heloUnresolvable = "unresolvable" // it has none
	heloNotFQDN      = "not_fqdn"     // it is no name of the public DNS
	heloLiteral      = "literal"      // it is an address
	heloSelf         = "self"         // it is our own name or address
)

var heloResults = []string{heloMatch, heloRelated, heloMismatch, heloUnresolvable, heloNotFQDN, heloLiteral, heloSelf}

// helo judges the argument of HELO (RFC 5321 section 4.1.1.1: the name of the client, or its address in brackets when it
// has no name).
func (r *rdns) helo(ctx context.Context, s *mail.Session) (mail.Result, error) {
	name := hostKey(s.Helo)
	ev := []mail.Evidence{{Key: "helo", Value: s.Helo}, {Key: "ip", Value: s.Client.String()}}
	if literal, bracketed, ok := heloAddress(name); ok {
		return r.literal(s, literal, bracketed, ev), nil
	}
	switch {
	case slices.Contains(r.own, name):
		return heloFound(heloSelf, "RDNS_HELO_SELF", 1, ev), nil
	case !strings.Contains(name, ".") || !mail.IsHostname(name) || within(name, "localhost.localdomain"):
		return heloFound(heloNotFQDN, "RDNS_HELO_NOT_FQDN", 1, ev), nil
	case isPrivateName(name):
		// A server inside that was never told its name outside: careless, and common.
		return heloFound(heloNotFQDN, "RDNS_HELO_NOT_FQDN", 0.5, ev), nil
	}
	return r.heloName(ctx, s.Client, name, ev)
}

// literal: our own address is a lie, another than the client's doubles the weight, and so does one without brackets.
func (r *rdns) literal(s *mail.Session, literal netip.Addr, bracketed bool, ev []mail.Evidence) mail.Result {
	if local := s.Local.Addr().Unmap(); literal == local && local != s.Client {
		return heloFound(heloSelf, "RDNS_HELO_SELF", 1, ev)
	}
	weight := 1.0
	if !bracketed || literal != s.Client {
		weight = 2
	}
	return heloFound(heloLiteral, "RDNS_HELO_LITERAL", weight, ev)
}

func (r *rdns) heloName(ctx context.Context, client netip.Addr, name string, ev []mail.Evidence) (mail.Result, error) {
	addrs, err := r.dns.LookupNetIP(ctx, "ip", name)
	switch {
	case isNotFound(err):
		return heloFound(heloUnresolvable, "RDNS_HELO_UNRESOLVABLE", 1, ev), nil
	case err != nil:
		return mail.Result{}, err
	case slices.Contains(addrs, client):
		return heloFound(heloMatch, "", 0, nil), nil
	}
	rev, err := reverseOf(ctx, r.dns, client)
	if err != nil {
		return mail.Result{}, err
	}
	if rev.confirmed != "" && sameOrganisation(rev.confirmed, name) {
		return heloFound(heloRelated, "", 0, nil), nil
	}
	ev = append(ev, mail.Evidence{Key: "resolves_to", Value: addrs[0].String()})
	return heloFound(heloMismatch, "RDNS_HELO_MISMATCH", 1, ev), nil
}

func heloFound(result, symbol string, weight float64, ev []mail.Evidence) mail.Result {
	res := mail.Result{Facts: []mail.FactValue{{Name: "rdns.helo", Value: result}}}
	if symbol != "" {
		res.Findings = []mail.Finding{{Symbol: symbol, Weight: weight, Evidence: ev}}
	}
	return res
}

// heloAddress reads "[192.0.2.1]", "[IPv6:2001:db8::1]" and a bare address.
func heloAddress(s string) (addr netip.Addr, bracketed, ok bool) {
	in := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		in, bracketed = strings.TrimPrefix(s[1:len(s)-1], "ipv6:"), true
	}
	a, err := netip.ParseAddr(in)
	return a.Unmap(), bracketed, err == nil
}

// isPrivateName reports whether a name is below a domain that the public DNS does not have (RFC 6761, RFC 6762, RFC 8375,
// and those that are in use for it).
func isPrivateName(name string) bool {
	for _, top := range []string{"local", "localdomain", "lan", "internal", "intranet", "corp", "home", "invalid", "localhost", "home.arpa"} {
		if within(name, top) {
			return true
		}
	}
	return false
}

func sameOrganisation(a, b string) bool {
	x, err := publicsuffix.EffectiveTLDPlusOne(a)
	if err != nil {
		return false
	}
	y, err := publicsuffix.EffectiveTLDPlusOne(b)
	return err == nil && x == y
}
