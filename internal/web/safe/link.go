package safe

import (
	"net/url"
	"strings"

	"sekimori/internal/text"
)

// link makes a target fit to be shown. Host is what counts in it.
func link(shown, target string) Link {
	target = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7F { // browsers drop line ends and tabs within a target
			return -1
		}
		return r
	}, strings.TrimSpace(target))
	l := Link{Text: text.Reveal(strings.Join(strings.Fields(shown), " "), maxName), URL: text.Reveal(target, maxURL), Host: host(target)}
	if claimed := claims(shown); claimed != "" && l.Host != "" {
		l.Differs = !sameHost(claimed, l.Host)
	}
	return l
}

// host returns the host of a target as a browser would reach it, in lower case; "" when it is none of the web.
func host(target string) string {
	target = strings.ReplaceAll(target, `\`, "/")
	u, err := url.Parse(target)
	if err == nil {
		return text.Reveal(strings.ToLower(u.Hostname()), maxName)
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "/")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	return text.Reveal(strings.ToLower(rest), maxName)
}

// claims returns the host that the text of a link names, "" when it names none.
func claims(shown string) string {
	for w := range strings.FieldsSeq(shown) {
		w = strings.ToLower(strings.Trim(w, "<>()[]「」『』、。,\"'"))
		if h := host(w); h != "" && strings.Contains(h, ".") {
			return h
		}
		if strings.HasPrefix(w, "www.") {
			return host("http://" + w)
		}
	}
	return ""
}

func sameHost(a, b string) bool {
	a, b = strings.TrimPrefix(a, "www."), strings.TrimPrefix(b, "www.")
	return a == b || strings.HasSuffix(b, "."+a)
}
