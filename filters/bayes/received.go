package bayes

import (
	"net/netip"
	"strings"
)

// received adds what a Received field (RFC 5321 section 4.4) says of the client: its HELO, its reverse name, whether
// that looks like a dial-up line, and the networks of its address.
func (c *collector) received(v string) {
	if len(v) > 1000 {
		v = v[:1000]
	}
	if strings.IndexByte(v, '\t') >= 0 { // a folded field
		v = strings.Join(strings.Fields(v), " ")
	}
	if len(v) < 5 || !strings.EqualFold(v[:5], "from ") {
		c.add("rx:", shapeWord(v))
		return
	}
	rest := v[5:]
	helo, rest, _ := strings.Cut(rest, " ")
	helo = strings.ToLower(strings.Trim(helo, "[]();"))
	c.add("rh:", registrableName(helo))
	if !strings.Contains(helo, ".") {
		c.add("rh:", "bare")
	}
	if i := strings.Index(rest, " by "); i >= 0 {
		by, _, _ := strings.Cut(rest[i+4:], " ")
		c.addLower("rb:", by)
		rest = rest[:i]
	}
	name := reverseName(rest)
	switch {
	case name == "" || name == "unknown":
		c.add("rn:", "none")
	default:
		c.add("rn:", registrableName(name))
		if c.from != "" && registrableName(name) == c.from {
			c.add("p=", "from")
		}
		if looksDynamic(name) {
			c.add("rn:", "dynamic")
		}
		if name != helo {
			c.add("rn:", "other")
		}
	}
	if a, ok := bracketed(rest, v); ok {
		c.network(a)
	}
}

// shapeWord is the first word, such as "(qmail" of "(qmail 123 invoked by uid 500)".
func shapeWord(v string) string {
	w, _, _ := strings.Cut(v, " ")
	return w
}

func registrableName(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return "ip"
	}
	return registrable(strings.TrimSuffix(name, "."))
}

// reverseName finds the name in "(name [192.0.2.1])" or "(HELO x) (name@…)" forms.
func reverseName(s string) string {
	open := strings.IndexByte(s, '(')
	if open < 0 {
		return ""
	}
	s = s[open+1:]
	end := strings.IndexAny(s, " [)")
	if end < 0 {
		return ""
	}
	name := strings.ToLower(s[:end])
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		name = name[i+1:]
	}
	if !strings.Contains(name, ".") && name != "unknown" {
		return ""
	}
	return name
}

// looksDynamic reports whether a name holds two or more numbers or a word of dial-up lines.
func looksDynamic(name string) bool {
	groups, in := 0, false
	for i := 0; i < len(name); i++ {
		d := name[i] >= '0' && name[i] <= '9'
		if d && !in {
			groups++
		}
		in = d
	}
	if groups >= 3 {
		return true
	}
	for _, w := range [...]string{"dsl", "dial", "dyn", "pool", "ppp", "cable", "dhcp", "client", "modem"} {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}

// bracketed finds the address of the client: in brackets, or the first one in parentheses.
func bracketed(s, whole string) (netip.Addr, bool) {
	for _, text := range [...]string{s, whole} {
		for text != "" {
			i := strings.IndexAny(text, "[(")
			if i < 0 {
				break
			}
			text = text[i+1:]
			end := strings.IndexAny(text, "]) ")
			if end < 0 {
				break
			}
			word := strings.TrimPrefix(text[:end], "IPv6:")
			if a, err := netip.ParseAddr(word); err == nil {
				return a.Unmap(), true
			}
		}
	}
	return netip.Addr{}, false
}

func (c *collector) network(a netip.Addr) {
	bits := [...]int{8, 16, 24}
	if a.Is6() {
		bits = [...]int{32, 48, 64}
	}
	for _, n := range bits {
		if p, err := a.Prefix(n); err == nil {
			c.add("ip:", p.String())
		}
	}
}
