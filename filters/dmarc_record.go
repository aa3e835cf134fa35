package filters

import "strings"

// dmarcRecord is a DMARC Policy Record (RFC 9989 section 4.7) as read by parseDMARC.
type dmarcRecord struct {
	domain     string // where it stands, without _dmarc
	p          string // none, quarantine or reject
	sp, np     string // the same, or empty
	strictSPF  bool   // aspf=s
	strictDKIM bool   // adkim=s
	psd        string // y, n or u
	testing    bool   // t=y
	broken     string // what is wrong with p=; p is none then
}

// maxDMARCTags bounds the work for one record; RFC 9989 knows fourteen tags.
const maxDMARCTags = 64

// parseDMARC reads the text of a TXT record. ok is false when it is not a DMARC record at all: only the version decides
// that (RFC 9989 section 4.7: v= comes first and is DMARC1 in this case). All else is read leniently, because one slip must
// not cost a domain its protection: any case and white space, unknown tags, tags that were removed (pct, rf, ri) with
// whatever they hold, a value that is not understood in any tag but p=. Of a tag that stands twice the first counts. A
// record without p= is p=none (section 4.7); so is one whose p= is not understood, which says so in broken.
func parseDMARC(domain, txt string) (r dmarcRecord, ok bool) {
	r = dmarcRecord{domain: domain, p: "none", psd: "u"}
	seen := map[string]bool{}
	n := 0
	for part := range strings.SplitSeq(txt, ";") {
		if n++; n > maxDMARCTags {
			break
		}
		name, value, isTag := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if n == 1 {
			if !isTag || name != "v" || value != "DMARC1" {
				return dmarcRecord{}, false
			}
			continue
		}
		if !isTag || seen[name] {
			continue
		}
		seen[name] = true
		r.set(name, strings.ToLower(value))
	}
	return r, n > 0
}

func (r *dmarcRecord) set(name, value string) {
	switch name {
	case "p":
		if isDMARCPolicy(value) {
			r.p = value
		} else {
			r.broken = "p= is not a policy"
		}
	case "sp":
		r.sp = policyOrNone(value)
	case "np":
		r.np = policyOrNone(value)
	case "aspf":
		r.strictSPF = value == "s"
	case "adkim":
		r.strictDKIM = value == "s"
	case "psd":
		if value == "y" || value == "n" {
			r.psd = value
		}
	case "t":
		r.testing = value == "y"
	}
}

func isDMARCPolicy(s string) bool { return s == "none" || s == "quarantine" || s == "reject" }

// policyOrNone gives "" for what is no policy: as if the tag were absent.
func policyOrNone(s string) string {
	if isDMARCPolicy(s) {
		return s
	}
	return ""
}

// policyFor chooses the policy for a name: p= for the record's own domain, sp= for what is below it, np= for what is
// below it and does not exist, each falling back to the one before (RFC 9989 section 4.7). With t=y it is one step milder.
func (r *dmarcRecord) policyFor(domain string, exists bool) string {
	policy := r.p
	if domain != r.domain {
		if r.sp != "" {
			policy = r.sp
		}
		if !exists && r.np != "" {
			policy = r.np
		}
	}
	if r.testing {
		policy = milderPolicy(policy)
	}
	return policy
}

func milderPolicy(p string) string {
	if p == "reject" {
		return "quarantine"
	}
	return "none"
}
