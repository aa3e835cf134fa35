package config

import (
	"strings"

	"sekimori/internal/mail"
)

const (
	mostDropped = 1000
	minDropped  = 64 << 10
)

// bayesDrop checks [bayes.drop].
func (v *validator) bayesDrop() {
	d := &v.cfg.Bayes.Drop
	if !v.doc.has("bayes", "drop") {
		return
	}
	if !d.Enabled() {
		v.fail("bayes.drop", `spam and ham are missing: the addresses to which people forward mail, such as spam = ["spam@example.jp"]`)
	}
	known := map[string]string{}
	for _, list := range []struct {
		path      string
		addresses []string
	}{{"bayes.drop.spam", d.Spam}, {"bayes.drop.ham", d.Ham}, {"bayes.drop.admins", d.Admins}} {
		for i, s := range list.addresses {
			a, err := mail.ParseAddress(s, true)
			switch other := known[a.Key()]; {
			case err != nil:
				v.fail(at(list.path, i), "%q: %v", s, err)
				continue
			case other != "":
				v.fail(at(list.path, i), "%s stands in %s, too", s, other)
			case strings.EqualFold(a.Local, "postmaster") || strings.EqualFold(a.Local, "abuse"):
				if list.path != "bayes.drop.admins" {
					v.fail(at(list.path, i), "%s must be reachable for everybody (RFC 2142)", s)
				}
			}
			list.addresses[i], known[a.Key()] = a.Key(), list.path
		}
	}
	v.bayesDropClients(d)
	if d.MaxMails < 1 || d.MaxMails > mostDropped {
		v.fail("bayes.drop.max_mails", "must be from 1 to %d, not %d", mostDropped, d.MaxMails)
	}
	if d.MaxSize < minDropped {
		v.fail("bayes.drop.max_size", "must be at least 64KiB")
	}
	if domain, ok := strings.CutPrefix(d.Scope, "@"); ok {
		if name, err := mail.ParseDomain(domain); err != nil {
			v.fail("bayes.drop.scope", "%q: %v", d.Scope, err)
		} else {
			d.Scope = "@" + name
		}
	} else if d.Scope != "all" && d.Scope != "domain" {
		v.fail("bayes.drop.scope", "%q is not all, domain or @DOMAIN", d.Scope)
	}
}

// bayesDropClients checks who may hand in.
func (v *validator) bayesDropClients(d *BayesDrop) {
	s := &v.cfg.SMTP
	if d.Certificate && s.TLSClientCAFile == "" {
		v.fail("bayes.drop.certificate", "needs smtp.tls_client_ca_file: without it no client is asked for a certificate")
	}
	for i, p := range d.From {
		if p.IsValid() && p.Bits() == 0 {
			v.fail(at("bayes.drop.from", i), "%s is every address: anybody could teach", p)
		}
	}
	if d.Enabled() && len(d.From) == 0 && len(s.MyNetworks) == 0 && !d.Certificate {
		v.fail("bayes.drop", `nobody may hand in: name the mail server in from, such as from = ["10.20.0.5"], or its network in smtp.mynetworks`)
	}
	if len(d.Admins) > 0 && !d.Senders {
		v.fail("bayes.drop.admins", "needs senders_authenticated = true: otherwise anybody can send in their name")
	}
	for i, p := range d.From {
		for _, r := range s.TrustedRelays {
			if p.IsValid() && r.IsValid() && p.Overlaps(r) {
				v.fail(at("bayes.drop.from", i), "%s is a trusted relay (%s), which brings mail of strangers", p, r)
			}
		}
	}
}
