package dns

import (
	"net/netip"
	"strings"

	miekg "github.com/miekg/dns"
)

// qname turns a name as callers have it (octets between dots; the macros of SPF put anything into them) into the form
// that miekg/dns takes: lower case, final dot, a backslash written as two. ok is false for what no query can carry: empty
// labels, labels over 63 octets, names over 255 in wire form (RFC 1035 section 3.1).
func qname(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return "", false
	}
	label, plain := 0, true
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '.':
			if label == 0 || label > 63 {
				return "", false
			}
			label = 0
			continue
		case c == '\\', c >= 'A' && c <= 'Z':
			plain = false
		}
		label++
	}
	if label == 0 || label > 63 || len(name)+2 > 255 {
		return "", false
	}
	if plain {
		return name + ".", true
	}
	return strings.ReplaceAll(lowerASCII(name), `\`, `\\`) + ".", true
}

// lowerASCII is strings.ToLower for ASCII only: other octets of a name are compared as they are (RFC 4343).
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// canonical brings a name from miekg/dns and one from qname to the same octets: those that miekg/dns writes for what
// stands on the wire.
func canonical(name string) string {
	if isPlain(name) {
		return lowerASCII(name)
	}
	var wire [256]byte
	end, err := miekg.PackDomainName(name, wire[:], 0, nil, false)
	if err != nil {
		return lowerASCII(name)
	}
	out, _, err := miekg.UnpackDomainName(wire[:end], 0)
	if err != nil {
		return lowerASCII(name)
	}
	return lowerASCII(out)
}

func isPlain(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// ReverseName returns the name below suffix under which an address is asked for, with the final dot: octets of IPv4 and
// nibbles of IPv6 in reverse (RFC 1035 section 3.5, RFC 3596 section 2.5, RFC 5782 section 2).
func ReverseName(addr netip.Addr, suffix string) string {
	const hex = "0123456789abcdef"
	addr = addr.Unmap()
	b := make([]byte, 0, 80+len(suffix))
	octets := addr.AsSlice()
	for i := len(octets) - 1; i >= 0; i-- {
		o := octets[i]
		if addr.Is6() {
			b = append(b, hex[o&15], '.', hex[o>>4], '.')
			continue
		}
		if o >= 100 {
			b = append(b, '0'+o/100)
		}
		if o >= 10 {
			b = append(b, '0'+o/10%10)
		}
		b = append(b, '0'+o%10, '.')
	}
	b = append(b, strings.Trim(suffix, ".")...)
	return string(append(b, '.'))
}

// arpa returns the name that holds the PTR records of an address.
func arpa(addr netip.Addr) string {
	if addr.Unmap().Is4() {
		return ReverseName(addr, "in-addr.arpa")
	}
	return ReverseName(addr, "ip6.arpa")
}
