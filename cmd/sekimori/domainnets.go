package main

import (
	"context"
	"net/netip"
	"strings"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

const mostTerms = 10 // look-ups that one SPF record may cause, RFC 7208 4.6.4

// domainNetworks returns the networks that a domain names in its SPF record and those of its MX hosts. It judges nothing: macros, exists
// and ptr, which name no network, are passed over, as is what DNS does not answer.
func domainNetworks(ctx context.Context, r dns.Resolver, domain string) []network {
	s := spfNets{r: r, seen: map[string]bool{}}
	s.record(ctx, domain)
	list := s.list
	for _, p := range s.mx(ctx, domain) {
		list.add(p, "mx")
	}
	return list
}

// spfNets gathers what an SPF record names.
type spfNets struct {
	r     dns.Resolver
	seen  map[string]bool // domains whose record was read
	terms int
	list  networks
}

func (s *spfNets) record(ctx context.Context, domain string) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if s.seen[domain] || len(s.seen) > mostTerms || strings.Contains(domain, "%") {
		return
	}
	s.seen[domain] = true
	if _, err := mail.ParseDomain(strings.ReplaceAll(domain, "_", "x")); err != nil { // _spf.example.jp is usual here
		return
	}
	texts, err := s.r.LookupTXT(ctx, domain)
	if err != nil {
		return
	}
	for _, t := range texts {
		if fields := strings.Fields(t); len(fields) > 0 && strings.EqualFold(fields[0], "v=spf1") {
			for _, f := range fields[1:] {
				s.term(ctx, domain, strings.ToLower(f))
			}
			return
		}
	}
}

// term takes one mechanism or modifier. Those that say whose mail it is not name no network of the domain.
func (s *spfNets) term(ctx context.Context, domain, term string) {
	if strings.HasPrefix(term, "-") {
		return
	}
	term = strings.TrimLeft(term, "+?~")
	name, value, _ := strings.Cut(term, ":")
	if host, ok := strings.CutPrefix(term, "redirect="); ok {
		s.record(ctx, host)
		return
	}
	switch name, bits, _ := strings.Cut(name, "/"); name {
	case "ip4", "ip6":
		s.network(value)
	case "include":
		s.record(ctx, value)
	case "a", "mx":
		if host, _, _ := strings.Cut(value, "/"); host != "" {
			domain = host
		}
		if s.terms++; s.terms > mostTerms || strings.Contains(domain, "%") || bits == "0" {
			return
		}
		list := s.addresses(ctx, domain)
		if name == "mx" {
			list = s.mx(ctx, domain)
		}
		for _, p := range list {
			s.list.add(p, "spf")
		}
	}
}

func (s *spfNets) network(value string) {
	p, err := netip.ParsePrefix(value)
	if a, aerr := netip.ParseAddr(value); aerr == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err == nil && p.Bits() >= 8 { // +all in other words names nobody's network
		s.list.add(p, "spf")
	}
}

// mx returns the addresses of the MX hosts of a domain.
func (s *spfNets) mx(ctx context.Context, domain string) []netip.Prefix {
	hosts, err := s.r.LookupMX(ctx, domain)
	if err != nil {
		return nil
	}
	var list []netip.Prefix
	for _, h := range hosts[:min(len(hosts), mostTerms)] {
		list = append(list, s.addresses(ctx, strings.TrimSuffix(h.Host, "."))...)
	}
	return list
}

func (s *spfNets) addresses(ctx context.Context, host string) []netip.Prefix {
	if host == "" {
		return nil
	}
	addrs, err := s.r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var list []netip.Prefix
	for _, ip := range addrs {
		ip = ip.Unmap().WithZone("")
		list = append(list, netip.PrefixFrom(ip, ip.BitLen()))
	}
	return list
}
