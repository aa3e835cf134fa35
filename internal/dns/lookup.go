package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"sekimori/internal/mail"
)

// answer is what one question for one type came to, with CNAMEs followed. It is shared by all who asked and is never
// changed; the look-ups copy out of it.
type answer struct {
	addrs []netip.Addr
	texts []string
	names []string // PTR, with the final dot
	mx    []net.MX
}

func (a *answer) empty() bool {
	return len(a.addrs) == 0 && len(a.texts) == 0 && len(a.names) == 0 && len(a.mx) == 0
}

// add takes over one resource record of the wanted type. Host names that are none are left out, as net.Resolver does:
// what PTR and MX records hold is written into logs and asked for again.
func (a *answer) add(rr miekg.RR) {
	switch rr := rr.(type) {
	case *miekg.A:
		if addr, ok := netip.AddrFromSlice(rr.A); ok {
			a.addrs = append(a.addrs, addr.Unmap())
		}
	case *miekg.AAAA:
		if addr, ok := netip.AddrFromSlice(rr.AAAA); ok {
			a.addrs = append(a.addrs, addr)
		}
	case *miekg.TXT:
		a.texts = append(a.texts, joinTXT(rr.Txt))
	case *miekg.PTR:
		if mail.IsHostname(strings.TrimSuffix(rr.Ptr, ".")) {
			a.names = append(a.names, rr.Ptr)
		}
	case *miekg.MX:
		// "." is the null MX of RFC 7505 and must reach the caller.
		if rr.Mx == "." || mail.IsHostname(strings.TrimSuffix(rr.Mx, ".")) {
			a.mx = append(a.mx, net.MX{Host: rr.Mx, Pref: rr.Preference})
		}
	}
}

// joinTXT puts the strings of one record together without a space (RFC 7208 section 3.3, RFC 6376 section 3.6.2.2) and
// resolves the escapes that miekg/dns writes.
func joinTXT(parts []string) string {
	s := strings.Join(parts, "")
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		if n, ok := threeDigits(s[i+1:]); ok {
			out = append(out, n)
			i += 3
			continue
		}
		i++
		out = append(out, s[i])
	}
	return string(out)
}

func threeDigits(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return byte(n), n < 256
}

// asker answers one question. The name is in the form of qname. The error is a bare *net.DNSError.
type asker interface {
	ask(ctx context.Context, name string, qtype uint16) (*answer, error)
}

// lookups gives an asker the methods of Resolver.
type lookups struct{ asker }

func (l lookups) question(ctx context.Context, name string, qtype uint16) (*answer, error) {
	q, ok := qname(name)
	if !ok {
		return nil, notFound(name)
	}
	a, err := l.ask(ctx, q, qtype)
	if err != nil {
		return nil, named(err, name)
	}
	if a.empty() {
		return nil, notFound(name)
	}
	return a, nil
}

// LookupTXT implements Resolver.
func (l lookups) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := l.question(ctx, name, miekg.TypeTXT)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.texts), nil
}

// LookupMX implements Resolver. The order is that of preference.
func (l lookups) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := l.question(ctx, name, miekg.TypeMX)
	if err != nil {
		return nil, err
	}
	mx := make([]*net.MX, len(a.mx))
	for i := range a.mx {
		m := a.mx[i]
		mx[i] = &m
	}
	slices.SortStableFunc(mx, func(x, y *net.MX) int { return int(x.Pref) - int(y.Pref) })
	return mx, nil
}

// LookupIPAddr implements Resolver.
func (l lookups) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	addrs, err := l.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	ips := make([]net.IPAddr, len(addrs))
	for i, a := range addrs {
		ips[i] = net.IPAddr{IP: a.AsSlice()}
	}
	return ips, nil
}

// LookupNetIP implements Resolver. With "ip" one family that answers is enough; the other's error is told only when
// there is no address at all, and a temporary one before "not found", because then nobody could tell.
func (l lookups) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	switch network {
	case "ip4":
		a, err := l.question(ctx, host, miekg.TypeA)
		if err != nil {
			return nil, err
		}
		return slices.Clone(a.addrs), nil
	case "ip6":
		a, err := l.question(ctx, host, miekg.TypeAAAA)
		if err != nil {
			return nil, err
		}
		return slices.Clone(a.addrs), nil
	}
	return l.bothFamilies(ctx, host)
}

func (l lookups) bothFamilies(ctx context.Context, host string) ([]netip.Addr, error) {
	type reply struct {
		a   *answer
		err error
	}
	six := make(chan reply, 1)
	go func() {
		a, err := l.question(ctx, host, miekg.TypeAAAA)
		six <- reply{a, err}
	}()
	a4, err4 := l.question(ctx, host, miekg.TypeA)
	r6 := <-six
	var addrs []netip.Addr
	if err4 == nil {
		addrs = append(addrs, a4.addrs...)
	}
	if r6.err == nil {
		addrs = append(addrs, r6.a.addrs...)
	}
	switch {
	case len(addrs) > 0:
		return addrs, nil
	case isTemporary(r6.err) && !isTemporary(err4):
		return nil, r6.err
	}
	return nil, err4
}

// LookupAddr implements Resolver.
func (l lookups) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, notFound(addr)
	}
	a, err := l.question(ctx, arpa(ip), miekg.TypePTR)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.names), nil
}
