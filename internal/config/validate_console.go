package config

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"time"
)

// Console is [console]: who signs in at the pages.
type Console struct {
	// UsersFile has the administrators with passwords; "": console.users in data_dir, see Users.
	UsersFile       string   `toml:"users_file"`
	SessionIdle     Duration `toml:"session_idle"`     // default 30m
	SessionLifetime Duration `toml:"session_lifetime"` // default 12h
	OIDC            OIDC     `toml:"oidc"`

	LDAP ConsoleLDAP `toml:"ldap"`
}

func defaultConsole() Console {
	return Console{SessionIdle: Duration(30 * time.Minute), SessionLifetime: Duration(12 * time.Hour), OIDC: defaultOIDC(), LDAP: defaultConsoleLDAP()}
}

// Users is the file of the administrators with passwords. It need not be there.
func (c *Config) Users() string {
	if c.Console.UsersFile != "" {
		return c.Console.UsersFile
	}
	return filepath.Join(c.DataDir, "console.users")
}

func (v *validator) console() {
	c := &v.cfg.Console
	c.UsersFile = v.doc.resolve(c.UsersFile)
	if d := c.SessionIdle.D(); d < time.Minute || d > 24*time.Hour {
		v.fail("console.session_idle", "must be from 1m to 24h")
	}
	if d := c.SessionLifetime.D(); d < c.SessionIdle.D() || d > 30*24*time.Hour {
		v.fail("console.session_lifetime", "must be from console.session_idle to 30d")
	}
	v.oidc()
	v.consoleLDAP()
	if u, err := url.Parse(v.cfg.HTTP.PublicURL); err == nil && u.Scheme == "http" && u.Hostname() != "localhost" {
		if a, err := netip.ParseAddr(u.Hostname()); err != nil || !a.IsLoopback() {
			v.warn("http.public_url", "passwords and held mail cross the network in clear text, and cookies are not protected: use https://")
		}
	}
	if v.cfg.Role == "mx" && v.doc != nil && (v.doc.has("http", "listen") || v.doc.has("console")) {
		v.warn("role", `is "mx": no pages are served and no digests are sent from this host, and http.listen is not listened on`)
	}
}
