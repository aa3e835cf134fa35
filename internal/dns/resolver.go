// Package dns asks the resolvers that the configuration names. It is the sole importer of miekg/dns.
package dns

import (
	"context"
	"net"
	"net/netip"
)

// Resolver is how everything of ours asks the DNS. Its methods have the shape of *net.Resolver. Errors are bare
// *net.DNSError values (the libraries for SPF and DKIM do not unwrap): IsNotFound for NXDOMAIN and for an empty answer,
// IsTemporary (and IsTimeout) when nobody could tell. Names may end in a dot or not; they are never subject to a search
// list. Safe for concurrent use. Returned slices are the caller's.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	// LookupNetIP asks for A ("ip4"), AAAA ("ip6") or both ("ip").
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	// LookupAddr returns the PTR names of an address, with the final dot.
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}
