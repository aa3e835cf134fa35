package config

import (
	"net/url"
	"strings"
	"time"
)

// OIDC is [console.oidc]: single sign-on with one provider (OpenID Connect), for persons and for administrators.
type OIDC struct {
	Issuer   string `toml:"issuer"` // https://…, exactly as the provider writes it; "": there is none
	ClientID string `toml:"client_id"`

	ClientSecretFile string `toml:"client_secret_file"`
	// ClientSecret is read at Load from ClientSecretFile, the credential console.oidc.client_secret or
	// SEKIMORI_CONSOLE_OIDC_CLIENT_SECRET; "": a public client, which PKCE alone protects.
	ClientSecret Secret `toml:"-"`

	CAFile  string   `toml:"ca_file"` // default: the authorities of the system
	Scopes  []string `toml:"scopes"`  // default openid, email, profile
	Timeout Duration `toml:"timeout"` // of one question to the provider; default 10s

	// Require are claims that must have these values, such as hd of Google.
	Require map[string]string `toml:"require"`

	Persons bool `toml:"persons"` // people may come, too, to their own held mail; default true
	// EmailClaim has the address of a person, and VerifiedClaim says that the provider has made sure of it; "": it always has.
	EmailClaim    string `toml:"email_claim"`    // default email
	VerifiedClaim string `toml:"verified_claim"` // default email_verified

	NameClaim string       `toml:"name_claim"` // what an administrator is called in the audit log; default preferred_username
	RoleClaim string       `toml:"role_claim"` // its values give the role; dots lead into objects; default groups
	Roles     ConsoleRoles `toml:"roles"`

	// SessionLifetime is after how long at the latest somebody is sent to the provider again; default 4h.
	SessionLifetime Duration `toml:"session_lifetime"`
}

// ConsoleRoles says which values of a claim, or which groups of a directory, have a role. Who has several has the mightiest.
type ConsoleRoles struct {
	Admin    []string `toml:"admin"`
	Helpdesk []string `toml:"helpdesk"`
	Auditor  []string `toml:"auditor"`
}

// RoleValues are the values of one role.
type RoleValues struct {
	Role   string
	Values []string
}

// List gives the roles, the mightiest first.
func (r *ConsoleRoles) List() []RoleValues {
	return []RoleValues{{"admin", r.Admin}, {"helpdesk", r.Helpdesk}, {"auditor", r.Auditor}}
}

// Empty reports whether nothing has a role.
func (r *ConsoleRoles) Empty() bool { return len(r.Admin)+len(r.Helpdesk)+len(r.Auditor) == 0 }

// Enabled reports whether there is single sign-on.
func (o *OIDC) Enabled() bool { return o.Issuer != "" }

// SSOCallback is where the provider sends browsers back to: the redirect URI that is registered there.
func (c *Config) SSOCallback() string {
	return strings.TrimSuffix(c.HTTP.PublicURL, "/") + "/sso/callback"
}

func defaultOIDC() OIDC {
	return OIDC{
		Scopes: []string{"openid", "email", "profile"}, Timeout: Duration(10 * time.Second), Persons: true, EmailClaim: "email",
		VerifiedClaim: "email_verified", NameClaim: "preferred_username", RoleClaim: "groups", SessionLifetime: Duration(4 * time.Hour),
	}
}

// everybodysTenant reports whether an issuer of Microsoft stands for all organisations of the world at once.
func everybodysTenant(u *url.URL) bool {
	tenant, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	return strings.HasSuffix(u.Hostname(), "microsoftonline.com") && (tenant == "common" || tenant == "organizations" || tenant == "consumers")
}
