// Package config reads the configuration file: strictly, with every error as file:line:column at once.
package config

import (
	"net/netip"
	"strings"
	"time"
)

// Config is the whole configuration, checked and with its defaults filled in. It is not changed after Load; a reload
// makes a new one.
type Config struct {
	File     string `toml:"-"` // as given; empty without --config
	Hostname string `toml:"hostname"`
	DataDir  string `toml:"data_dir"`
	RulesDir string `toml:"rules_dir"`
	Role     string `toml:"role"`     // all | mx | console
	Landlock string `toml:"landlock"` // auto | off | required; default auto

	SMTP       SMTP              `toml:"smtp"`
	HTTP       HTTP              `toml:"http"`
	Metrics    Metrics           `toml:"metrics"`
	Console    Console           `toml:"console"`
	DNS        DNS               `toml:"dns"`
	Redis      Redis             `toml:"redis"`
	Policy     Policy            `toml:"policy"`
	Degraded   map[string]string `toml:"degraded"` // dependency (dns, redis) -> skip | defer | hold
	Domains    []Domain          `toml:"domain"`
	LDAP       map[string]*LDAP  `toml:"ldap"`
	SQL        map[string]*SQL   `toml:"sql"`
	Relay      Relay             `toml:"relay"`
	Bounce     Bounce            `toml:"bounce"`
	Journal    Journal           `toml:"journal"`
	Recipients Recipients        `toml:"recipients"`
	Quarantine Quarantine        `toml:"quarantine"`
	Bayes      Bayes             `toml:"bayes"`
	Digest     Digest            `toml:"digest"`
	Allow      Allow             `toml:"allow"`
	Audit      Audit             `toml:"audit"`
	History    History           `toml:"history"`
	Alert      Alert             `toml:"alert"`
	Log        Log               `toml:"log"`
	Filters    map[string]any    `toml:"filters"` // decoded by the checks through Section

	// Warnings are things that work but should be mended, such as a key file that everybody can read.
	Warnings Errors `toml:"-"`

	doc *document
}

// SMTP is [smtp]: the front.
type SMTP struct {
	MaxMessageSize Size   `toml:"max_message_size"`
	MaxRecipients  int    `toml:"max_recipients"` // per transaction; default 100 (RFC 5321 4.5.3.1.8)
	TLSCertFile    string `toml:"tls_cert_file"`
	TLSKeyFile     string `toml:"tls_key_file"`
	// TLSClientCAFile holds the certificates in PEM by which certificates of clients are checked. With it clients are asked for
	// one; that they have none, or another, is a fact for rules and stops nobody.
	TLSClientCAFile string         `toml:"tls_client_ca_file"`
	MyNetworks      []netip.Prefix `toml:"mynetworks"`
	TrustedRelays   []netip.Prefix `toml:"trusted_relays"`
	// TrustedRelaysReject lets a rejection be spoken to a trusted relay, which then sends the mail back to its sender. Default: it
	// becomes a hold of class refused.
	TrustedRelaysReject bool       `toml:"trusted_relays_reject"`
	Listeners           []Listener `toml:"listener"`

	MaxConnections          int `toml:"max_connections"`            // default 10000
	MaxConnectionsPerClient int `toml:"max_connections_per_client"` // per address (IPv6: /64); default 50
	MaxErrors               int `toml:"max_errors"`                 // bad commands of one connection; default 20
	MaxFailedRecipients     int `toml:"max_failed_recipients"`      // default 20
	// MaxFailedPerNetwork is how many unknown recipients a client network may ask for, over all connections and hosts.
	MaxFailedPerNetwork Rate     `toml:"max_failed_recipients_per_network"` // default 100/10m
	IdleTimeout         Duration `toml:"idle_timeout"`                      // default 5m (RFC 5321 4.5.3.2)
	Lifetime            Duration `toml:"lifetime"`                          // of one connection; default 1h
	EarlyTalkerPause    Duration `toml:"early_talker_pause"`                // default 4s, for suspects only
	DrainDelay          Duration `toml:"drain_delay"`                       // for which connections are still taken while /healthz says draining; default 0s
	DrainTimeout        Duration `toml:"drain_timeout"`                     // default 30s
	NormalizeBareLF     bool     `toml:"normalize_bare_lf"`                 // default false: 554 5.6.0
}

// Listener is [[smtp.listener]].
type Listener struct {
	Listen            []string       `toml:"listen"`
	ProxyProtocolFrom []netip.Prefix `toml:"proxy_protocol_from"`
	Purpose           string         `toml:"purpose"` // mx | internal
}

// HTTP is [http].
type HTTP struct {
	Listen         string         `toml:"listen"`
	PublicURL      string         `toml:"public_url"`
	TrustedProxies []netip.Prefix `toml:"trusted_proxies"`
	TLSCertFile    string         `toml:"tls_cert_file"`
	TLSKeyFile     string         `toml:"tls_key_file"`
}

// ReviewURL is where a sender may ask that the refusal of a mail be reviewed; "" without public_url.
func (h *HTTP) ReviewURL(id string) string {
	if h.PublicURL == "" {
		return ""
	}
	return strings.TrimSuffix(h.PublicURL, "/") + "/r/" + id
}

// Metrics is [metrics].
type Metrics struct {
	Listen string `toml:"listen"`
}

// DNS is [dns]. Servers are host:port; empty: those of /etc/resolv.conf.
type DNS struct {
	Servers        []string `toml:"servers"`
	BackendServers []string `toml:"backend_servers"`
	Timeout        Duration `toml:"timeout"` // of one try; default 2s
}

// Redis is [redis]. With nothing set the embedded store is used.
type Redis struct {
	URL      string `toml:"url"`
	Sentinel *struct {
		Master    string   `toml:"master"`
		Addresses []string `toml:"addresses"`
	} `toml:"sentinel"`
	Cluster      []string `toml:"cluster"`
	PasswordFile string   `toml:"password_file"`
	Password     Secret   `toml:"-"`       // read at Load from PasswordFile, the credential redis.password or SEKIMORI_REDIS_PASSWORD
	Timeout      Duration `toml:"timeout"` // of one command; default 500ms
}

// Embedded reports whether no Redis is configured.
func (r Redis) Embedded() bool { return r.URL == "" && r.Sentinel == nil && len(r.Cluster) == 0 }

// Policy is [policy].
type Policy struct {
	Mode       string             `toml:"mode"`       // observe | tag | hold | soft | enforce
	Defaults   string             `toml:"defaults"`   // version of the embedded rules; empty: the newest
	Disable    []string           `toml:"disable"`    // ids of default rules
	Thresholds map[string]float64 `toml:"thresholds"` // tag, hold, reject; an absent one never applies
	Deadline   Duration           `toml:"deadline"`   // for the checks of one stage; default 5s

	KeepVersions     int      `toml:"keep_versions"` // how many entries `rules history` has on each host; default 100
	Retreat          Retreat  `toml:"retreat"`
	NodesAgreeWithin Duration `toml:"nodes_agree_within"` // for how long hosts may have different rules before it is a warning; default 10m
}

// Domain is [[domain]].
type Domain struct {
	Names        []string  `toml:"names"`
	Recipients   string    `toml:"recipients"`    // any | file:PATH | unix | ldap:NAME | sql:NAME | callout
	Aliases      []string  `toml:"aliases"`       // alias files, asked before Recipients
	Subaddress   string    `toml:"subaddress"`    // each character separates a tag from the user; empty: none does
	InternalOnly []string  `toml:"internal_only"` // addresses that take mail from one's own networks only
	BackendURLs  []string  `toml:"backends"`      // short form of Backends
	Backends     []Backend `toml:"backend"`       // after Load all backends stand here
	Routes       []Route   `toml:"route"`
	Concurrency  int       `toml:"concurrency"` // deliveries from the queue at once; 0: relay.domain_concurrency
	// OnBackendDown says what happens while none of the domain's backends answers: spool (default) takes the mail and keeps
	// it, defer answers 451 so that the sender keeps it.
	OnBackendDown string   `toml:"on_backend_down"`
	Digest        DigestOf `toml:"digest"`
}

// Backend is [[domain.backend]]: where the mail of a domain goes.
type Backend struct {
	URL            string     `toml:"url"` // smtp://HOST:PORT, lmtp://, lmtp+unix://PATH, maildir:PATH
	Priority       int        `toml:"priority"`
	Weight         int        `toml:"weight"`
	MaxConnections int        `toml:"max_connections"` // default 15
	TLS            BackendTLS `toml:"tls"`

	Auth     BackendAuth `toml:"auth"`
	Client   string      `toml:"client"`   // none | xclient | xforward | proxy | proxy-v1; default none
	Chunking bool        `toml:"chunking"` // BDAT (RFC 3030) where it is offered; default true
}

// BackendAuth is how we log in at a backend; without a user we do not.
type BackendAuth struct {
	User           string   `toml:"user"`
	PasswordFile   string   `toml:"password_file"`
	Mechanisms     []string `toml:"mechanisms"`      // of AuthMechanisms; default all; the strongest that is offered is used
	AllowCleartext bool     `toml:"allow_cleartext"` // log in on a connection without TLS as well
	Password       Secret   `toml:"-"`               // read at Load from PasswordFile, a credential or the environment
}

// AuthMechanisms are the SASL mechanisms that are known, the strongest first.
var AuthMechanisms = []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"}

// BackendTLS says whether and how the connection to a backend is encrypted.
type BackendTLS struct {
	Mode     string `toml:"mode"` // none | opportunistic | required; default opportunistic
	CAFile   string `toml:"ca_file"`
	Name     string `toml:"name"`
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
	// Fingerprint are SHA-256 digests of the public keys (SPKI) that the backend may show, in hex or base64. They replace the
	// check of name, dates and issuer.
	Fingerprint []string `toml:"fingerprint"`
}

// Route is [[domain.route]]: recipients that go elsewhere.
type Route struct {
	Match       []string      `toml:"match"`    // addresses with * as a wildcard in the local part; lower case after Load
	BackendURLs []string      `toml:"backends"` // short form of Backends
	Backends    RouteBackends `toml:"backend"`  // one URL, or tables; after Load all backends stand here
}

// RouteBackends may be written as one URL, which is short for one table with that url.
type RouteBackends []Backend

// Relay is [relay]: delivery to the backends.
type Relay struct {
	Budget        Duration `toml:"budget"`         // how long a client waits for a backend; default 15s
	LateAnswer    Duration `toml:"late_answer"`    // how long an answer to the final dot is awaited; default 10m
	QueueLifetime Duration `toml:"queue_lifetime"` // default 5d
	DiskReserve   Size     `toml:"disk_reserve"`   // below it new mail is answered 452; default 256MiB

	Retry             []Duration `toml:"retry"`              // waits between attempts, the last repeats; default 1m 2m 5m 10m 20m 30m
	DomainConcurrency int        `toml:"domain_concurrency"` // deliveries from the queue at once per domain; default 0: as many as the backends allow
	DelayWarning      Duration   `toml:"delay_warning"`      // age at which the sender is told that a mail still waits; default 0: never

	SpoolLimit      Size     `toml:"spool_limit"`       // octets of mail in the spool, from which on new mail is answered 452; default 0: no limit
	SpoolLimitMails int      `toml:"spool_limit_mails"` // the same for the number of mails; default 0: no limit
	LedgerRetention Duration `toml:"ledger_retention"`  // how long `queue show` can tell what became of a mail; default 30d
	LedgerCheck     Duration `toml:"ledger_check"`      // how often serve compares the ledger with what is kept; default 10m
}

// Quarantine is [quarantine].
type Quarantine struct {
	Retention Duration `toml:"retention"` // default 14d
	Quota     Size     `toml:"quota"`     // default 2GiB; 0: none
	Keep      []Keep   `toml:"keep"`      // [[quarantine.keep]]
	KeyFile   string   `toml:"key_file"`
	Key       Secret   `toml:"-"` // read at Load from KeyFile, the credential quarantine.key or SEKIMORI_QUARANTINE_KEY

	EncryptionKeyFile string          `toml:"encryption_key_file"` // a line per key: id and 64 hexadecimal digits; the first encrypts; default: none
	EncryptionKeys    []EncryptionKey `toml:"-"`                   // read at Load from it, or the credential quarantine.encryption_key

	LinkLifetime    Duration `toml:"link_lifetime"`     // for how long a link of a digest opens; default 14d
	LinkOpens       string   `toml:"link_opens"`        // mail: the one it is about; list: all that is held for the person; default mail
	LinkKeyRotation Duration `toml:"link_key_rotation"` // for how long a key of the store signs; default 30d

	Undo      Duration    `toml:"undo"`       // how long a release waits before it leaves; default 1m
	AdminOnly []string    `toml:"admin_only"` // classes that only an administrator releases; default malware, macro
	Learn     string      `toml:"learn"`      // whose releases and deletions teach the Bayesian check: all | admin | off; default all
	Mark      ReleaseMark `toml:"mark"`
}

// EncryptionKey is a line of quarantine.encryption_key_file.
type EncryptionKey struct {
	ID  string
	Key Secret // 32 octets
}

// Keep is one [[quarantine.keep]]: for how long mail of a class, or for recipients of a domain, is kept. The first that fits decides.
type Keep struct {
	Class     string   `toml:"class"`     // "": every class
	Domain    string   `toml:"domain"`    // one of our domains; "": every domain
	Retention Duration `toml:"retention"` // 0: does not say
	Quota     Size     `toml:"quota"`     // octets held for the domain; 0: no limit of its own
}

// Alert is [alert].
type Alert struct {
	Lang string   `toml:"lang"` // ja | en; default: both, one below the other
	Mail []string `toml:"mail"`
}

// Log is [log].
type Log struct {
	Format string `toml:"format"` // json | text; default text on a terminal, else json
	Level  string `toml:"level"`  // debug | info | warn | error; default info
}

// Duration is a time.Duration written as "15s", "10m", "5d".
type Duration time.Duration

// D returns it as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Size is a number of bytes written as "36MiB" (2^20) or "25MB" (10^6).
type Size int64
