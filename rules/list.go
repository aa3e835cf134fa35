package rules

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"sekimori/internal/mail"
)

// list is one plain-text list: addresses, domains and networks, looked up by hash and by prefix.
type list struct {
	name    string
	entries map[string]int       // address, "@domain" or ".domain" in lower case -> line
	nets    map[netip.Prefix]int // masked -> line
	bits    [2][]int             // prefix lengths in use, longest first, for IPv4 and IPv6
	base    string               // file name, for evidence

	group  mail.Address // whose members the list is, when it is one of the directory
	member func(group, a mail.Address) (bool, error)
	sum    uint64 // of what it was read from

	kind  listKind
	names []nameEntry  // of a list of names
	like  *resemblance // when resembles() asks it

	byName *nameIndex // of a list of names
}

// listKind says what may stand in a list.
type listKind int

const (
	anyEntries listKind = iota
	networksOnly
	addressesOnly
	namesOnly
)

// standardLists are the lists that the built-in rules ask. Each is a file NAME.txt in the rules directory that an
// administrator can just create.
var standardLists = []struct {
	name string
	kind listKind
}{
	{"allow_clients", networksOnly},
	{"deny_clients", networksOnly},
	{"allow_senders", addressesOnly},
	{"deny_senders", addressesOnly},
	{"allow_recipients", addressesOnly},
	{"deny_recipients", addressesOnly},
}

const (
	maxListSize    = 64 << 20
	maxListEntries = 1_000_000
)

func newList(name string) *list {
	return &list{name: name, entries: map[string]int{}, nets: map[netip.Prefix]int{}}
}

// parse reads the lines of a list file into l.
func (l *list) parse(f *file, kind listKind, d *diagnostics) {
	l.base, l.sum, l.kind = f.base, hashOf(f.data)+uint64(kind), kind
	if len(f.data) > maxListSize {
		d.errorf(f, -1, "the list is larger than 64 MiB")
		return
	}
	if !f.encoding(d) {
		return
	}
	off, n := 0, 0
	for line := range bytes.Lines(f.data) {
		n++
		text, _, _ := bytes.Cut(line, []byte("#"))
		entry := string(bytes.TrimSpace(text))
		start := off + max(bytes.IndexFunc(text, func(r rune) bool { return r > ' ' }), 0)
		off += len(line)
		if entry == "" {
			continue
		}
		if l.size() >= maxListEntries {
			d.errorf(f, start, "the list has more than %d entries", maxListEntries)
			return
		}
		if err := l.add(entry, n, kind); err != nil {
			d.errorf(f, start, "%q: %s", clip(entry, 80), err)
		}
	}
	l.index()
}

// add takes an entry: user@domain, @domain (that domain only; "domain" means the same), .domain (it and all below), an
// address or a network.
func (l *list) add(entry string, line int, kind listKind) error {
	if kind == namesOnly {
		return l.addName(entry, line)
	}
	if strings.ContainsAny(entry, " \t,;\"<>") {
		return errors.New("one entry a line, without names, quotes and brackets")
	}
	if p, err := parseNetwork(entry); err == nil {
		if kind == addressesOnly {
			return fmt.Errorf("lists.%s holds mail addresses and domains, no networks", l.name)
		}
		keep(l.nets, p, line)
		return nil
	} else if looksLikeNetwork(entry) {
		return err
	}
	key, err := entryKey(entry)
	if err != nil {
		return err
	}
	if kind == networksOnly {
		return fmt.Errorf("lists.%s holds IP addresses and networks; for mail addresses and domains there are the lists of senders and recipients", l.name)
	}
	keep(l.entries, key, line)
	return nil
}

func (l *list) size() int { return len(l.entries) + len(l.nets) + len(l.names) }

func keep[K comparable](m map[K]int, k K, line int) {
	if _, ok := m[k]; !ok {
		m[k] = line
	}
}

func entryKey(entry string) (string, error) {
	if local, _, ok := strings.Cut(entry, "@"); ok && local != "" {
		a, err := mail.ParseAddress(entry, true)
		if err != nil {
			return "", err
		}
		return a.Key(), nil
	}
	prefix, domain := "@", strings.TrimPrefix(entry, "@")
	if d, ok := strings.CutPrefix(strings.TrimPrefix(domain, "*"), "."); ok {
		prefix, domain = ".", d
	}
	d, err := mail.ParseDomain(domain)
	if err != nil {
		return "", errors.New("neither an address (user@example.jp), a domain (@example.jp, or .example.jp with all below it) nor a network (192.0.2.0/24)")
	}
	return prefix + d, nil
}

// parseNetwork reads an address or a network; bits below the mask must be zero, as they are often a typing error.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, errors.New("an address with a zone cannot be a network")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("not an IP address or a network such as 192.0.2.0/24")
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("the network has bits set below its mask; did you mean %q?", p.Masked().String())
	}
	return p, nil
}

func looksLikeNetwork(s string) bool {
	return strings.Trim(s, "0123456789./") == "" || strings.Count(s, ":") >= 2 || (strings.Contains(s, "/") && !strings.Contains(s, "@"))
}

// index notes which prefix lengths are in use, so that a look-up is one hash per length.
func (l *list) index() {
	if l.kind == namesOnly {
		l.byName = indexNames(l.names)
		return
	}
	var seen [2][129]bool
	l.bits = [2][]int{}
	for p := range l.nets {
		seen[family(p.Addr())][p.Bits()] = true
	}
	for fam := range seen {
		for b := 128; b >= 0; b-- {
			if seen[fam][b] {
				l.bits[fam] = append(l.bits[fam], b)
			}
		}
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// find looks up an IP address, a mail address or a domain, and returns where the entry stands.
func (l *list) find(s string) (line int, ok bool) {
	if l.kind == namesOnly {
		return l.byName.find(skeleton(clip(s, maxShaped)))
	}
	if len(l.nets) > 0 {
		if a, err := netip.ParseAddr(s); err == nil {
			return l.findAddr(a.Unmap().WithZone(""))
		}
	}
	if len(l.entries) == 0 || s == "" {
		return 0, false
	}
	s = strings.ToLower(s)
	domain := s
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		if line, ok := l.entries[s]; ok {
			return line, true
		}
		domain = s[at+1:]
	}
	if line, ok := l.entries["@"+domain]; ok {
		return line, true
	}
	for {
		if line, ok := l.entries["."+domain]; ok {
			return line, true
		}
		dot := strings.IndexByte(domain, '.')
		if dot < 0 {
			return 0, false
		}
		domain = domain[dot+1:]
	}
}

func (l *list) findAddr(a netip.Addr) (int, bool) {
	for _, b := range l.bits[family(a)] {
		p, err := a.Prefix(b)
		if err != nil {
			continue
		}
		if line, ok := l.nets[p]; ok {
			return line, true
		}
	}
	return 0, false
}

// clip cuts at a rune boundary.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
