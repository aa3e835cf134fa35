package config

import (
	"fmt"
	"time"

	"sekimori/internal/mail"
)

// Bounce is [bounce]: what leaves us for the world, which is reports to senders and mail that a rule redirects or copies to
// an address outside. All of it goes to one mail server that sends to the internet. Without it nothing leaves.
type Bounce struct {
	Relay   string  `toml:"relay"`   // short form of Backend
	Backend Backend `toml:"backend"` // after Load with its URL when there is one
	From    string  `toml:"from"`    // address in the header of reports; default postmaster@HOSTNAME
	Lang    string  `toml:"lang"`    // ja | en | both (default): the language of the part for people
}

// Configured reports whether there is a way out.
func (b *Bounce) Configured() bool { return b.Backend.URL != "" }

// Journal is [journal]: a copy of every accepted mail for an archive. It is off when neither To nor Backend is set.
type Journal struct {
	To       string     `toml:"to"`      // the archive's address; default with a backend: journal@HOSTNAME
	Backend  string     `toml:"backend"` // where it goes; empty: by the address, as mail for our domains or by [bounce]
	TLS      BackendTLS `toml:"tls"`
	Domains  []string   `toml:"domains"`  // only mail with a recipient in one of these; empty: all
	Format   string     `toml:"format"`   // plain (default): X-Sekimori-Envelope fields on top | envelope: a report with the mail attached
	Lifetime Duration   `toml:"lifetime"` // how long a copy waits for the archive; default 30d
}

// Enabled reports whether mail is journaled.
func (j *Journal) Enabled() bool { return j.To != "" || j.Backend != "" }

func (b *Bounce) complete(c *Config) {
	if b.Backend.URL == "" {
		b.Backend.URL = b.Relay
	}
	if b.Configured() {
		b.Backend.complete(c.doc, []string{"bounce", "backend"})
	}
	if b.From == "" {
		b.From = "postmaster@" + c.Hostname
	}
	if b.Lang == "" {
		b.Lang = "both"
	}
}

func (j *Journal) complete(c *Config) {
	if j.To == "" && j.Backend != "" {
		j.To = "journal@" + c.Hostname
	}
	if j.Format == "" {
		j.Format = "plain"
	}
	if j.Lifetime == 0 {
		j.Lifetime = Duration(30 * 24 * time.Hour)
	}
	if j.TLS.Mode == "" {
		j.TLS.Mode = "opportunistic"
	}
}

// Ours reports whether a domain, in A-labels and lower case, is one whose mail is accepted.
func (c *Config) Ours(domain string) bool {
	for i := range c.Domains {
		for _, n := range c.Domains[i].Names {
			if n == domain {
				return true
			}
		}
	}
	return false
}

// Reachable says why a mail cannot be sent to an address that the configuration or a rule names; nil when it can. An address
// of our domains goes to its backend, every other by [bounce].
func (c *Config) Reachable(a mail.Address) error {
	if c.Ours(a.Domain) || c.Bounce.Configured() {
		return nil
	}
	return fmt.Errorf("%s is not one of our domains, and without [bounce] nothing is sent elsewhere; set bounce.relay to the mail server that sends to the internet", a.Domain)
}
