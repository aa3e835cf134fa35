package config

// linkLife warns of mail that is kept for longer than the link that announces it opens.
func (v *validator) linkLife() {
	q := &v.cfg.Quarantine
	if !v.cfg.Digest.Enabled {
		return
	}
	longest, path := q.Retention, "quarantine.retention"
	for i := range q.Keep {
		if q.Keep[i].Retention > longest {
			longest, path = q.Keep[i].Retention, at("quarantine.keep", i)+".retention"
		}
	}
	if longest > q.LinkLifetime {
		v.warn("quarantine.link_lifetime", "links of a digest open for %s, but %s keeps mail for %s: towards the end people have to ask for a new link. "+
			"Write link_lifetime = %q, or keep mail for a shorter time", q.LinkLifetime, path, longest, longest.String())
	}
}
