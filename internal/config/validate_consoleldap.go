package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ConsoleLDAP is [console.ldap]: administrators sign in with their password in a directory.
type ConsoleLDAP struct {
	Source string   `toml:"source"` // the NAME of [ldap.NAME], which says how to connect; "": there is none
	Bases  []string `toml:"bases"`  // below these the accounts are; default: those of the source
	// Filter finds the account; {name} is what was typed. Default: of Active Directory sAMAccountName and userPrincipalName of accounts
	// that are not switched off, else (uid={name}).
	Filter string `toml:"filter"`

	RoleAttribute string       `toml:"role_attribute"` // "": the values of Roles are the DNs of groups; else values of this attribute of the account
	Roles         ConsoleRoles `toml:"roles"`

	Timeout Duration `toml:"timeout"` // of one sign-in; default 10s
	// SessionGrace is how long a session goes on while the directory cannot be asked whether the account still has its role; default 30m.
	SessionGrace Duration `toml:"session_grace"`
}

// Enabled reports whether administrators sign in with a directory.
func (l *ConsoleLDAP) Enabled() bool { return l.Source != "" }

func defaultConsoleLDAP() ConsoleLDAP {
	return ConsoleLDAP{Timeout: Duration(10 * time.Second), SessionGrace: Duration(30 * time.Minute)}
}

// nameForm is a comparison with the name in a filter.
var nameForm = regexp.MustCompile(`\([A-Za-z0-9.;-]+=[^()*]*\{name\}[^()*]*\)`)

// consoleLDAP checks [console.ldap].
func (v *validator) consoleLDAP() {
	const path = "console.ldap"
	l := &v.cfg.Console.LDAP
	if !l.Enabled() {
		if v.doc.has("console", "ldap") {
			v.fail(path, "source is missing: the NAME of a table [ldap.NAME], which says how to reach the directory")
		}
		return
	}
	v.loginSource(path+".source", l.Source)
	for i, b := range l.Bases {
		if !dnForm.MatchString(b) {
			v.fail(at(path+".bases", i), "%q is not a distinguished name such as OU=People,DC=example,DC=jp", b)
		}
	}
	switch {
	case l.Filter == "":
	case !balanced(l.Filter):
		v.fail(path+".filter", "%q is not a filter in brackets such as (uid={name}) (RFC 4515)", l.Filter)
	case !strings.Contains(l.Filter, "{name}"):
		v.fail(path+".filter", "has no {name}, the place of what was typed: (uid={name})")
	case len(nameForm.FindAllString(l.Filter, -1)) != strings.Count(l.Filter, "{name}"):
		v.fail(path+".filter", "{name} must be compared as a whole with one attribute, such as (uid={name}) or (mail={name}@example.jp)")
	}
	if l.RoleAttribute != "" && !attributeForm.MatchString(l.RoleAttribute) {
		v.fail(path+".role_attribute", "%q is not the name of an attribute", l.RoleAttribute)
	}
	if d := l.Timeout.D(); d < time.Second || d > time.Minute {
		v.fail(path+".timeout", "must be from 1s to 1m")
	}
	if d := l.SessionGrace.D(); d < 0 || d > 24*time.Hour {
		v.fail(path+".session_grace", "must be from 0s to 24h")
	}
	v.loginRoles(path, l)
}

// loginSource checks that there is such a directory, and that passwords reach it encrypted.
func (v *validator) loginSource(path, name string) {
	src := v.cfg.LDAP[name]
	if src == nil {
		known := sortedKeys(v.cfg.LDAP)
		v.fail(path, "there is no [ldap.%s]%s", quoteKey(name), hint(name, known))
		return
	}
	if !src.StartTLS && slices.ContainsFunc(src.URLs, func(u string) bool { return plainElsewhere(u) }) {
		v.fail(path, "passwords of administrators would cross the network in clear text: ldap.%s needs ldaps:// or starttls", quoteKey(name))
	}
}

// plainElsewhere reports whether a URL is ldap:// to another machine.
func plainElsewhere(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "ldap" && !local(u.Hostname())
}

func (v *validator) loginRoles(path string, l *ConsoleLDAP) {
	v.roles(path+".roles", &l.Roles)
	if l.Roles.Empty() {
		v.fail(path, "nobody could sign in: roles has no value for admin, helpdesk or auditor")
	}
	if l.RoleAttribute != "" {
		return
	}
	for _, r := range l.Roles.List() {
		for i, dn := range r.Values {
			if strings.TrimSpace(dn) != "" && !dnForm.MatchString(dn) {
				v.fail(at(path+".roles."+r.Role, i), "%q is not the distinguished name of a group such as CN=Mail Admins,OU=Groups,DC=example,DC=jp; values of an attribute need role_attribute", dn)
			}
		}
	}
}
