package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/mail"
)

// validator checks values that have the right type. Every check goes on after an error.
type validator struct {
	cfg  *Config
	doc  *document
	opts Options
	errs Errors

	targets []placedTarget // every backend that was read
}

// fail reports an error at the value of a path such as "domain[0].names[1]".
func (v *validator) fail(path, format string, args ...any) {
	v.errs = append(v.errs, v.doc.errorAt(splitPath(path), false, path+": "+format, args...))
}

func (v *validator) warn(path, format string, args ...any) {
	v.cfg.Warnings = append(v.cfg.Warnings, v.doc.errorAt(splitPath(path), false, path+": "+format, args...))
}

func (v *validator) run() {
	c := v.cfg
	if h, err := mail.ParseDomain(c.Hostname); err != nil || strings.HasPrefix(h, "[") {
		v.fail("hostname", "%q is not a host name", c.Hostname)
	} else if _, err := netip.ParseAddr(h); err == nil {
		v.fail("hostname", "%q is an address, not a name", c.Hostname)
	} else {
		c.Hostname = h
	}
	v.oneOf("role", c.Role, "all", "mx", "console")
	v.directories()
	v.smtp()
	v.listeners()
	v.web()
	v.resolvers()
	v.redis()
	v.policy()
	v.recipientSources()
	v.domains()
	v.bounce()
	v.journal()
	v.queue()
	v.loops()
	v.limits()
	v.drain()
	v.landlock()
	v.recipientLimits()
	v.ruleAttributes()
	v.forwardHomes()
	v.oneOf("log.format", c.Log.Format, "", "json", "text")
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.alerts()
	v.digest()
	v.ledger()
	v.history()
	v.versions()
	v.retreat()
	v.keeping()
	v.links()
	v.linkLife()
	v.console()
	v.acts()
	v.bayes()
	v.bayesAuto()
	v.filters()
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (v *validator) oneOf(path, got string, known ...string) {
	if slices.Contains(known, got) {
		return
	}
	known = slices.DeleteFunc(known, func(s string) bool { return s == "" })
	v.fail(path, "%q is not known%s", got, hint(got, known))
}

func (v *validator) directories() {
	c := v.cfg
	c.DataDir, c.RulesDir = v.doc.resolve(c.DataDir), v.doc.resolve(c.RulesDir)
	if v.opts.SkipFiles {
		return
	}
	if info, err := os.Stat(c.DataDir); err == nil && !info.IsDir() {
		v.fail("data_dir", "%s is not a directory", c.DataDir)
	}
	if c.RulesDir == "" {
		return
	}
	if info, err := os.Stat(c.RulesDir); err != nil {
		v.fail("rules_dir", "cannot be read: %v", err)
	} else if !info.IsDir() {
		v.fail("rules_dir", "%s is not a directory", c.RulesDir)
	}
}

func (v *validator) policy() {
	p := v.cfg.Policy
	v.oneOf("policy.mode", p.Mode, "observe", "tag", "hold", "soft", "enforce")
	order := []string{"tag", "hold", "reject"}
	last, lastName := math.Inf(-1), ""
	for _, name := range sortedKeys(p.Thresholds) {
		if !slices.Contains(order, name) {
			v.fail("policy.thresholds."+quoteKey(name), "unknown threshold%s", hint(name, order))
		}
	}
	for _, name := range order {
		points, set := p.Thresholds[name]
		if !set {
			continue
		}
		path := "policy.thresholds." + name
		switch {
		case points <= 0:
			v.fail(path, "must be above 0: a mail with no finding has 0 points")
		case points <= last:
			v.fail(path, "%v is not above the %v of %s; the order is tag < hold < reject", points, last, lastName)
		}
		last, lastName = points, name
	}
	dependencies := []string{"dns", "redis"}
	for _, name := range sortedKeys(v.cfg.Degraded) {
		path := "degraded." + quoteKey(name)
		if !slices.Contains(dependencies, name) {
			v.fail(path, "unknown dependency%s", hint(name, dependencies))
			continue
		}
		v.oneOf(path, v.cfg.Degraded[name], "skip", "defer", "hold")
	}
}

func quoteKey(k string) string {
	if strings.ContainsAny(k, ".[] ") || k == "" {
		return strconv.Quote(k)
	}
	return k
}

// limits checks that what must be positive is.
func (v *validator) limits() {
	c := v.cfg
	if c.SMTP.MaxMessageSize < 64<<10 {
		v.fail("smtp.max_message_size", "must be at least 64KiB (RFC 5321 section 4.5.3.1.7)")
	}
	if c.SMTP.MaxMessageSize > 1<<30 {
		v.fail("smtp.max_message_size", "must be at most 1GiB")
	}
	for path, n := range map[string]int{
		"smtp.max_recipients": c.SMTP.MaxRecipients, "smtp.max_connections": c.SMTP.MaxConnections,
		"smtp.max_connections_per_client": c.SMTP.MaxConnectionsPerClient, "smtp.max_errors": c.SMTP.MaxErrors,
		"smtp.max_failed_recipients": c.SMTP.MaxFailedRecipients,
	} {
		if n < 1 {
			v.fail(path, "must be at least 1")
		}
	}
	for path, d := range map[string]Duration{
		"smtp.idle_timeout": c.SMTP.IdleTimeout, "smtp.lifetime": c.SMTP.Lifetime, "smtp.drain_timeout": c.SMTP.DrainTimeout,
		"dns.timeout": c.DNS.Timeout, "redis.timeout": c.Redis.Timeout, "policy.deadline": c.Policy.Deadline,
		"relay.budget": c.Relay.Budget, "relay.late_answer": c.Relay.LateAnswer, "relay.queue_lifetime": c.Relay.QueueLifetime,
		"quarantine.retention": c.Quarantine.Retention,
	} {
		if d <= 0 {
			v.fail(path, "must be above 0")
		}
	}
}

// filters checks the names of [filters.NAME]; what stands in the tables is each check's own matter.
func (v *validator) filters() {
	for _, name := range sortedKeys(v.cfg.Filters) {
		path := "filters." + quoteKey(name)
		if _, isTable := v.cfg.Filters[name].(map[string]any); !isTable {
			v.fail(path, "must be a table, not %s", kindOf(v.cfg.Filters[name]))
			continue
		}
		if v.opts.Checks != nil && !slices.Contains(v.opts.Checks, name) {
			v.fail(path, "there is no check of this name%s", hint(name, v.opts.Checks))
		}
	}
}

// hostPort checks host:port with a port from 1 to 65535. An address to listen on may leave the host out, and port 0 lets
// the system choose one.
func hostPort(s string, listen bool) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not of the form address:port", s)
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 0 || port > 65535 || port == 0 && !listen {
		return "", 0, fmt.Errorf("%q: the port must be a number from 1 to 65535", s)
	}
	if host == "" && !listen {
		return "", 0, fmt.Errorf("%q has no host", s)
	}
	return host, port, nil
}
