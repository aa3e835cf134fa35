package filters

import (
	"context"
	"errors"
	"net"
	"strings"

	"golang.org/x/net/publicsuffix"

	"sekimori/internal/dns"
)

// maxDMARCWalk is the number of queries of one tree walk (RFC 9989 section 4.10).
const maxDMARCWalk = 8

// dmarcWalker walks for one mail; every name is asked for once.
type dmarcWalker struct {
	dns   dns.Resolver
	cache map[string]dmarcAnswer
}

type dmarcAnswer struct {
	record *dmarcRecord // nil when there is none that counts
	err    error
}

// dmarcTree is what a tree walk found.
type dmarcTree struct {
	start   string
	records []*dmarcRecord // in the order of the walk: longest name first
	err     error          // the walk could not be finished
	failed  string         // the name at which it ended then
}

// lookup asks for the record of one name. Several records are as good as none (RFC 9989 section 4.10).
func (w *dmarcWalker) lookup(ctx context.Context, domain string) (*dmarcRecord, error) {
	if a, ok := w.cache[domain]; ok {
		return a.record, a.err
	}
	var a dmarcAnswer
	txt, err := w.dns.LookupTXT(ctx, "_dmarc."+domain)
	var found []dmarcRecord
	for _, t := range txt {
		if r, ok := parseDMARC(domain, t); ok {
			found = append(found, r)
		}
	}
	var dnsErr *net.DNSError
	switch {
	case err != nil && (!errors.As(err, &dnsErr) || !dnsErr.IsNotFound):
		a.err = bareDNSError("_dmarc."+domain, err)
	case err == nil && len(found) == 1:
		a.record = &found[0]
		a.record.hedge()
	}
	w.cache[domain] = a
	return a.record, a.err
}

// hedge takes a record on a public suffix for that of a public suffix even where it forgot psd=y: otherwise everybody
// below co.jp would be one organisation. RFC 9989 leaves it to the operators of suffixes to say so.
func (r *dmarcRecord) hedge() {
	if suffix, icann := publicsuffix.PublicSuffix(r.domain); r.psd == "u" && icann && suffix == r.domain {
		r.psd = "y"
	}
}

// walk is RFC 9989 section 4.10: the name itself, then upwards to the top, of a name of eight labels or more from seven
// on; it ends at a record that says psd=.
func (w *dmarcWalker) walk(ctx context.Context, domain string) dmarcTree {
	t := dmarcTree{start: domain}
	labels := strings.Split(domain, ".")
	for range maxDMARCWalk {
		name := strings.Join(labels, ".")
		r, err := w.lookup(ctx, name)
		if err != nil {
			t.err, t.failed = err, name
			return t
		}
		if r != nil {
			t.records = append(t.records, r)
			if r.psd != "u" {
				return t
			}
		}
		labels = labels[max(1, len(labels)-(maxDMARCWalk-1)):]
		if len(labels) == 0 {
			return t
		}
	}
	return t
}

// own returns the record of the name where the walk began.
func (t *dmarcTree) own() *dmarcRecord {
	if len(t.records) > 0 && t.records[0].domain == t.start {
		return t.records[0]
	}
	return nil
}

// organisation is the Organizational Domain (RFC 9989 section 4.10.2).
func (t *dmarcTree) organisation() string {
	for _, r := range t.records {
		switch {
		case r.psd == "n":
			return r.domain
		case r.psd == "y" && r.domain != t.start:
			return oneBelow(t.start, r.domain)
		}
	}
	if n := len(t.records); n > 0 {
		return t.records[n-1].domain
	}
	return t.start
}

// policy returns the record that applies (RFC 9989 section 4.10.1): that of the name itself, of its organisation, or of
// the public suffix above; nil when there is none.
func (t *dmarcTree) policy() *dmarcRecord {
	if r := t.own(); r != nil {
		return r
	}
	org := t.organisation()
	for _, r := range t.records {
		if r.domain == org {
			return r
		}
	}
	for _, r := range t.records {
		if r.psd == "y" {
			return r
		}
	}
	return nil
}

// oneBelow returns the part of name that has one label more than its parent.
func oneBelow(name, parent string) string {
	labels := strings.Split(name, ".")
	n := len(labels) - strings.Count(parent, ".") - 2
	return strings.Join(labels[max(n, 0):], ".")
}

// isWithin reports whether name is domain or below it.
func isWithin(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// exists reports whether a name has an address or a mail exchanger. RFC 9989 asks for NXDOMAIN; a Resolver does not
// tell it from an empty answer, so the older meaning of RFC 9091 section 2.7 is used. known is false when the DNS did not say.
func (w *dmarcWalker) exists(ctx context.Context, domain string) (exists, known bool) {
	notFound := func(err error) bool {
		var e *net.DNSError
		return errors.As(err, &e) && e.IsNotFound
	}
	_, err := w.dns.LookupMX(ctx, domain)
	if err == nil {
		return true, true
	}
	_, err2 := w.dns.LookupNetIP(ctx, "ip", domain)
	if err2 == nil {
		return true, true
	}
	return false, notFound(err) && notFound(err2)
}
