package filters

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// dnsblConfig is [filters.dnsbl].
type dnsblConfig struct {
	Timeout config.Duration `toml:"timeout"` // of one look-up; default 3s
	Lists   []listConfig    `toml:"list"`
}

// listConfig is [[filters.dnsbl.list]].
type listConfig struct {
	Zone    string             `toml:"zone"`     // {key} stands for the content of key_file
	Name    string             `toml:"name"`     // how people see it; default: the zone without the key
	KeyFile string             `toml:"key_file"` // never shown
	Score   float64            `toml:"score"`    // points for any code that is not in Codes
	Codes   map[string]float64 `toml:"codes"`    // points by return code, see parseCode
	Allow   bool               `toml:"allow"`    // a list of good senders: its points are taken off
	IPv6    *bool              `toml:"ipv6"`     // false: asked for IPv4 addresses only; default true
	Test    *bool              `toml:"test"`     // false: it has not the test points of RFC 5782; default true
	Text    bool               `toml:"text"`     // ask for the reason (TXT) of a listing as well
}

// listSettings is a listConfig as checked.
type listSettings struct {
	name   string
	zone   string // with the key in it
	key    string
	score  float64
	codes  []codeScore
	allow  bool
	only4  bool
	untest bool
	text   bool
}

type codeScore struct {
	code   codePattern
	points float64
}

// read checks all lists and reads their keys. The error joins all that is wrong.
func (c dnsblConfig) read(sec config.Section) ([]listSettings, error) {
	var all []listSettings
	var errs []error
	seen := map[string]bool{}
	for i, l := range c.Lists {
		at := func(key string) string { return fmt.Sprintf("list[%d].%s", i, key) }
		s, err := l.read(sec, at)
		if err == nil && seen[s.name] {
			err = sec.Errorf(at("zone"), "the list %s stands twice; give one of them another name", s.name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		seen[s.name] = true
		all = append(all, s)
	}
	return all, errors.Join(errs...)
}

func (l listConfig) read(sec config.Section, at func(string) string) (listSettings, error) {
	s := listSettings{
		name: l.Name, allow: l.Allow, text: l.Text, score: math.Abs(l.Score),
		only4: l.IPv6 != nil && !*l.IPv6, untest: l.Test != nil && !*l.Test,
	}
	shown := strings.Trim(strings.ReplaceAll(l.Zone, "{key}", ""), ".")
	if s.name == "" {
		s.name = shown
	}
	if l.Zone == "" {
		return s, sec.Errorf(at("zone"), "is missing; it is the domain that is asked, such as bl.example.org")
	}
	hasKey := strings.Contains(l.Zone, "{key}")
	if hasKey != (l.KeyFile != "") {
		return s, sec.Errorf(at("zone"), "{key} in zone and key_file belong together")
	}
	if hasKey {
		key, err := sec.Secret(at("key_file"), l.KeyFile)
		if err != nil {
			return s, err
		}
		s.key = string(key)
	}
	s.zone = strings.ReplaceAll(strings.Trim(l.Zone, "."), "{key}", s.key)
	if !mail.IsHostname(shown) || !mail.IsHostname(s.zone) {
		return s, sec.Errorf(at("zone"), "is not a domain (with the key in it, if there is one)")
	}
	if len(l.Codes) == 0 && l.Score == 0 {
		return s, sec.Errorf(at("zone"), "the list has no points: give score, or codes")
	}
	return s, l.readCodes(&s, sec, at)
}

// readCodes sorts the codes, so that the same configuration reads the same.
func (l listConfig) readCodes(s *listSettings, sec config.Section, at func(string) string) error {
	// Points below 0 are how some write an allow list; without allow = true they are a mistake.
	if l.Score < 0 && !l.Allow {
		return sec.Errorf(at("score"), "must be greater than 0; a list of good senders has allow = true")
	}
	for code, points := range l.Codes {
		p, err := parseCode(code)
		if err != nil {
			return sec.Errorf(at("codes"), "%s", err)
		}
		if points == 0 || points < 0 && !l.Allow {
			return sec.Errorf(at("codes"), "%q: the points must be greater than 0; leave out a code that does not count, and give a list of good senders allow = true", code)
		}
		s.codes = append(s.codes, codeScore{p, math.Abs(points)})
	}
	slices.SortFunc(s.codes, func(a, b codeScore) int { return slices.Compare(a.code.from[:], b.code.from[:]) })
	return nil
}

// points returns what a return code counts; ok is false when it does not. Of several that fit the highest counts.
func (s listSettings) points(code netip.Addr) (points float64, ok bool) {
	for _, c := range s.codes {
		if c.code.fits(code) {
			points, ok = max(points, c.points), true
		}
	}
	if !ok && s.score > 0 {
		return s.score, true
	}
	return points, ok
}

// codePattern is a set of return codes: a range for each octet, and all of it between two addresses.
type codePattern struct{ from, to [4]byte }

func (p codePattern) fits(a netip.Addr) bool {
	o := a.As4()
	for i := range o {
		if o[i] < p.from[i] || o[i] > p.to[i] {
			return false
		}
	}
	return true
}

// parseCode reads a return code: 127.0.0.2, a range in any octet (127.0.0.4-7), * for a whole octet (127.0.*.3), or a
// network (127.0.1.0/24).
func parseCode(s string) (codePattern, error) {
	var p codePattern
	bad := fmt.Errorf("%q is not a return code such as 127.0.0.2, 127.0.0.4-7, 127.0.*.3 or 127.0.1.0/24", s)
	if strings.Contains(s, "/") {
		n, err := netip.ParsePrefix(s)
		if err != nil || !n.Addr().Is4() {
			return p, bad
		}
		p.from = n.Masked().Addr().As4()
		p.to = p.from
		for i := n.Bits(); i < 32; i++ {
			p.to[i/8] |= 0x80 >> (i % 8)
		}
	} else {
		octets := strings.Split(s, ".")
		if len(octets) != 4 {
			return p, bad
		}
		for i, o := range octets {
			if o == "*" {
				o = "0-255"
			}
			lo, hi, ranged := strings.Cut(o, "-")
			if !ranged {
				hi = lo
			}
			a, errA := strconv.ParseUint(lo, 10, 8)
			b, errB := strconv.ParseUint(hi, 10, 8)
			if errA != nil || errB != nil || a > b {
				return p, bad
			}
			p.from[i], p.to[i] = byte(a), byte(b)
		}
	}
	if p.from[0] != 127 || p.to[0] != 127 {
		return p, fmt.Errorf("%q: return codes begin with 127 (RFC 5782 section 2.1)", s)
	}
	return p, nil
}
