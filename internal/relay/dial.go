package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"sekimori/internal/dns"
)

const timeConnect = 30 * time.Second // for all addresses of a host together

// dialer connects to a target. Names are asked of the resolver given, never of the system's.
type dialer struct {
	resolver dns.Resolver
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

func (d dialer) connect(ctx context.Context, t target, before time.Time) (net.Conn, error) {
	end := time.Now().Add(timeConnect)
	if before.Before(end) {
		end = before
	}
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	if t.network == "unix" {
		return d.dial(ctx, "unix", t.path)
	}
	addrs, err := d.resolve(ctx, t.host)
	if err != nil {
		return nil, err
	}
	var first error
	for i, a := range addrs {
		c, err := d.try(ctx, a, t.port, len(addrs)-i)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// try connects to one address with its share of the time that is left.
func (d dialer) try(ctx context.Context, a netip.Addr, port string, left int) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	return d.dial(ctx, "tcp", net.JoinHostPort(a.String(), port))
}

func (d dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if host == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	if d.resolver == nil {
		return nil, fmt.Errorf("%s cannot be resolved: there is no resolver", host)
	}
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	own := make([]netip.Addr, len(addrs)) // the resolver's may be shared
	for i, a := range addrs {
		own[i] = a.Unmap()
	}
	return own, nil
}
