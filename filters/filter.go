// Package filters holds every check, one file each. A check looks and says what it found; it knows no SMTP code, no
// threshold and no action. filter.go has the one ordered list of checks, chain.go runs a stage.
package filters

import (
	"context"
	"log/slog"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/mail"
	"sekimori/reputation"
)

// Check looks at a transaction at the stages of its Spec. It is called for many transactions at once and reads only:
// tx.Stage says which stage it is. An error means that it could not look, never that the mail is bad; it becomes
// <CHECK>_TEMPERROR. When it returns without an error and without Result.Skipped, it gives every fact it declared for
// that stage. It keeps to ctx's deadline.
type Check interface {
	Check(ctx context.Context, tx *mail.Transaction) (mail.Result, error)
}

// Spec declares a check: what it is called, when it runs, what it can find, and which facts it gives.
type Spec struct {
	Name    string
	Stages  []mail.Stage
	Symbols []mail.Symbol
	Facts   []mail.Fact
	// Needs names what the check depends on ("dns", "redis"); [degraded] says what happens without it.
	Needs []string
	// New makes the check from its configuration. It may start work that ends with ctx. Its error stops the start of the
	// server and names file:line:column where it can. A nil Check with a nil error means not configured: why is in Off.
	New func(ctx context.Context, env Env) (Check, error)
}

// Env is what a check is given. Time, DNS and memory come from here, so that tests neither sleep nor touch the network.
type Env struct {
	Config config.Section // [filters.NAME]
	DNS    dns.Resolver
	Memory reputation.Memory
	Log    *slog.Logger
	Now    func() time.Time
	// Hostname is our own name, for Authentication-Results and Received.
	Hostname string
	// Off is called by New with the reason why the check does not run ("no list is configured"), in English and short.
	Off func(why string)
	// Warn tells the administrator of something that degrades the check while it runs (a suspended list, an mmdb file
	// that does not load); an empty message ends the warning with that key. Safe for concurrent use.
	Warn func(key, message string)
}

// Specs returns all checks in the order in which they are listed everywhere.
func Specs() []Spec {
	return []Spec{rdnsSpec, dnsblSpec, geoipSpec, ratelimitSpec, spfSpec, dkimSpec, dmarcSpec, bayesSpec, allowSpec, greylistSpec, historySpec, gatewaySpec}
}
