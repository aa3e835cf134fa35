package config

import (
	"slices"
	"time"
)

// LDAP is [ldap.NAME]: a directory that a domain names with recipients = "ldap:NAME".
type LDAP struct {
	Name string `toml:"-"`

	// URLs are tried in order: ldaps://HOST[:636], or ldap://HOST[:389], which is encrypted by STARTTLS.
	URLs     []string `toml:"urls"`
	StartTLS bool     `toml:"starttls"` // for ldap://; default true
	CAFile   string   `toml:"ca_file"`  // default: the authorities of the system
	TLSName  string   `toml:"tls_name"` // the name in the certificate; default: the host of the URL
	CertFile string   `toml:"cert_file"`
	KeyFile  string   `toml:"key_file"`

	BindDN       string `toml:"bind_dn"` // empty: anonymous; AD also takes user@domain
	PasswordFile string `toml:"password_file"`
	Password     Secret `toml:"-"` // read at Load from PasswordFile, the credential ldap.NAME.password or SEKIMORI_LDAP_NAME_PASSWORD

	Kind       string         `toml:"kind"` // auto | ad | openldap; default auto: told by the root DSE
	Bases      []string       `toml:"bases"`
	Scope      string         `toml:"scope"`  // sub | one; default sub
	Filter     string         `toml:"filter"` // default: by kind, everything that has an address
	Attributes LDAPAttributes `toml:"attributes"`
	// RuleAttributes are read for rules, which ask for them by rcpt.attr("NAME"); case does not matter.
	RuleAttributes []string `toml:"rule_attributes"`

	PageSize       int      `toml:"page_size"`       // default 1000, the most that AD gives (RFC 2696)
	ConnectTimeout Duration `toml:"connect_timeout"` // with TLS and bind; default 5s
	Timeout        Duration `toml:"timeout"`         // of one page; default 30s
	LookupTimeout  Duration `toml:"lookup_timeout"`  // of a question during RCPT; default 3s
	SyncEvery      Duration `toml:"sync_every"`      // changes; default 5m
	FullEvery      Duration `toml:"full_every"`      // everything; default 24h
	StaleAfter     Duration `toml:"stale_after"`     // an older snapshot does not say that somebody is unknown; default 15m
}

// LDAPAttributes is [ldap.NAME.attributes]. An empty one means the default of the kind of directory; names are compared
// without regard to case.
type LDAPAttributes struct {
	ID       string   `toml:"id"`       // stable name of an object; ad: objectGUID, openldap: entryUUID
	Proxy    string   `toml:"proxy"`    // addresses with a type, SMTP: for the primary; ad: proxyAddresses
	Mail     []string `toml:"mail"`     // the first value of the first is the primary, where Proxy names none; mail
	Alias    []string `toml:"alias"`    // further addresses; openldap: mailLocalAddress, mailAlternateAddress
	Member   []string `toml:"member"`   // DNs of a group's members; member, uniqueMember
	Target   []string `toml:"target"`   // addresses that an alias stands for; openldap: rfc822MailMember
	Internal string   `toml:"internal"` // TRUE: only one's own people may write; ad: msExchRequireAuthToSendTo
	Lang     string   `toml:"lang"`     // preferredLanguage
}

// SQL is [sql.NAME]: a database that a domain names with recipients = "sql:NAME".
type SQL struct {
	Name string `toml:"-"`

	Driver string `toml:"driver"` // postgres | mysql (MariaDB too)

	DSNFile string `toml:"dsn_file"`
	DSN     Secret `toml:"-"` // read at Load from DSNFile, the credential sql.NAME.dsn or SEKIMORI_SQL_NAME_DSN; instead of all below

	Host         string `toml:"host"` // a name, an address, or the path of a Unix socket (PostgreSQL: of its directory)
	Port         int    `toml:"port"` // default 5432 or 3306
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	Password     Secret `toml:"-"` // as DSN: sql.NAME.password
	DBName       string `toml:"dbname"`
	TLS          string `toml:"tls"` // verify | none; default verify, none on this machine
	CAFile       string `toml:"ca_file"`
	TLSName      string `toml:"tls_name"`

	// Query gives all recipients; columns by name: address, and if wanted id, owner, targets, internal, lang.
	Query string `toml:"query"`
	// Lookup asks for one address: the same columns, one parameter ($1, ?) in lower case with A-labels.
	Lookup string `toml:"lookup"`
	// ChangedSince gives the rows that changed since a time of the database's own clock, its one parameter; the same columns,
	// and deleted.
	ChangedSince string `toml:"changed_since"`
	// RuleAttributes are further columns of the queries, for rules, which ask for them by rcpt.attr("NAME"). Rows of one address give
	// one value each.
	RuleAttributes []string `toml:"rule_attributes"`

	MaxConnections int      `toml:"max_connections"` // default 4
	ConnectTimeout Duration `toml:"connect_timeout"` // default 5s
	Timeout        Duration `toml:"timeout"`         // of Query and ChangedSince; default 2m
	LookupTimeout  Duration `toml:"lookup_timeout"`  // default 3s
	SyncEvery      Duration `toml:"sync_every"`      // default 5m
	FullEvery      Duration `toml:"full_every"`      // default 24h; without ChangedSince every sync is full
	StaleAfter     Duration `toml:"stale_after"`     // default 15m
}

// completeDirectories fills in what the tables do not say.
func (c *Config) completeDirectories() {
	type def struct {
		key   string
		value *Duration
		def   time.Duration
	}
	fill := func(kind, name string, defs []def) {
		for _, d := range defs {
			if *d.value == 0 && !c.doc.has(kind, name, d.key) {
				*d.value = Duration(d.def)
			}
		}
	}
	for name, l := range c.LDAP {
		l.Name = name
		fill("ldap", name, []def{
			{"connect_timeout", &l.ConnectTimeout, 5 * time.Second},
			{"timeout", &l.Timeout, 30 * time.Second},
			{"lookup_timeout", &l.LookupTimeout, 3 * time.Second},
			{"sync_every", &l.SyncEvery, 5 * time.Minute},
			{"full_every", &l.FullEvery, 24 * time.Hour},
			{"stale_after", &l.StaleAfter, 15 * time.Minute},
		})
		if !c.doc.has("ldap", name, "starttls") {
			l.StartTLS = true
		}
		if l.PageSize == 0 && !c.doc.has("ldap", name, "page_size") {
			l.PageSize = 1000
		}
		l.Kind, l.Scope = orElse(l.Kind, "auto"), orElse(l.Scope, "sub")
	}
	for name, s := range c.SQL {
		s.Name = name
		fill("sql", name, []def{
			{"connect_timeout", &s.ConnectTimeout, 5 * time.Second},
			{"timeout", &s.Timeout, 2 * time.Minute},
			{"lookup_timeout", &s.LookupTimeout, 3 * time.Second},
			{"sync_every", &s.SyncEvery, 5 * time.Minute},
			{"full_every", &s.FullEvery, 24 * time.Hour},
			{"stale_after", &s.StaleAfter, 15 * time.Minute},
		})
		if s.MaxConnections == 0 && !c.doc.has("sql", name, "max_connections") {
			s.MaxConnections = 4
		}
		if s.Port == 0 && !c.doc.has("sql", name, "port") {
			s.Port = map[string]int{"postgres": 5432, "mysql": 3306}[s.Driver]
		}
		if s.TLS == "" {
			s.TLS = "verify"
			if slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, s.Host) || s.Socket() {
				s.TLS = "none"
			}
		}
	}
}

// Socket reports whether Host is the path of a Unix socket.
func (s *SQL) Socket() bool { return s.Host != "" && s.Host[0] == '/' }

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
