package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// recipientSources checks [ldap.NAME] and [sql.NAME], whether or not a domain names them.
func (v *validator) recipientSources() {
	for _, name := range sortedKeys(v.cfg.LDAP) {
		v.ldap("ldap."+quoteKey(name), v.cfg.LDAP[name])
	}
	for _, name := range sortedKeys(v.cfg.SQL) {
		v.sql("sql."+quoteKey(name), v.cfg.SQL[name])
	}
}

// recipientSource checks the NAME of recipients = "ldap:NAME" or "sql:NAME".
func (v *validator) recipientSource(path, kind, name string) {
	var known []string
	if kind == "ldap" {
		known = sortedKeys(v.cfg.LDAP)
	} else {
		known = sortedKeys(v.cfg.SQL)
	}
	switch {
	case name == "":
		v.fail(path, `%s needs the name of a table: "%s:NAME" for [%s.NAME]`, kind, kind, kind)
	case !slices.Contains(known, name):
		v.fail(path, "there is no [%s.%s]%s", kind, quoteKey(name), hint(name, known))
	}
}

func (v *validator) ldap(path string, l *LDAP) {
	if len(l.URLs) == 0 {
		v.fail(path, "urls are missing, such as ldaps://dc1.example.jp")
	}
	plain := false
	for i, u := range l.URLs {
		plain = v.ldapURL(at(path+".urls", i), u) && !l.StartTLS || plain
	}
	if plain && l.BindDN != "" {
		v.warn(path+".starttls", "the password crosses the network in clear text; use STARTTLS or ldaps://")
	}
	v.caFile(path+".ca_file", &l.CAFile)
	v.pair(path+".cert_file", path+".key_file", &l.CertFile, &l.KeyFile)
	v.tlsName(path+".tls_name", l.TLSName)
	v.ldapBind(path, l)
	v.oneOf(path+".kind", l.Kind, "auto", "ad", "openldap")
	v.oneOf(path+".scope", l.Scope, "sub", "one")
	if len(l.Bases) == 0 {
		v.fail(path, "bases are missing: where to search, such as DC=example,DC=jp")
	}
	for i, b := range l.Bases {
		if !dnForm.MatchString(b) {
			v.fail(at(path+".bases", i), "%q is not a distinguished name such as OU=People,DC=example,DC=jp", b)
		}
	}
	if l.Filter != "" && !balanced(l.Filter) {
		v.fail(path+".filter", "%q is not a filter in brackets such as (mail=*) (RFC 4515)", l.Filter)
	}
	v.attributes(path+".attributes", &l.Attributes)
	if l.PageSize < 1 || l.PageSize > 100_000 {
		v.fail(path+".page_size", "must be from 1 to 100000")
	}
	v.positive(path, map[string]Duration{
		"connect_timeout": l.ConnectTimeout, "timeout": l.Timeout, "lookup_timeout": l.LookupTimeout,
	})
	v.times(path, l.SyncEvery, l.FullEvery, l.StaleAfter)
}

// ldapURL reports whether it is ldap:// to another machine.
func (v *validator) ldapURL(path, s string) bool {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps":
		v.fail(path, "%q is not a URL such as ldaps://dc1.example.jp or ldap://dc1.example.jp:389", hideUser(s))
		return false
	case u.User != nil:
		v.fail(path, "a user and a password cannot stand in the URL: bind_dn and password_file are for that")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		v.fail(path, "%q has something behind the host: bases, scope and filter are keys of their own", s)
	case u.Port() != "":
		if _, _, err := hostPort(u.Host, false); err != nil {
			v.fail(path, "%v", err)
		}
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !mail.IsHostname(strings.ToLower(u.Hostname())) {
		v.fail(path, "%q is not a host", u.Hostname())
	}
	return u.Scheme == "ldap" && !local(u.Hostname())
}

func (v *validator) ldapBind(path string, l *LDAP) {
	l.PasswordFile = v.doc.resolve(l.PasswordFile)
	if l.BindDN == "" {
		if l.PasswordFile != "" {
			v.fail(path+".password_file", "there is no bind_dn that it could be for")
		}
		return
	}
	l.Password = v.secret(path+".password_file", l.PasswordFile)
	if l.Password == "" && l.PasswordFile == "" && !v.opts.SkipFiles {
		// RFC 4513 5.1.2: a name without a password binds as nobody, and the server says that all is well.
		v.fail(path+".bind_dn", "needs password_file: without a password the directory takes us for anonymous")
	}
}

func (v *validator) attributes(path string, a *LDAPAttributes) {
	check := func(path, name string) {
		if name != "" && !attributeForm.MatchString(name) {
			v.fail(path, "%q is not the name of an attribute", name)
		}
	}
	check(path+".id", a.ID)
	check(path+".proxy", a.Proxy)
	check(path+".internal", a.Internal)
	check(path+".lang", a.Lang)
	for key, list := range map[string][]string{"mail": a.Mail, "alias": a.Alias, "member": a.Member, "target": a.Target} {
		for i, name := range list {
			check(at(path+"."+key, i), name)
			if name == "" {
				v.fail(at(path+"."+key, i), "is empty")
			}
		}
	}
}

func (v *validator) sql(path string, s *SQL) {
	v.oneOf(path+".driver", s.Driver, "postgres", "mysql")
	s.DSNFile, s.PasswordFile = v.doc.resolve(s.DSNFile), v.doc.resolve(s.PasswordFile)
	s.DSN = v.secret(path+".dsn_file", s.DSNFile)
	if s.DSN != "" || s.DSNFile != "" {
		for _, key := range []string{"host", "port", "user", "password_file", "dbname", "tls", "ca_file", "tls_name"} {
			if v.doc.has(append(splitPath(path), key)...) {
				v.fail(path+"."+key, "stands in the DSN: give either dsn_file or host, user, password_file and dbname")
			}
		}
	} else {
		v.sqlParts(path, s)
	}
	v.query(path, "query", s.Query, s.Driver, 0)
	v.query(path, "lookup", s.Lookup, s.Driver, 1)
	v.query(path, "changed_since", s.ChangedSince, s.Driver, 1)
	if s.MaxConnections < 1 {
		v.fail(path+".max_connections", "must be at least 1")
	}
	v.positive(path, map[string]Duration{
		"connect_timeout": s.ConnectTimeout, "timeout": s.Timeout, "lookup_timeout": s.LookupTimeout,
	})
	v.times(path, s.SyncEvery, s.FullEvery, s.StaleAfter)
}

func (v *validator) sqlParts(path string, s *SQL) {
	for _, p := range []struct{ key, value, what string }{
		{"host", s.Host, "the server, such as 127.0.0.1 or /run/postgresql"},
		{"user", s.User, "who may read the recipients"},
		{"dbname", s.DBName, "the database"},
	} {
		if p.value == "" {
			v.fail(path, "%s is missing: %s (or dsn_file for all at once)", p.key, p.what)
		}
	}
	if _, err := netip.ParseAddr(s.Host); s.Host != "" && err != nil && !s.Socket() && !mail.IsHostname(strings.ToLower(s.Host)) {
		v.fail(path+".host", "%q is not a host, an address or the path of a socket", s.Host)
	}
	if s.Port < 1 && v.doc.has(append(splitPath(path), "port")...) || s.Port > 65535 {
		v.fail(path+".port", "must be from 1 to 65535")
	}
	s.Password = v.secret(path+".password_file", s.PasswordFile)
	v.oneOf(path+".tls", s.TLS, "verify", "none")
	v.caFile(path+".ca_file", &s.CAFile)
	v.tlsName(path+".tls_name", s.TLSName)
	switch {
	case s.TLS == "none" && (s.CAFile != "" || s.TLSName != ""):
		v.fail(path+".tls", `is "none", so nothing uses ca_file and tls_name; say tls = "verify"`)
	case s.TLS == "none" && s.Host != "" && !s.Socket() && !local(s.Host):
		v.warn(path+".tls", "the password and the recipients cross the network in clear text")
	}
}

// query checks the form of one query and the number of its parameters.
func (v *validator) query(path, key, q, driver string, params int) {
	if strings.TrimSpace(q) == "" {
		if key == "query" {
			v.fail(path, "query is missing: SELECT … AS address of all recipients")
		}
		return
	}
	at := path + "." + key
	verb := strings.ToLower(firstWord.FindString(q))
	if !slices.Contains([]string{"select", "with", "table", "values"}, verb) {
		v.fail(at, "must be a SELECT: it is run in a read-only transaction")
	}
	text := quotedSQL.ReplaceAllString(q, "")
	if strings.Contains(strings.TrimRight(strings.TrimSpace(text), ";"), ";") {
		v.fail(at, "must be one statement")
	}
	found, mark := strings.Count(text, "?"), "?"
	if driver == "postgres" {
		mark = "$1"
		all := dollar.FindAllString(text, -1)
		slices.Sort(all)
		found = len(slices.Compact(all))
	}
	switch {
	case driver != "postgres" && driver != "mysql":
	case params == 0 && found > 0:
		v.fail(at, "has a parameter %s, but there is nothing to put there", mark)
	case params == 1 && found != 1:
		v.fail(at, "must have one parameter, written %s, not %d", mark, found)
	}
}

func (v *validator) times(path string, sync, full, stale Duration) {
	v.positive(path, map[string]Duration{"sync_every": sync, "full_every": full, "stale_after": stale})
	if full > 0 && sync > full {
		v.fail(path+".full_every", "is shorter than sync_every")
	}
	if stale > 0 && sync > stale {
		v.fail(path+".stale_after", "is shorter than sync_every: the snapshot would be stale between two syncs")
	}
}

func (v *validator) positive(path string, values map[string]Duration) {
	for key, d := range values {
		if d <= 0 {
			v.fail(path+"."+key, "must be above 0")
		}
	}
}

func (v *validator) tlsName(path, name string) {
	if name != "" && !mail.IsHostname(strings.ToLower(name)) {
		v.fail(path, "%q is not a host name", name)
	}
}

func local(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// balanced reports whether a filter is one pair of brackets around balanced ones.
func balanced(filter string) bool {
	depth := 0
	for i := 0; i < len(filter); i++ {
		switch filter[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth < 1 && i < len(filter)-1 {
			return false
		}
	}
	return depth == 0 && len(filter) > 2
}

var (
	dnForm        = regexp.MustCompile(`^\s*[A-Za-z0-9.-]+\s*=[^,]+(,\s*[A-Za-z0-9.-]+\s*=.+)*$`)
	attributeForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*(;[A-Za-z0-9-]+)*$|^[0-9]+(\.[0-9]+)+$`)
	firstWord     = regexp.MustCompile(`[A-Za-z]+`)
	dollar        = regexp.MustCompile(`\$[0-9]+`)
	quotedSQL     = regexp.MustCompile(`'[^']*'|"[^"]*"|--[^\n]*|/\*[\s\S]*?\*/`)
)
