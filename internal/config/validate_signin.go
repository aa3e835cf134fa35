package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`) // RFC 6749 section 3.3

// oidc checks [console.oidc].
func (v *validator) oidc() {
	const path = "console.oidc"
	o := &v.cfg.Console.OIDC
	o.ClientSecretFile = v.doc.resolve(o.ClientSecretFile)
	if !o.Enabled() {
		if v.doc.has("console", "oidc") {
			v.fail(path, "issuer is missing: the address of the provider, such as https://login.example.jp/realms/main")
		}
		return
	}
	v.issuer(path+".issuer", o.Issuer)
	if o.ClientID == "" {
		v.fail(path, "client_id is missing: the provider gives it out when the application is registered there")
	}
	if v.cfg.HTTP.PublicURL == "" {
		v.fail(path, "needs http.public_url: the provider sends browsers back to /sso/callback there")
	}
	o.ClientSecret = v.secret(path+".client_secret_file", o.ClientSecretFile)
	v.caFile(path+".ca_file", &o.CAFile)
	if !slices.Contains(o.Scopes, "openid") {
		v.fail(path+".scopes", `must have "openid"`)
	}
	for i, s := range o.Scopes {
		if !scopeForm.MatchString(s) {
			v.fail(at(path+".scopes", i), "%q is not a scope", s)
		}
	}
	if d := o.Timeout.D(); d < time.Second || d > time.Minute {
		v.fail(path+".timeout", "must be from 1s to 1m")
	}
	if d := o.SessionLifetime.D(); d < time.Minute || d > v.cfg.Console.SessionLifetime.D() {
		v.fail(path+".session_lifetime", "must be from 1m to console.session_lifetime")
	}
	v.claims(path, o)
	v.roles(path+".roles", &o.Roles)
	if !o.Persons && o.Roles.Empty() {
		v.fail(path, "nobody could sign in: persons is false, and roles has no value for admin, helpdesk or auditor")
	}
}

func (v *validator) issuer(path, s string) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		v.fail(path, "%q is not a URL such as https://login.example.jp/realms/main", hideUser(s))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		v.fail(path, "must have no user, query or fragment")
	case u.Scheme == "http" && !local(u.Hostname()):
		v.fail(path, "must be https: over http anybody on the way could sign in as anybody")
	case strings.HasSuffix(s, "/.well-known/openid-configuration"):
		v.fail(path, "is what stands before /.well-known/openid-configuration")
	case everybodysTenant(u):
		v.fail(path, "stands for every organisation of the world; give your own tenant: https://login.microsoftonline.com/TENANT-ID/v2.0")
	}
}

func (v *validator) claims(path string, o *OIDC) {
	for _, c := range []struct{ key, value string }{{"email_claim", o.EmailClaim}, {"name_claim", o.NameClaim}, {"role_claim", o.RoleClaim}} {
		if c.value == "" {
			v.fail(path+"."+c.key, "is empty: it must name a claim")
		}
	}
	for _, name := range sortedKeys(o.Require) {
		if name == "" || o.Require[name] == "" {
			v.fail(path+".require", "a claim and its value must not be empty")
		}
	}
	if o.VerifiedClaim == "" && o.Persons {
		v.warn(path+".verified_claim", "is empty: every address that the provider names counts; safe only where people cannot choose it themselves")
	}
}

// roles checks the values that have a role.
func (v *validator) roles(path string, r *ConsoleRoles) {
	seen := map[string]string{}
	for _, x := range r.List() {
		for i, value := range x.Values {
			switch {
			case strings.TrimSpace(value) == "":
				v.fail(at(path+"."+x.Role, i), "is empty")
			case seen[value] != "":
				v.fail(at(path+"."+x.Role, i), "%q has a role already: %s", value, seen[value])
			}
			seen[value] = x.Role
		}
	}
}
