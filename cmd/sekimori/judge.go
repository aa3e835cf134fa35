package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"sekimori/filters"
	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/gate"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/reputation"
	"sekimori/rules"
)

// judge is what it takes to judge a mail: `serve` and `scan` both have one.
type judge struct {
	cfg      *config.Config
	store    *store.Store
	resolver *sharedDNS
	stop     context.CancelFunc // ends the background work of the checks
	learner  *reputation.Learner
	watch    *reputation.BayesWatch // of the learner, when this judge made it
	allows   *reputation.Allows     // of all generations
	chain    *filters.Chain
	policy   *rules.Policy
	gate     *gate.Gate
	counters *store.Store // of a dry run; else nil
}

// judgeOptions are what differs between serve and the commands.
type judgeOptions struct {
	log     *slog.Logger
	store   *store.Store
	observe func(mail.Outcome)
	warn    func(cause, message string)
	lasting func(cause, message string) // as warn, for what outlives this judge; nil: warn
	learner *reputation.Learner         // of all judges; nil: one is made
	keep    *judge                      // of which to keep what may be kept; nil: nothing
	member  func(group, a mail.Address) (bool, error)
	groups  func(a mail.Address) ([]string, error)
	attrs   func(a mail.Address) (map[string][]string, error)
	facts   func(*rules.Policy, *rules.Case, []mail.Verdict) // nil: what the rules see is not kept
	judged  func([]mail.Verdict)                             // is told of every verdict; nil: nobody is
	version string                                           // of the set of rules; "": it is read from the files
	dry     bool                                             // count rate limits in a store of its own
}

// loadConfig reads the configuration of a command.
func (a *app) loadConfig() (*config.Config, error) {
	if a.config == "" {
		return config.Default(), nil
	}
	return config.LoadWith(a.config, config.Options{Checks: filters.Names(filters.Specs())})
}

// newLogger makes the logger that [log] describes, at a level that may change; without a format it is text on a terminal and JSON elsewhere.
func newLogger(cfg *config.Config, w io.Writer, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	format := cfg.Log.Format
	if format == "" {
		format = "json"
		if terminal(w) {
			format = "text"
		}
	}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// terminal reports whether a stream leads to a person's screen.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// loadPolicy reads the rules that the configuration names.
func loadPolicy(cfg *config.Config) (*rules.Policy, error) { return loadRules(cfg, rules.Options{}) }

// loadRules is loadPolicy for a server, which tells of rules that take too long (OnSuspend) and has a directory (Member). Without a
// Name the set has the version by which `rules history` lists it.
func loadRules(cfg *config.Config, o rules.Options) (*rules.Policy, error) {
	specs := filters.Specs()
	if o.Name == "" && o.Extra == nil {
		if set, err := readSet(cfg); err == nil { // else Load says what is wrong
			o.Name = set.Manifest().Version
		}
	}
	return rules.Load(rules.Options{
		Reachable: cfg.Reachable, Name: o.Name,
		Dir: cfg.RulesDir, Defaults: cfg.Policy.Defaults, Disable: cfg.Policy.Disable, Thresholds: cfg.Policy.Thresholds,
		Mode: cfg.Policy.Mode, Facts: filters.Facts(specs), Symbols: filters.Symbols(specs), States: filters.Names(specs),
		DecodeHeader: mime.DecodeHeader, Protected: cfg.Quarantine.AdminOnly,
		OnSuspend: o.OnSuspend, Member: o.Member, Extra: o.Extra, Domains: ourDomains(cfg), Attributes: cfg.RuleAttributes(),
		Now: func() time.Time { return time.Now().In(cfg.Digest.Location()) },
	})
}

func ourDomains(cfg *config.Config) []string {
	all := []string{}
	for i := range cfg.Domains {
		for _, name := range cfg.Domains[i].Names {
			all = append(all, strings.ToLower(name))
		}
	}
	return all
}

// newJudge puts the checks, the rules and the gate together. What it starts in the background ends with ctx.
func newJudge(ctx context.Context, cfg *config.Config, o judgeOptions) (*judge, error) {
	j := &judge{cfg: cfg, store: o.store}
	var err error
	suspended := func(id, place string) {
		o.warn("rules."+id, "the rule "+id+" ("+place+") takes too long over mail after mail; it is not judged until the rules are loaded anew")
	}
	if j.policy, err = loadRules(cfg, rules.Options{OnSuspend: suspended, Member: o.member, Name: o.version}); err != nil {
		return nil, err
	}
	if j.resolver, err = judgeDNS(cfg, o); err != nil {
		return nil, err
	}
	ctx, j.stop = context.WithCancel(ctx)
	if o.keep != nil {
		j.learner, j.allows = o.keep.learner, o.keep.allows
	} else {
		j.allows = reputation.NewAllows(o.store.Client(), time.Now)
		if j.learner = o.learner; j.learner == nil {
			j.learner, j.watch = newLearner(o.store.Client(), func() *config.Config { return cfg }, o.log)
		}
	}
	counters := o.store
	if o.dry {
		if err := j.learner.Load(ctx); err != nil {
			o.log.Error("what the Bayesian check has learned cannot be read", "err", err)
		}
		if j.watch != nil {
			_, _ = j.watch.Read(ctx) // the same store has just answered, or was complained of
		}
		if counters, err = store.Open(ctx, store.Options{}); err != nil {
			j.close()
			return nil, err
		}
		j.counters = counters
	}
	memory := reputation.NewMemory(counters.Client(), j.learner, j.allows, time.Now)
	j.chain, err = filters.NewChain(ctx, filters.ChainOptions{
		Specs: filters.Specs(), Deadline: cfg.Policy.Deadline.D(), Log: o.log, Now: time.Now, Observe: o.observe,
		Disabled: disabled(cfg),
		Env: func(name string) filters.Env {
			return filters.Env{
				Config: cfg.Section(name), DNS: j.resolver, Memory: memory, Log: o.log.With("check", name), Now: time.Now,
				Hostname: cfg.Hostname, Warn: func(key, message string) { o.warn(name+"."+key, message) },
			}
		},
	})
	if err != nil {
		j.close()
		return nil, err
	}
	degraded := map[string]mail.Action{}
	for dependency, what := range cfg.Degraded {
		if action, ok := mail.ParseAction(what); ok {
			degraded[dependency] = action
		}
	}
	j.gate = gate.New(gate.Options{
		Keep: o.facts, Judged: o.judged,
		Groups: o.groups, Attributes: o.attrs, Chain: j.chain, Policy: j.policy, Degraded: degraded, Now: func() time.Time {
			return time.Now().In(cfg.Digest.Location()) // rules speak of the hour on people's clocks
		},
	})
	return j, nil
}

// judgeDNS returns the resolver of the checks: the one there is, with its cache, when the servers are the same.
func judgeDNS(cfg *config.Config, o judgeOptions) (*sharedDNS, error) {
	warn := o.lasting
	if warn == nil {
		warn = o.warn
	}
	if o.keep != nil {
		if d := o.keep.resolver; slices.Equal(d.servers, cfg.DNS.Servers) && d.timeout == cfg.DNS.Timeout.D() {
			d.users.Add(1)
			return d, nil
		}
	}
	client, err := dns.New(dns.Options{
		Servers: cfg.DNS.Servers, Timeout: cfg.DNS.Timeout.D(), Log: o.log,
		OnServer: func(server string, up bool) {
			message := ""
			if !up {
				message = "the DNS server does not answer"
			}
			warn("dns."+server, message)
		},
	})
	if err != nil {
		return nil, err
	}
	d := &sharedDNS{Client: client, servers: cfg.DNS.Servers, timeout: cfg.DNS.Timeout.D()}
	d.closed = func() {
		for _, server := range client.Servers() {
			warn("dns."+server, "")
		}
	}
	d.users.Add(1)
	return d, nil
}

func disabled(cfg *config.Config) map[string]bool {
	off := map[string]bool{}
	for _, name := range filters.Names(filters.Specs()) {
		if !cfg.Section(name).Enabled() {
			off[name] = true
		}
	}
	return off
}

// close ends the look-ups. The store is the caller's.
func (j *judge) close() {
	j.stop()
	j.resolver.leave()
	if j.counters != nil {
		_ = j.counters.Close()
	}
}
