package main

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/history"
)

const (
	mostPartner  = 200 // mails of a partner whose networks are looked at
	mostNetworks = 60
	mostRefused  = 20
	wideDays     = 14               // for networks that the index does not know: larger than /24, and of IPv6
	partnerTime  = 15 * time.Second // for looking, beside what other hosts take
	dnsTime      = 3 * time.Second
)

// network is one from which mail of a domain comes.
type network struct {
	Network netip.Prefix `json:"network"`
	From    string       `json:"from"` // mail: it has come from there; spf, mx: the domain names it
}

// partner looks for connections that were refused from the networks of the sender's domain: those from which mail of it has come, and
// those that it names in its SPF and MX records.
func (a *app) partner(in *inquiry, res *traceResult) {
	q := &res.Read.Query
	domain := whom(q)
	if domain == "" || ours(in.cfg, domain) && q.Sender == "" {
		return
	}
	res.Partner = domain
	ctx, cancel := context.WithTimeout(a.ctx, partnerTime)
	defer cancel()
	seen := in.ask(ctx, history.Ask{Query: history.Query{Sender: domain}, Most: mostPartner})
	nets := networks{}
	for _, e := range history.JoinEvents(seen[0]) {
		nets.addAddr(e.Client, "mail")
	}
	for _, n := range a.namedNetworks(in.cfg, domain) {
		nets.add(n.Network, n.From)
	}
	res.Networks = nets
	events := history.Story{}
	for _, parts := range in.ask(ctx, refusedFrom(q, domain, nets)...) {
		events.Add(history.JoinEvents(parts))
	}
	slices.Reverse(events.Events)
	res.Refused = events.Events[:min(len(events.Events), mostRefused)]
}

// refusedFrom asks for the connections that were refused from the networks, and from clients whose name is below the domain.
func refusedFrom(q *history.Query, domain string, nets networks) []history.Ask {
	kinds := []history.Kind{history.KindRefused, history.KindRcpt}
	asks := []history.Ask{{Query: history.Query{Domain: domain, Since: q.Since, Until: q.Until, Kinds: kinds}, Most: mostRefused}}
	var wide []netip.Prefix
	for _, n := range nets {
		if n.isWide() {
			wide = append(wide, n.Network)
		} else {
			asks = append(asks, history.Ask{Query: history.Query{Client: n.Network, Since: q.Since, Until: q.Until, Kinds: kinds}, Most: mostRefused})
		}
	}
	if len(wide) == 0 {
		return asks
	}
	since := time.Now().AddDate(0, 0, -wideDays)
	if q.Since.After(since) {
		since = q.Since
	}
	for _, k := range kinds {
		asks = append(asks, history.Ask{Query: history.Query{Nets: wide, Since: since, Until: q.Until, Kinds: []history.Kind{k}}, Most: mostRefused})
	}
	return asks
}

// isWide reports whether the index of the histories does not know the network.
func (n *network) isWide() bool { return !n.Network.Addr().Is4() || n.Network.Bits() < 24 }

// networks are different ones, at most mostNetworks.
type networks []network

// addAddr adds the network of an address: a /24 of IPv4, a /48 of IPv6.
func (n *networks) addAddr(a netip.Addr, from string) {
	a = a.Unmap().WithZone("")
	if a.IsValid() {
		n.add(netip.PrefixFrom(a, a.BitLen()), from)
	}
}

// add adds a network, one that is smaller as a /24 or /48.
func (n *networks) add(p netip.Prefix, from string) {
	bits := 48
	if p.Addr().Is4() {
		bits = 24
	}
	p = netip.PrefixFrom(p.Addr(), min(p.Bits(), bits)).Masked()
	if len(*n) < mostNetworks && !slices.ContainsFunc(*n, func(x network) bool { return x.Network == p }) {
		*n = append(*n, network{p, from})
	}
}

// namedNetworks asks DNS which networks a domain names. What does not answer in time is left out.
func (a *app) namedNetworks(cfg *config.Config, domain string) []network {
	client, err := dns.New(dns.Options{Servers: cfg.DNS.Servers, Timeout: min(cfg.DNS.Timeout.D(), dnsTime)})
	if err != nil {
		return nil
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(a.ctx, dnsTime)
	defer cancel()
	return domainNetworks(ctx, client, domain)
}
