package history

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// key hashes a kind of key and its text in lower case.
func key(kind byte, s string) uint64 {
	h := (uint64(14695981039346656037) ^ uint64(kind)) * 1099511628211
	h = (h ^ ':') * 1099511628211
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * 1099511628211
	}
	return mix(h)
}

// mix is the finaliser of splitmix64: FNV's high bits are weak.
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

// keys calls f for what the event can be found by; some come more than once.
func (e *Event) keys(f func(uint64)) {
	for _, id := range [...]string{e.ID, e.Ref, e.Conn} {
		if id != "" {
			f(key('t', Base(id)))
		}
	}
	addressKeys(e.From, f)
	addressKeys(e.HeaderFrom, f)
	for i := range e.Rcpts {
		addressKeys(e.Rcpts[i].Addr, f)
	}
	domainKeys(e.Host, f)
	if e.Client.IsValid() {
		f(key('i', e.Client.String()))
		f(key('n', network(e.Client).String()))
	}
	if m := trimID(e.MessageID); m != "" {
		f(key('m', m))
	}
	words(e.Subject, func(w string) { f(key('w', w)) })
}

func addressKeys(a string, f func(uint64)) {
	if a == "" {
		return
	}
	f(key('a', a))
	if at := strings.LastIndexByte(a, '@'); at >= 0 {
		domainKeys(a[at+1:], f)
	}
}

// domainKeys names the domain and those above it that have two labels or more.
func domainKeys(d string, f func(uint64)) {
	d = strings.TrimSuffix(d, ".")
	for d != "" {
		f(key('d', d))
		dot := strings.IndexByte(d, '.')
		if dot < 0 || !strings.Contains(d[dot+1:], ".") {
			return
		}
		d = d[dot+1:]
	}
}

// network is what one client usually has to himself: a /24 of IPv4, a /64 of IPv6.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // an address has that many bits
	return p
}

func trimID(m string) string { return strings.Trim(m, "<> \t") }

const maxWords = 256 // of one subject

// words cuts a text into what it is found by: words of letters and digits, and of scripts without spaces each pair of neighbours
// (a letter without neighbours is its own word).
func words(s string, f func(string)) {
	n := 0
	put := func(w string) {
		if n++; n <= maxWords {
			f(w)
		}
	}
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		var run int
		switch {
		case unspaced(r):
			run = runOf(s, unspaced)
			pairs(s[:run], put)
		case isWord(r):
			run = runOf(s, isWord)
			put(strings.ToLower(s[:run]))
		default:
			run = size
		}
		s = s[run:]
	}
}

// runOf returns how many octets at the beginning are letters of one sort.
func runOf(s string, is func(rune) bool) int {
	for i, r := range s {
		if !is(r) {
			return i
		}
	}
	return len(s)
}

func pairs(s string, put func(string)) {
	before := -1
	for i, r := range s {
		if before >= 0 {
			put(s[before : i+utf8.RuneLen(r)])
		}
		before = i
	}
	if before == 0 {
		put(s)
	}
}

func isWord(r rune) bool {
	return r != utf8.RuneError && !unspaced(r) && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func unspaced(r rune) bool {
	return r >= 0x0E00 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) || r == 'ー')
}
