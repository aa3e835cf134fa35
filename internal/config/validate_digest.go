package config

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sekimori/internal/mail"
)

const minDKIMBits = 1024 // RFC 8301 section 3.2 lets verifiers ignore what is shorter

// digest checks [digest] and every [domain.digest].
func (v *validator) digest() {
	d := &v.cfg.Digest
	v.digestOf("digest", &d.DigestOf)
	d.complete(v.doc)
	for i := range v.cfg.Domains {
		v.digestOf(at("domain", i)+".digest", &v.cfg.Domains[i].Digest)
	}
	if d.MaxItems < 1 || d.MaxItems > 500 {
		v.fail("digest.max_items", "must be from 1 to 500")
	}
	v.digestKey()
	v.sharedBoxes()
	u, err := url.Parse(v.cfg.HTTP.PublicURL)
	switch {
	case !d.Enabled || err != nil:
	case v.cfg.HTTP.PublicURL == "":
		v.fail("digest.enabled", "needs http.public_url: without it a digest could link to nothing")
	case u.Scheme == "http" && !localHost(u.Hostname()):
		v.warn("digest.enabled", "http.public_url is not https: who can listen on the network can read the links of digests")
	}
}

func localHost(h string) bool {
	return h == "localhost" || strings.HasPrefix(h, "127.") || h == "::1" || strings.HasSuffix(h, ".test")
}

func (v *validator) digestOf(path string, o *DigestOf) {
	if o.Lang != "" {
		v.oneOf(path+".lang", o.Lang, "ja", "en")
	}
	if o.From != "" {
		if a, err := mail.ParseAddress(o.From, false); err != nil {
			v.fail(path+".from", "%q: %v", o.From, err)
		} else {
			o.From = a.String()
		}
	}
	if o.TimeZone != "" {
		loc, err := time.LoadLocation(o.TimeZone)
		if err != nil || strings.EqualFold(o.TimeZone, "local") {
			v.fail(path+".time_zone", "%q is not a time zone such as Asia/Tokyo", o.TimeZone)
		}
		o.loc = loc
	}
	for key, s := range map[string]string{"contact": o.Contact, "contact_en": o.ContactEn, "portal": o.Portal, "portal_en": o.PortalEn} {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F }) || len(s) > 300 {
			v.fail(path+"."+key, "must be one line of at most 300 octets")
		}
	}
}

func (v *validator) digestKey() {
	k := &v.cfg.Digest.DKIM
	if !v.doc.has("digest", "dkim") {
		return
	}
	if d, err := mail.ParseDomain(k.Domain); err != nil || strings.HasPrefix(d, "[") {
		v.fail("digest.dkim.domain", "%q is not a domain name: the one that vouches for the digests", k.Domain)
	} else {
		k.Domain = d
	}
	if !mail.IsHostname(k.Selector) {
		v.fail("digest.dkim.selector", "%q is not a selector: the key's record stands at SELECTOR._domainkey.DOMAIN", k.Selector)
	}
	k.KeyFile = v.doc.resolve(k.KeyFile)
	k.Key = v.secret("digest.dkim.key_file", k.KeyFile)
	switch {
	case v.opts.SkipFiles:
	case k.Key == "" && k.KeyFile == "":
		v.fail("digest.dkim", "key_file is missing: the private key, such as `openssl genrsa 2048` makes it")
	case k.Key != "":
		if _, err := k.Signer(); err != nil {
			v.fail("digest.dkim.key_file", "%v", err)
		}
	}
}

// Signer returns the private key, *rsa.PrivateKey or ed25519.PrivateKey.
func (d *DigestDKIM) Signer() (any, error) {
	block, _ := pem.Decode([]byte(d.Key))
	if block == nil {
		return nil, errors.New("holds no private key in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, errors.New("holds no private key of RSA or Ed25519 in PEM")
		}
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minDKIMBits {
			return nil, fmt.Errorf("the key has %d bits; receivers take no signature of one below %d", k.N.BitLen(), minDKIMBits)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, errors.New("the key is neither RSA nor Ed25519")
}

// sharedBoxes checks [[digest.shared]]: a mailbox of ours, once, and who reads it, who is none of these boxes.
func (v *validator) sharedBoxes() {
	boxes := map[string]string{}
	for i := range v.cfg.Digest.Shared {
		b, path := &v.cfg.Digest.Shared[i], at("digest.shared", i)
		v.ourAddress(path+".mailbox", &b.Mailbox)
		if other, twice := boxes[strings.ToLower(b.Mailbox)]; twice {
			v.fail(path+".mailbox", "%s already stands at %s", b.Mailbox, other)
		}
		boxes[strings.ToLower(b.Mailbox)] = path + ".mailbox"
		if len(b.Owners)+len(b.Delegates) == 0 {
			v.fail(path, "owners and delegates are missing: who reads this mailbox")
		}
	}
	for i := range v.cfg.Digest.Shared {
		b, path := &v.cfg.Digest.Shared[i], at("digest.shared", i)
		for key, list := range map[string][]string{"owners": b.Owners, "delegates": b.Delegates} {
			for j := range list {
				where := at(path+"."+key, j)
				v.ourAddress(where, &list[j])
				if box, is := boxes[strings.ToLower(list[j])]; is {
					v.fail(where, "%s is a shared mailbox itself (%s): name the people", list[j], box)
				}
			}
		}
	}
}

func (v *validator) ourAddress(path string, s *string) {
	a, err := mail.ParseAddress(*s, false)
	switch {
	case err != nil:
		v.fail(path, "%q: %v", *s, err)
	case !v.cfg.Ours(a.Domain):
		v.fail(path, "%s is not in one of our domains%s", a, hint(a.Domain, v.ourNames()))
	default:
		*s = a.String()
	}
}
