package mail

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// originVersion is the newest form of an Origin that is read, and the one that is written.
const originVersion = 1

// The kinds of mail in the queue that did not just come in. About none of them a report is sent.
const (
	KindReport   = "report"   // a report of ours to a sender
	KindJournal  = "journal"  // a copy for the archive
	KindRedirect = "redirect" // goes to another recipient by a rule
	KindCopy     = "copy"     // a copy by a rule, of which the sender must not know
	KindRelease  = "release"  // was held, and released by a person
	KindAlert    = "alert"    // a mail of ours to an administrator
	KindDigest   = "digest"   // a mail of ours that tells a person what is held
)

// Origin is where a mail came from, as it was known when it was accepted. It is kept with mail in the spool, because whether its
// sender may be told of a failure is decided when nobody can be asked any more.
type Origin struct {
	Version int        `json:"v"`
	Kind    string     `json:"kind,omitempty"` // empty: it came in
	ID      string     `json:"id,omitempty"`   // of the transaction, as the client was told it
	Rule    string     `json:"rule,omitempty"` // that redirected or copied it
	Client  netip.Addr `json:"client,omitzero"`
	Helo    string     `json:"helo,omitempty"`
	Arrived time.Time  `json:"arrived,omitzero"`
	SPF     string     `json:"spf,omitempty"` // result for MAIL FROM; empty: not looked at
	SPFOf   string     `json:"spf_of,omitempty"`
	DMARC   string     `json:"dmarc,omitempty"`
	DMARCOf string     `json:"dmarc_of,omitempty"` // the domain in From
	Names   []string   `json:"names,omitempty"`    // of a digest: the held mails that it tells of
}

// OriginOf notes what a transaction knows.
func OriginOf(tx *Transaction, now time.Time) Origin {
	o := Origin{Version: originVersion, ID: tx.ID, Arrived: now}
	if s := tx.Session; s != nil {
		o.Client, o.Helo = s.Client, s.Helo
	}
	for i := range tx.Outcomes {
		for k := range tx.Outcomes[i].Findings {
			a := tx.Outcomes[i].Findings[k].Auth
			switch {
			case a == nil:
			case a.Method == "spf" && a.Prop("smtp.mailfrom") != "":
				o.SPF, o.SPFOf = a.Result, domainOf(a.Prop("smtp.mailfrom"))
			case a.Method == "dmarc":
				o.DMARC, o.DMARCOf = a.Result, domainOf(a.Prop("header.from"))
			}
		}
	}
	return o
}

func domainOf(s string) string { return strings.ToLower(s[strings.LastIndexByte(s, '@')+1:]) }

// Encode gives it as JSON.
func (o Origin) Encode() []byte {
	o.Version = originVersion
	b, err := json.Marshal(o)
	if err != nil { // of these types there is nothing that cannot be written
		panic(err)
	}
	return b
}

// ParseOrigin is the inverse of Encode. Empty input is the zero Origin, of which nothing is known.
func ParseOrigin(b []byte) (Origin, error) {
	var o Origin
	if len(b) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return Origin{}, fmt.Errorf("not an origin: %w", err)
	}
	if o.Version < 1 || o.Version > originVersion {
		return Origin{}, fmt.Errorf("an origin of version %d; this program knows up to %d", o.Version, originVersion)
	}
	return o, nil
}

// Confirmed reports whether the domain of a sender was confirmed: by SPF for MAIL FROM, or by DMARC for a domain in From that is
// the sender's or stands above it. One below it confirms nothing: whoever has a name at a provider of names is not the provider.
// Everything else, an error included, is not.
func (o Origin) Confirmed(from Address) bool {
	if from.IsNull() || from.Domain == "" {
		return false
	}
	domain := strings.ToLower(from.Domain)
	if o.SPF == "pass" && o.SPFOf == domain {
		return true
	}
	return o.DMARC == "pass" && covers(o.DMARCOf, domain)
}

// covers is stricter than DMARC's relaxed mode, which also takes sisters for one organisation: what it costs is a report.
func covers(above, domain string) bool {
	return strings.Contains(above, ".") && (above == domain || strings.HasSuffix(domain, "."+above))
}
