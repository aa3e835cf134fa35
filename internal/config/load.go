package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sekimori/internal/mail"
)

// base holds the defaults that do not depend on whether there is a file.
func base() *Config {
	return &Config{
		Hostname: hostname(),
		Role:     "all",
		Landlock: "auto",
		SMTP: SMTP{
			MaxMessageSize:          36 << 20,
			MaxRecipients:           100,
			MaxConnections:          10000,
			MaxConnectionsPerClient: 50,
			MaxErrors:               20,
			MaxFailedRecipients:     20,
			MaxFailedPerNetwork:     Rate{100, 10 * time.Minute},
			IdleTimeout:             Duration(5 * time.Minute),
			Lifetime:                Duration(time.Hour),
			EarlyTalkerPause:        Duration(4 * time.Second),
			DrainTimeout:            Duration(30 * time.Second),
		},
		HTTP:    HTTP{Listen: "127.0.0.1:8025"},
		Metrics: Metrics{Listen: "127.0.0.1:9025"},
		Console: defaultConsole(),
		DNS:     DNS{Timeout: Duration(2 * time.Second)},
		Redis:   Redis{Timeout: Duration(500 * time.Millisecond)},
		Policy: Policy{
			Mode:     "enforce",
			Deadline: Duration(5 * time.Second),

			KeepVersions:     100,
			Retreat:          defaultRetreat(),
			NodesAgreeWithin: Duration(10 * time.Minute),
		},
		Degraded: map[string]string{},
		Relay: Relay{
			Budget:          Duration(15 * time.Second),
			LateAnswer:      Duration(10 * time.Minute),
			QueueLifetime:   Duration(5 * 24 * time.Hour),
			DiskReserve:     256 << 20,
			LedgerRetention: Duration(30 * 24 * time.Hour),
			LedgerCheck:     Duration(10 * time.Minute),
		},
		History:    defaultHistory(),
		Recipients: defaultRecipients(),
		Quarantine: Quarantine{
			Retention: Duration(14 * 24 * time.Hour),
			Quota:     2 << 30,

			LinkLifetime:    Duration(14 * 24 * time.Hour),
			LinkOpens:       "mail",
			LinkKeyRotation: Duration(30 * 24 * time.Hour),

			Undo: Duration(time.Minute), AdminOnly: defaultAdminOnly(), Learn: "all",
		},
		Allow: defaultAllow(), Audit: defaultAudit(), Bayes: defaultBayes(),
		Log:     Log{Level: "info"},
		Filters: map[string]any{},
	}
}

// hostname is the machine's name when it can stand in HELO, else localhost.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	d, err := mail.ParseDomain(name)
	if err != nil {
		return "localhost"
	}
	return d
}

// Default is the configuration without a file: loopback, the embedded store and a Maildir under ./sekimori-data, for the
// domain example.test with any recipient.
func Default() *Config {
	c := base()
	c.DataDir = "./sekimori-data"
	c.SMTP.Listeners = []Listener{{Listen: []string{"127.0.0.1:2525"}, Purpose: "mx"}}
	c.Bounce.complete(c)
	c.Journal.complete(c)
	c.Digest.complete(nil)
	c.Domains = []Domain{{
		Names:      []string{"example.test"},
		Recipients: "any",
		Backends:   []Backend{{URL: "maildir:" + filepath.Join(c.DataDir, "maildir"), Weight: 1, MaxConnections: 15, TLS: BackendTLS{Mode: "none"}}},
	}}
	return c
}

// Options changes how a file is loaded. The zero Options are those of Load.
type Options struct {
	// Checks are the names that [filters.NAME] may have; nil: any.
	Checks []string
	// SkipFiles does not look at the files that the configuration names (certificates, keys, recipients, rules_dir), for
	// a configuration of another machine.
	SkipFiles bool
	// Env is the environment; nil: the process's.
	Env func(name string) string
	// LocalAddrs are this machine's addresses; nil: asked of the system.
	LocalAddrs func() []netip.Addr
}

// Load reads and checks a configuration file. The error is an Errors with everything that is wrong.
func Load(path string) (*Config, error) { return LoadWith(path, Options{}) }

// LoadWith is Load with options.
func LoadWith(path string, o Options) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return Parse(path, text, o)
}

// Parse is LoadWith for text that was already read; file is what errors call it, and relative paths count from its
// directory. On an error the Config is nil.
func Parse(file string, text []byte, o Options) (*Config, error) {
	c, err := parseAll(file, text, o)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Inspect is LoadWith for finding further errors: beside the error it returns what could be read, which is not fit to run
// with; nil when nothing could be read.
func Inspect(path string, o Options) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return parseAll(path, text, o)
}

func parseAll(file string, text []byte, o Options) (*Config, error) {
	doc, err := parseDocument(file, text)
	if err != nil {
		return nil, err
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	if o.LocalAddrs == nil {
		o.LocalAddrs = localAddrs
	}
	doc.env, doc.skipFiles = o.Env, o.SkipFiles
	c := base()
	c.File, c.doc = file, doc
	d := decoder{doc: doc}
	d.decode(nil, doc.root, c)
	c.complete()
	v := validator{cfg: c, doc: doc, opts: o}
	v.run()
	return c, append(d.errs, v.errs.notAt(d.errs)...).orNil()
}

// complete fills in what depends on other values: short forms, elements' defaults, paths.
func (c *Config) complete() {
	for i := range c.SMTP.Listeners {
		if l := &c.SMTP.Listeners[i]; l.Purpose == "" {
			l.Purpose = "mx"
		}
	}
	if len(c.SMTP.Listeners) == 0 {
		c.SMTP.Listeners = []Listener{{Listen: []string{":25"}, Purpose: "mx"}}
	}
	if c.DataDir == "" {
		c.DataDir = "/var/lib/sekimori"
	}
	c.completeDirectories()
	c.Bounce.complete(c)
	c.Journal.complete(c)
	for i := range c.Domains {
		d := &c.Domains[i]
		short := make([]Backend, len(d.BackendURLs))
		for j, u := range d.BackendURLs {
			short[j].URL = u
		}
		d.Backends = slices.Concat(short, d.Backends)
		if d.OnBackendDown == "" {
			d.OnBackendDown = "spool"
		}
		for j := range d.Backends {
			from := []string{"domain", strconv.Itoa(i), "backend", strconv.Itoa(j - len(short))}
			d.Backends[j].complete(c.doc, from)
		}
		d.completeRoutes(c.doc, i)
	}
}

// complete fills in what the file does not say; a 0 that it does say is an error of validation.
func (b *Backend) complete(doc *document, path []string) {
	if b.Weight == 0 && !doc.has(append(path, "weight")...) {
		b.Weight = 1
	}
	if b.MaxConnections == 0 && !doc.has(append(path, "max_connections")...) {
		b.MaxConnections = 15
	}
	if b.TLS.Mode == "" {
		b.TLS.Mode = "opportunistic"
	}
	if b.Client == "" {
		b.Client = "none"
	}
	if !b.Chunking && !doc.has(append(path, "chunking")...) {
		b.Chunking = true
	}
}
