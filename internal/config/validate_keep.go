package config

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

const (
	leastRetention = Duration(time.Hour)
	mostRetention  = Duration(366 * 24 * time.Hour)
)

// keeping checks [quarantine] and every [[quarantine.keep]].
func (v *validator) keeping() {
	q := &v.cfg.Quarantine
	if q.Retention > mostRetention {
		v.fail("quarantine.retention", "must be at most 366d")
	}
	if q.Quota < 0 {
		v.fail("quarantine.quota", "must be above 0, or 0 for none")
	}
	if q.Quota > 0 && q.Quota < v.cfg.SMTP.MaxMessageSize {
		v.fail("quarantine.quota", "must be at least smtp.max_message_size (%d octets), or 0 for none: a mail of that size could never be held", v.cfg.SMTP.MaxMessageSize)
	}
	v.encryption(q)
	for i := range q.Keep {
		v.keep(at("quarantine.keep", i), &q.Keep[i], q.Keep[:i])
	}
}

func (v *validator) keep(path string, k *Keep, before []Keep) {
	if k.Domain != "" {
		d, err := mail.ParseDomain(k.Domain)
		known := v.domainNames()
		switch {
		case err != nil:
			v.fail(path+".domain", "%q: %v", k.Domain, err)
		case !slices.Contains(known, d):
			v.fail(path+".domain", "%s is in no [[domain]]%s", d, hint(d, known))
		}
		k.Domain = d
	}
	if k.Class != "" && !class(k.Class) {
		v.fail(path+".class", "%q is no class: small letters, digits, hyphens and underscores", k.Class)
	}
	if k.Retention != 0 && (k.Retention < leastRetention || k.Retention > mostRetention) {
		v.fail(path+".retention", "must be from 1h to 366d")
	}
	switch {
	case k.Retention == 0 && k.Quota == 0:
		v.fail(path, "says neither retention nor quota")
	case k.Retention != 0 && k.Class == "" && k.Domain == "":
		v.fail(path, "fits every mail: write quarantine.retention instead, or name a class or a domain")
	}
	if k.Quota != 0 {
		v.keepQuota(path, k, before)
	}
	if k.Retention == 0 {
		return
	}
	for _, b := range before {
		if b.Retention != 0 && (b.Class == "" || b.Class == k.Class) && (b.Domain == "" || b.Domain == k.Domain) {
			v.fail(path, "is never reached: an entry before it fits all that this one fits, and the first decides")
			return
		}
	}
}

func (v *validator) keepQuota(path string, k *Keep, before []Keep) {
	switch {
	case k.Domain == "" || k.Class != "":
		v.fail(path+".quota", "is for a domain: name one, and no class; quarantine.quota is for all")
	case k.Quota < v.cfg.SMTP.MaxMessageSize:
		v.fail(path+".quota", "must be at least smtp.max_message_size (%d octets): a mail of that size could never be held", v.cfg.SMTP.MaxMessageSize)
	case slices.ContainsFunc(before, func(b Keep) bool { return b.Quota != 0 && b.Domain == k.Domain }):
		v.fail(path+".quota", "%s has a quota already", k.Domain)
	}
}

// encryption reads the keys of quarantine.encryption_key_file.
func (v *validator) encryption(q *Quarantine) {
	const path = "quarantine.encryption_key_file"
	if v.cfg.File == "" && q.EncryptionKeyFile == "" {
		return
	}
	q.EncryptionKeyFile = v.doc.resolve(q.EncryptionKeyFile)
	text := v.secret(path, q.EncryptionKeyFile)
	if text == "" {
		return
	}
	for n, line := range strings.Split(string(text), "\n") {
		w := strings.Fields(line)
		if len(w) == 0 || strings.HasPrefix(w[0], "#") {
			continue
		}
		// What stands there is never shown.
		if len(w) != 2 || !keyName(w[0]) {
			v.fail(path, "line %d is not an id (up to 16 letters, digits, hyphens) and a key, such as: 2026-11 $(openssl rand -hex 32)", n+1)
			continue
		}
		key, err := hex.DecodeString(w[1])
		if err != nil || len(key) != 32 {
			v.fail(path, "the key %s in line %d is not 64 hexadecimal digits; make one with: openssl rand -hex 32", w[0], n+1)
			continue
		}
		if slices.ContainsFunc(q.EncryptionKeys, func(k EncryptionKey) bool { return k.ID == w[0] }) {
			v.fail(path, "the key %s stands there twice", w[0])
		}
		q.EncryptionKeys = append(q.EncryptionKeys, EncryptionKey{w[0], Secret(key)})
	}
	if len(q.EncryptionKeys) == 0 {
		v.fail(path, "has no key; make one with: echo \"2026-11 $(openssl rand -hex 32)\"")
	}
}

func keyName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 16
}

func (v *validator) domainNames() []string {
	var names []string
	for _, d := range v.cfg.Domains {
		names = append(names, d.Names...)
	}
	return names
}

// class reports whether s can be a class of held mail.
func class(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}
