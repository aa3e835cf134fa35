package mail

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// Address is a mailbox of the envelope (RFC 5321 section 4.1.2). The zero Address is the null reverse-path <>. Domain is
// lower case and in A-labels (RFC 5890), or an address literal in brackets; Local is as given.
type Address struct{ Local, Domain string }

// IsNull reports whether it is <>.
func (a Address) IsNull() bool { return a == Address{} }

// String gives local@domain without brackets, "" for the null reverse-path, and "postmaster" for the bare postmaster.
func (a Address) String() string {
	if a.Domain == "" {
		return a.Local
	}
	return a.Local + "@" + a.Domain
}

// Key is the address for look-ups: String in lower case. Local parts are compared without regard to case, as every
// mail server behind us does.
func (a Address) Key() string { return strings.ToLower(a.String()) }

// Mailbox is the address without what follows the first "+" of its local part (RFC 5233), in its spelling: whose mail it is, however
// a sender or its owner tags it. A local part that begins with "+" stays as it is.
func (a Address) Mailbox() Address {
	if i := strings.IndexByte(a.Local, '+'); i > 0 {
		a.Local = a.Local[:i]
	}
	return a
}

// MarshalText and UnmarshalText let an Address stand in JSON as its string. UnmarshalText trusts its input: it reads what
// MarshalText wrote.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (a *Address) UnmarshalText(b []byte) error {
	s := string(b)
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		a.Local, a.Domain = s[:i], s[i+1:]
	} else {
		*a = Address{Local: s}
	}
	return nil
}

// Errors of ParseAddress; each names the one thing that is wrong.
var (
	ErrAddrSyntax  = errors.New("not a mailbox of the form local@domain")
	ErrAddrQuoted  = errors.New("quoted local parts are not accepted")
	ErrAddrRouting = errors.New("percent and bang routing is not accepted")
	ErrAddrChars   = errors.New("the address holds characters that are not accepted")
	ErrAddrLong    = errors.New("the address is too long")
	ErrAddrDomain  = errors.New("the domain is not a host name")
	ErrAddrUTF8    = errors.New("the address is not in ASCII and SMTPUTF8 was not asked for")
)

// ParseAddress reads a mailbox strictly, because what passes here is written into commands, headers, logs and paths:
// a local part of atoms and dots (dots anywhere, as Japanese carriers hand out a..b@ and .a@), no quotes, no routing, no
// controls, at most 64 octets; a domain of letters, digits and hyphens, or U-labels that become A-labels, at most 253
// octets, or an address literal. A trailing dot of the domain is refused. utf8 allows UTF-8 in the local part (RFC 6531).
func ParseAddress(s string, utf8 bool) (Address, error) {
	if len(s) > 254+64 {
		return Address{}, ErrAddrLong
	}
	if strings.HasPrefix(s, `"`) {
		return Address{}, ErrAddrQuoted
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return Address{}, ErrAddrSyntax
	}
	local, domain := s[:at], s[at+1:]
	if err := checkLocal(local, utf8); err != nil {
		return Address{}, err
	}
	d, err := ParseDomain(domain)
	if err != nil {
		return Address{}, err
	}
	return Address{Local: local, Domain: d}, nil
}

func checkLocal(local string, utf8 bool) error {
	if len(local) > 64 {
		return ErrAddrLong
	}
	for _, r := range local {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case r == '%' || r == '!':
			return ErrAddrRouting
		case strings.ContainsRune("#$&'*+-/=?^_`{|}~.", r):
		case r == 0xFFFD, r >= 0x80 && r < 0xA0:
			return ErrAddrChars
		case r >= 0xA0:
			if !utf8 {
				return ErrAddrUTF8
			}
		default:
			return ErrAddrChars
		}
	}
	return nil
}

// ParseDomain checks a domain or address literal of an address and returns it lower case and in A-labels.
func ParseDomain(domain string) (string, error) {
	if strings.HasPrefix(domain, "[") {
		return parseLiteral(domain)
	}
	ascii := true
	for i := 0; i < len(domain); i++ {
		if domain[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if !ascii {
		a, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", ErrAddrDomain
		}
		domain = a
	}
	domain = strings.ToLower(domain)
	if !IsHostname(domain) {
		return "", ErrAddrDomain
	}
	return domain, nil
}

func parseLiteral(s string) (string, error) {
	if !strings.HasSuffix(s, "]") {
		return "", ErrAddrDomain
	}
	in := s[1 : len(s)-1]
	if len(in) >= 5 && strings.EqualFold(in[:5], "IPv6:") {
		in = in[5:]
		if a, err := netip.ParseAddr(in); err == nil && a.Is6() && a.Zone() == "" {
			return "[IPv6:" + a.String() + "]", nil
		}
		return "", ErrAddrDomain
	}
	if a, err := netip.ParseAddr(in); err == nil && a.Is4() {
		return "[" + a.String() + "]", nil
	}
	return "", ErrAddrDomain
}

// IsHostname reports whether s is a domain name of letters, digits, hyphens and underscores (which some hosts have
// against RFC 952), at most 253 octets with labels of 1 to 63, without a trailing dot.
func IsHostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
