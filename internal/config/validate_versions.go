package config

import "time"

// versions checks what is said of the sets of rules that are kept.
func (v *validator) versions() {
	p := v.cfg.Policy
	if p.KeepVersions < 2 || p.KeepVersions > 10000 {
		v.fail("policy.keep_versions", "must be between 2 (the set in force and the one before it) and 10000")
	}
	if d := p.NodesAgreeWithin.D(); d < time.Minute || d > 24*time.Hour {
		v.fail("policy.nodes_agree_within", "must be between 1m and 24h: files are copied to one host after the other, and each reads them in its own time")
	}
}
