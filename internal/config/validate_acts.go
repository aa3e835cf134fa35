package config

import (
	"regexp"
	"strings"
	"time"
)

const (
	maxUndo   = time.Hour
	minMark   = 16 // octets of a key or token
	maxToken  = 200
	maxAllow  = 5 * 365 * 24 * time.Hour
	minAudit  = 24 * time.Hour
	classWord = `^[A-Za-z0-9_-]{1,64}$`
)

// acts checks what people may do with held mail.
func (v *validator) acts() {
	c := v.cfg
	if q := &c.Quarantine; q.Undo < 0 || q.Undo.D() > maxUndo {
		v.fail("quarantine.undo", "must be from 0s (a release leaves at once) to 1h")
	}
	v.oneOf("quarantine.learn", c.Quarantine.Learn, "all", "admin", "off")
	class := regexp.MustCompile(classWord)
	for i, name := range c.Quarantine.AdminOnly {
		if !class.MatchString(name) {
			v.fail(at("quarantine.admin_only", i), "%q is not a class: those of rules are of letters, digits, _ and -", name)
		}
	}
	if c.Allow.Lifetime.D() < time.Hour || c.Allow.Lifetime.D() > maxAllow {
		v.fail("allow.lifetime", "must be from 1h to 1825d; `enabled = false` lets nobody allow a sender")
	}
	if c.Audit.Retention.D() < minAudit {
		v.fail("audit.retention", "must be at least 1d")
	}
	m := &c.Quarantine.Mark
	m.Key = v.secret("quarantine.mark.key_file", m.KeyFile)
	m.Token = v.secret("quarantine.mark.token_file", m.TokenFile)
	if m.Key != "" && len(m.Key) < minMark {
		v.fail("quarantine.mark.key_file", "the key is shorter than %d octets; `openssl rand -hex 32` makes one", minMark)
	}
	switch t := string(m.Token); {
	case t == "":
	case len(t) < minMark || len(t) > maxToken:
		v.fail("quarantine.mark.token_file", "the token must be of %d to %d characters; `openssl rand -hex 32` makes one", minMark, maxToken)
	case strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' }):
		v.fail("quarantine.mark.token_file", "the token must be one word of ASCII: it stands in a header field")
	}
}
