package config

import (
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// aloneWithBackends warns when every address of [alert] is delivered by backends of ours: an alert that they are down would wait for them. A
// Maildir is not down.
func (v *validator) aloneWithBackends() {
	const why = "%s is delivered by the backends of %s: an alert that they are down waits until they are back; name an address elsewhere " +
		"as well, and a server in [bounce] that takes mail to it"
	first := -1
	var domain string
	for i, s := range v.cfg.Alert.Mail {
		a, err := mail.ParseAddress(s, false)
		if err != nil {
			return
		}
		d := slices.IndexFunc(v.cfg.Domains, func(d Domain) bool { return slices.Contains(d.Names, a.Domain) })
		if d < 0 || !slices.ContainsFunc(v.cfg.Domains[d].Backends, func(b Backend) bool { return !strings.HasPrefix(b.URL, "maildir:") }) {
			return
		}
		if first < 0 {
			first, domain = i, a.Domain
		}
	}
	if first >= 0 {
		v.warn(at("alert.mail", first), why, v.cfg.Alert.Mail[first], domain)
	}
}
