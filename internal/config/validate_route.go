package config

import (
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/mail"
)

// completeRoutes puts the short forms of the routes' backends in front of the long ones. n is the domain's number.
func (d *Domain) completeRoutes(doc *document, n int) {
	for i := range d.Routes {
		r := &d.Routes[i]
		short := make(RouteBackends, len(r.BackendURLs))
		for j, u := range r.BackendURLs {
			short[j].URL = u
		}
		r.Backends = slices.Concat(short, r.Backends)
		for j := range r.Backends {
			from := []string{"domain", strconv.Itoa(n), "route", strconv.Itoa(i), "backend", strconv.Itoa(j - len(short))}
			r.Backends[j].complete(doc, from)
		}
	}
}

// routes checks the routes of a domain. Of two that match the same address the more exact one wins, so the same pattern twice is a
// slip.
func (v *validator) routes(path string, d *Domain) {
	seen := map[string]string{}
	for i := range d.Routes {
		r, at := &d.Routes[i], at(path+".route", i)
		v.routeMatch(at, r, d, seen)
		v.routeBackends(at, r, d)
	}
}

// routeMatch normalises the patterns: local parts in lower case, as recipients are compared, domains as A-labels.
func (v *validator) routeMatch(path string, r *Route, d *Domain, seen map[string]string) {
	if len(r.Match) == 0 {
		v.fail(path, "match is missing: the recipients that go elsewhere")
	}
	for j, m := range r.Match {
		at := at(path+".match", j)
		i := strings.LastIndexByte(m, '@')
		if i <= 0 {
			v.fail(at, "%q is not of the form local@domain", m)
			continue
		}
		// The wildcard stands for characters of a local part, so the rest must be one.
		a, err := mail.ParseAddress(strings.ReplaceAll(m[:i], "*", "x")+m[i:], true)
		if err != nil {
			v.fail(at, "%q: %v", m, err)
			continue
		}
		if !slices.Contains(d.Names, a.Domain) {
			v.fail(at, "%s is not a name of this domain%s", a.Domain, hint(a.Domain, d.Names))
			continue
		}
		r.Match[j] = strings.ToLower(m[:i]) + "@" + a.Domain
		if other, taken := seen[r.Match[j]]; taken {
			v.fail(at, "%s already stands at %s", r.Match[j], other)
			continue
		}
		seen[r.Match[j]] = at
	}
}

func (v *validator) routeBackends(path string, r *Route, d *Domain) {
	if len(r.Backends) == 0 {
		v.fail(path, "backend is missing: where these recipients' mail goes")
		return
	}
	short := len(r.BackendURLs)
	for j := range r.Backends {
		b := &r.Backends[j]
		switch {
		case j < short:
			b.URL = v.backend(at(path+".backends", j), b.URL)
		case v.doc.has(splitPath(at(path+".backend", 0))...):
			v.oneBackend(at(path+".backend", j-short), b)
			continue
		default: // one URL in place of the tables
			b.URL = v.backend(path+".backend", b.URL)
		}
		// A URL alone that is one of the domain's own means that server, with what is said of it there.
		if k := slices.IndexFunc(d.Backends, func(o Backend) bool { return o.URL == b.URL }); k >= 0 {
			*b = d.Backends[k]
			b.Priority = 0
		}
	}
}
