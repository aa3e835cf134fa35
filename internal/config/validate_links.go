package config

import (
	"strings"
	"time"
)

// minLinkKey is the smallest number of octets of a key that signs links.
const minLinkKey = 16

// links checks the keys of [quarantine] about the links in digests.
func (v *validator) links() {
	q := &v.cfg.Quarantine
	if v.cfg.File != "" || q.KeyFile != "" {
		q.KeyFile = v.doc.resolve(q.KeyFile)
		q.Key = v.secret("quarantine.key_file", q.KeyFile)
	}
	for line := range strings.Lines(string(q.Key)) {
		if n := len(strings.TrimSpace(line)); n > 0 && n < minLinkKey {
			v.fail("quarantine.key_file", "a line of it has %d octets, which can be guessed; a key is made by: openssl rand -hex 32", n)
			break
		}
	}
	if d := q.LinkLifetime.D(); d < time.Hour || d > 366*24*time.Hour {
		v.fail("quarantine.link_lifetime", "must be from 1h to 366d")
	}
	if d := q.LinkKeyRotation.D(); d < time.Hour || d > 366*24*time.Hour {
		v.fail("quarantine.link_key_rotation", "must be from 1h to 366d")
	}
	v.oneOf("quarantine.link_opens", q.LinkOpens, "mail", "list")
}
