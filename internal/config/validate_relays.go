package config

import "net/netip"

// ownNetworks checks who is trusted without being asked.
func (v *validator) ownNetworks() {
	s := &v.cfg.SMTP
	for _, list := range []struct {
		path     string
		networks []netip.Prefix
		what     string
	}{
		{"smtp.mynetworks", s.MyNetworks, "no client would be checked"},
		{"smtp.trusted_relays", s.TrustedRelays, "every client could name another one in its place"},
	} {
		for i, p := range list.networks {
			if p.IsValid() && p.Bits() == 0 {
				v.fail(at(list.path, i), "%s is every address: %s", p, list.what)
			}
		}
	}
	if s.TrustedRelaysReject && len(s.TrustedRelays) == 0 {
		v.warn("smtp.trusted_relays_reject", "says nothing without trusted_relays")
	}
}
