package config

import (
	"slices"

	"sekimori/internal/mail"
)

// alerts checks [alert]. An alert goes out through the relay: to the backends of our own domains, and to other addresses by
// way of [bounce].
func (v *validator) alerts() {
	v.aloneWithBackends()
	for i, s := range v.cfg.Alert.Mail {
		path := at("alert.mail", i)
		a, err := mail.ParseAddress(s, false)
		if err != nil {
			v.fail(path, "%q: %v", s, err)
			continue
		}
		ours := func(d Domain) bool { return slices.Contains(d.Names, a.Domain) }
		if !slices.ContainsFunc(v.cfg.Domains, ours) && !v.cfg.Bounce.Configured() {
			v.warn(path, "%s is not in a domain of ours, and [bounce] names no server that takes mail to others: alerts to it stay in the queue", s)
		}
	}
	v.oneOf("alert.lang", v.cfg.Alert.Lang, "", "ja", "en")
}
