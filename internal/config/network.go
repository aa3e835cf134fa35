package config

import (
	"fmt"
	"net/netip"
)

// ParseNetwork reads a network such as 10.20.0.0/16 or 2001:db8::/32; a bare address is a network of one. Bits behind the
// prefix length are an error, because one of the two is then a slip.
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address or a network such as 10.20.0.0/16", s)
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network in IPv6 clothes: write it as IPv4", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length: %s is the network", s, p.Masked())
	}
	return p, nil
}
