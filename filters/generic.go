package filters

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/publicsuffix"
)

// genericNames tells the reverse names that providers make by the thousand from those that somebody gave to a server.
type genericNames struct{ more, not []string }

// accessDomains are domains of access networks in which a provider names every line itself; mail servers there have
// names of their own or use the provider's relay. Japan's first: they are what a Japanese site sees of its neighbours.
var accessDomains = [...]string{
	"ap.so-net.ne.jp", "ap.nuro.jp", "ap.plala.or.jp", "mesh.ad.jp", "bbtec.net", "ppp-bb.dion.ne.jp", "au-net.ne.jp",
	"rev.zaq.ne.jp", "rev.home.ne.jp", "ppp.infoweb.ne.jp", "ppp.asahi-net.or.jp", "dy.bbexcite.jp", "rev.vmobile.jp",
	"vmobile.jp", "iijmobile.jp", "spmode.ne.jp", "openmobile.ne.jp", "panda-world.ne.jp", "access-internet.ne.jp",
	"v4.enabler.ne.jp", "transix.jp", "ipv4.home.ne.jp", "ppp.prin.ne.jp", "nv.mvno.ne.jp", "ap.gmo-access.jp",
	"dynamic.hinet.net", "dynamic-ip.hinet.net", "hsd1.comcast.net", "res.rr.com", "res.spectrum.com",
	"dip0.t-ipconnect.de", "dyn.telefonica.de", "abo.wanadoo.fr", "pool.telefonica.de", "dynamic.ttnet.com.tr",
}

// ocnLines are the beginnings of the second part of OCN's line names, such as p1234567-ipngn100101osakachuo.osaka.ocn.ne.jp.
var ocnLines = [...]string{"ipngn", "ipbf", "ipad", "ipoe", "ipxg", "omed", "ipf"}

// dynamicWords say by themselves that a line is dynamic; lineWords do when the name has digits of the address as well.
var (
	dynamicWords = [...]string{"dyn", "dynamic", "dynip", "dhcp", "dialup", "dialin", "dial", "ppp", "pppoe", "adsl", "vdsl", "xdsl", "dsl", "dyndsl", "dynamicip"}
	lineWords    = [...]string{
		"pool", "pools", "cable", "catv", "cpe", "cust", "customer", "client", "clients", "broadband", "ftth", "fiber", "fibre", "flets",
		"user", "users", "home", "hsd", "res", "residential", "mobile", "wireless", "lte", "nat", "cgn", "static", "host", "ip", "rev",
	}
	mailWords = [...]string{"mail", "smtp", "mta", "mx", "relay", "outbound", "bounce", "mailer", "newsletter", "email"}
)

// pattern says why a name is generic: "provider", "dynamic" or "address"; "" when it is not.
func (g genericNames) pattern(name string, addr netip.Addr) string {
	for _, d := range g.not {
		if within(name, d) {
			return ""
		}
	}
	for _, d := range g.more {
		if within(name, d) {
			return "provider"
		}
	}
	if isAccessName(name) {
		return "provider"
	}
	host := hostPart(name)
	if host == "" {
		return ""
	}
	words := strings.FieldsFunc(host, func(r rune) bool { return !unicode.IsLetter(r) })
	match := octetsIn(host, addr)
	switch {
	case hasWord(words, dynamicWords[:]):
		return "dynamic"
	case match >= 2 && hasWord(words, lineWords[:]):
		return "address"
	case match >= 3 && !hasWord(words, mailWords[:]):
		// Bulk mailers name their servers by address as well, but say that it is mail.
		return "address"
	}
	return ""
}

func isAccessName(name string) bool {
	for _, d := range accessDomains {
		if len(name) > len(d) && within(name, d) {
			return true
		}
	}
	if !within(name, "ocn.ne.jp") {
		return false
	}
	first, _, _ := strings.Cut(name, ".")
	_, line, _ := strings.Cut(first, "-")
	return slices.ContainsFunc(ocnLines[:], func(p string) bool { return strings.HasPrefix(line, p) })
}

// hostPart is the name without the registrable domain. Of the public suffix list only the part of the registries counts:
// below the suffixes that clouds have put there the names are as generic as anywhere.
func hostPart(name string) string {
	suffix, icann := publicsuffix.PublicSuffix(name)
	for !icann && strings.Contains(suffix, ".") {
		_, rest, _ := strings.Cut(suffix, ".")
		suffix, icann = publicsuffix.PublicSuffix(rest)
	}
	rest, ok := strings.CutSuffix(name, "."+suffix)
	i := strings.LastIndexByte(rest, '.')
	if !ok || i < 0 {
		return ""
	}
	return rest[:i]
}

func hasWord(words, list []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
}

// octetsIn counts how much of an address a host part spells out: how many neighbouring octets of an IPv4 address, in
// either order, with or without leading zeros; 4 when it holds the whole address in hexadecimal, as digits run
// together, or at least 12 nibbles of an IPv6 address.
func octetsIn(host string, addr netip.Addr) int {
	if addr.Is6() {
		return nibblesIn(host, addr)
	}
	o := addr.As4()
	if strings.Contains(host, hex.EncodeToString(o[:])) || strings.Contains(host, fmt.Sprintf("%03d%03d%03d%03d", o[0], o[1], o[2], o[3])) {
		return 4
	}
	numbers := strings.FieldsFunc(host, func(r rune) bool { return r < '0' || r > '9' })
	back := [4]byte{o[3], o[2], o[1], o[0]}
	return max(longestRun(numbers, o), longestRun(numbers, back))
}

// longestRun returns how many octets in a row stand among the numbers in a row.
func longestRun(numbers []string, octets [4]byte) int {
	best := 0
	for i := range numbers {
		for j := range octets {
			n := 0
			for i+n < len(numbers) && j+n < 4 && isOctet(numbers[i+n], octets[j+n]) {
				n++
			}
			best = max(best, n)
		}
	}
	return best
}

func isOctet(digits string, octet byte) bool {
	if len(digits) > 3 {
		return false
	}
	n := 0
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n == int(octet)
}

func nibblesIn(host string, addr netip.Addr) int {
	const enough = 12
	a := addr.As16()
	all := hex.EncodeToString(a[:])
	plain := strings.NewReplacer("-", "", ".", "", ":", "").Replace(host)
	for i := 0; i+enough <= len(all); i++ {
		if part := all[i : i+enough]; strings.Trim(part, "0") != "" && strings.Contains(plain, part) {
			return 4
		}
	}
	return 0
}
