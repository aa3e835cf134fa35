package config

import (
	"cmp"
	"slices"
	"time"
	_ "time/tzdata" // a host without a zone database computes the same times

	"sekimori/internal/mail"
)

// Digest is [digest]: the mails that tell people what is held for them. They are sent where role is all or console.
type Digest struct {
	Enabled  bool        `toml:"enabled"`
	MaxItems int         `toml:"max_items"` // mails that one digest names; the rest is counted; default 50
	DKIM     DigestDKIM  `toml:"dkim"`
	Shared   []SharedBox `toml:"shared"`
	DigestOf             // for every domain; [domain.digest] goes before it
}

// DigestOf is what can be different for a domain.
type DigestOf struct {
	From      string   `toml:"from"`       // address in the header; default sekimori@ the first name of the domain
	Schedule  Schedule `toml:"schedule"`   // default "workdays 08:00"
	TimeZone  string   `toml:"time_zone"`  // such as Asia/Tokyo; default: that of the machine
	Lang      string   `toml:"lang"`       // ja | en, of people of whom nothing else is known; default ja
	Contact   string   `toml:"contact"`    // whom people ask, as it stands in the Japanese text; default 情報システム担当者
	ContactEn string   `toml:"contact_en"` // the same in the English one; default "your IT department"
	Portal    string   `toml:"portal"`     // how people find the pages without a link, in words; default: the address of the pages
	PortalEn  string   `toml:"portal_en"`

	loc *time.Location
}

// DigestDKIM is [digest.dkim]: digests are signed when it is there.
type DigestDKIM struct {
	Domain   string `toml:"domain"`
	Selector string `toml:"selector"`
	KeyFile  string `toml:"key_file"` // RSA or Ed25519, PEM
	Key      Secret `toml:"-"`        // read at Load from KeyFile, the credential digest.dkim.key or SEKIMORI_DIGEST_DKIM_KEY
}

// Configured reports whether digests are signed.
func (d *DigestDKIM) Configured() bool { return d.Domain != "" }

// SharedBox is [[digest.shared]]: a mailbox that no single person reads.
type SharedBox struct {
	Mailbox string `toml:"mailbox"`
	// Owners hear of its held mail in their own digests, and may decide about it.
	Owners []string `toml:"owners"`
	// Delegates may see it and decide about it; they hear of it only when there are no owners.
	Delegates []string `toml:"delegates"`
}

const (
	defaultContact   = "情報システム担当者"
	defaultContactEn = "your IT department"
)

func (d *Digest) complete(doc *document) {
	if d.Schedule.IsZero() {
		d.Schedule = Schedule{Kind: "workdays", Times: []int{8 * 60}}
	}
	if d.MaxItems == 0 && !doc.has("digest", "max_items") {
		d.MaxItems = 50
	}
	d.Lang = cmp.Or(d.Lang, "ja")
	d.ContactEn = cmp.Or(d.ContactEn, d.Contact, defaultContactEn)
	d.Contact = cmp.Or(d.Contact, defaultContact)
	d.PortalEn = cmp.Or(d.PortalEn, d.Portal)
}

// DigestOf returns what holds for the people of a domain, with every value filled in but the portal. A domain that is none of ours
// gets what holds for all.
func (c *Config) DigestOf(domain string) DigestOf {
	o := c.Digest.DigestOf
	i := slices.IndexFunc(c.Domains, func(d Domain) bool { return slices.Contains(d.Names, domain) })
	if i >= 0 {
		own := c.Domains[i].Digest
		o.From = cmp.Or(own.From, o.From, "sekimori@"+c.Domains[i].Names[0])
		if !own.Schedule.IsZero() {
			o.Schedule = own.Schedule
		}
		if own.TimeZone != "" {
			o.TimeZone, o.loc = own.TimeZone, own.loc
		}
		o.Lang = cmp.Or(own.Lang, o.Lang)
		o.ContactEn, o.Contact = cmp.Or(own.ContactEn, own.Contact, o.ContactEn), cmp.Or(own.Contact, o.Contact)
		o.PortalEn, o.Portal = cmp.Or(own.PortalEn, own.Portal, o.PortalEn), cmp.Or(own.Portal, o.Portal)
	}
	o.From = cmp.Or(o.From, "sekimori@"+c.Hostname)
	if !c.Digest.Enabled {
		o.Schedule = Schedule{Kind: "off"}
	}
	return o
}

// Location is the time zone.
func (o *DigestOf) Location() *time.Location {
	if o.loc == nil {
		return time.Local
	}
	return o.loc
}

// address reads an address of a configuration that was checked.
func address(s string) mail.Address {
	a, err := mail.ParseAddress(s, false)
	if err != nil {
		return mail.Address{}
	}
	return a
}

// Addresses returns the box, its owners and its delegates.
func (b *SharedBox) Addresses() (box mail.Address, owners, delegates []mail.Address) {
	for _, s := range b.Owners {
		owners = append(owners, address(s))
	}
	for _, s := range b.Delegates {
		delegates = append(delegates, address(s))
	}
	return address(b.Mailbox), owners, delegates
}
