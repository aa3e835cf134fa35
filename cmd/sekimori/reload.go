package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sekimori/filters"
	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/front"
	"sekimori/internal/relay"
)

// reloadPoll is how often the files of the configuration are looked at. What has changed is read when it was the same at two
// looks, so that a file that is being written is not read half.
const reloadPoll = 2 * time.Second

// reloader puts a changed configuration in force while the server runs.
type reloader struct {
	s      *server
	ctx    context.Context // of what a generation does in the background
	hash   hasher
	loaded fingerprint // of what is in force
	tried  fingerprint // of what was tried last
	seen   fingerprint // at the last look
	files  []string    // that a configuration names which was refused

	dir     copying // whether rules_dir is being written
	pending string  // why to reload when that is over
}

// watchConfig reloads at SIGHUP, and when a file of the configuration has changed, until ctx ends. work is the context of what
// must outlive ctx.
func (s *server) watchConfig(ctx, work context.Context) {
	r := &reloader{s: s, ctx: work, loaded: s.first, tried: s.first, seen: s.first}
	t := time.NewTicker(reloadPoll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hup:
			r.hangup()
		case <-t.C:
			now := r.look()
			settled := now.equal(r.seen) && r.settled()
			r.seen = now
			switch {
			case settled && r.pending != "":
				r.reload(r.pending)
			case settled && !now.equal(r.tried):
				r.reload("changed: " + strings.Join(now.changed(r.tried), ", "))
			}
		}
	}
}

// look takes the fingerprint of all files that matter.
func (r *reloader) look() fingerprint {
	return r.hash.look(append(r.s.cfg().Files(), r.files...))
}

// reload reads the configuration and puts it in force, all of it or nothing.
func (r *reloader) reload(why string) {
	s := r.s
	s.notifyReloading()
	defer s.notifyReady()
	r.hash.known, r.pending = nil, ""
	before := r.look()
	cfg, err := s.app.inspectConfig()
	r.files = nil
	if cfg != nil {
		r.files = cfg.Files()
	}
	r.tried = r.look()
	for path := range r.tried {
		if sum, ok := before[path]; ok {
			r.tried[path] = sum // what changed while it was read shows at the next look
		}
	}
	if outside := s.fenced(cfg); outside != nil {
		err = errors.Join(outside, err)
	}
	if err == nil {
		err = r.apply(cfg)
	}
	// Files that only the configuration before named are not looked at any more.
	now := r.look()
	maps.DeleteFunc(r.tried, func(path, _ string) bool { _, ok := now[path]; return !ok })
	r.seen = r.tried
	if errors.Is(err, errMoving) {
		s.log.Info("not reloaded yet", "why", why, "message", err.Error())
		r.pending = why
		return
	}
	if err != nil {
		s.refused(r.tried, why, err)
		s.keepRefused(cfg, why, err)
		return
	}
	for _, w := range cfg.Warnings {
		s.log.Warn("configuration", "message", w.Error())
	}
	kept := s.keepInForce(why, r.tried.changed(r.loaded))
	r.loaded = r.tried
	s.recordLoaded(r.loaded)
	s.log.Info("configuration reloaded", "why", why, "file", cfg.File, "rules", s.judge().policy.Version(), "version", kept)
}

// apply makes everything that the configuration asks for, and only when all of it is there puts it in force.
func (r *reloader) apply(cfg *config.Config) (err error) {
	s := r.s
	if keys := config.RestartKeys(s.cfg(), cfg); len(keys) > 0 {
		return fmt.Errorf("nothing was taken over: %s can change with a restart only", strings.Join(keys, ", "))
	}
	next := &change{s: s}
	defer func() {
		if err != nil {
			next.discard()
		}
	}()
	if next.gen, err = s.newGeneration(r.ctx, cfg); err != nil {
		return err
	}
	if old := s.cfg(); !slices.Equal(nameServers(old), nameServers(cfg)) || old.DNS.Timeout != cfg.DNS.Timeout {
		if next.names, err = s.openNames(cfg); err != nil {
			return err
		}
	}
	if next.relay, err = s.relay.Prepare(cfg); err != nil {
		return err
	}
	if err = s.openRecipients(next.gen); err != nil {
		return err
	}
	if s.front != nil {
		gen := next.gen
		next.front, err = s.front.Prepare(front.Change{
			Config: cfg, Recipients: gen.rcpts.Directory, Gate: front.AdaptGate(gen.judge.gate.Accept), Closed: gen.close,
		})
		if err != nil {
			return err
		}
	}
	next.gen.rcpts.start(r.ctx, &s.background)
	next.apply()
	return nil
}

// change is a configuration made ready.
type change struct {
	s     *server
	gen   *generation
	names *dns.Client // nil: the servers are the same
	relay *relay.Next
	front *front.Next // nil: no port 25
}

func (c *change) apply() {
	s := c.s
	if c.names != nil {
		s.names.use(c.names)
	}
	old := s.present.Swap(c.gen)
	s.level.Set(logLevel(c.gen.cfg))
	s.spool.SetLimits(int64(c.gen.cfg.Relay.SpoolLimit), int64(c.gen.cfg.Relay.SpoolLimitMails))
	s.stories.limit(c.gen.cfg)
	c.relay.Apply()
	c.gen.warn.takeOver(old.warn)
	if c.front == nil {
		old.close()
		return
	}
	c.front.Apply() // closes the old judge when its last connection has ended
}

func (c *change) discard() {
	if c.names != nil {
		_ = c.names.Close()
	}
	switch {
	case c.front != nil:
		c.front.Discard()
	case c.gen != nil:
		c.gen.close()
	}
}

// refused says that the configuration on the disk is not the one in force, and why.
func (s *server) refused(files fingerprint, why string, err error) {
	list := errorLines(err)
	s.recordRefused(files, list) // first: who reads the log finds it in metric and check, too
	for _, line := range list {
		s.log.Error("configuration not reloaded", "error", line)
	}
	s.log.Error("configuration not reloaded: the one loaded before stays in force", "why", why, "errors", len(list),
		"loaded", s.state.loadedAt().Format(time.RFC3339))
}

// errorLines returns one line for each of several errors.
func errorLines(err error) []string {
	var b strings.Builder
	printErrors(&b, err)
	return strings.Split(strings.TrimSpace(b.String()), "\n")
}

// inspectConfig reads the configuration as far as it can be read.
func (a *app) inspectConfig() (*config.Config, error) {
	if a.config == "" {
		return config.Default(), nil
	}
	return config.Inspect(a.config, config.Options{Checks: filters.Names(filters.Specs())})
}

// logLevel is log.level.
func logLevel(cfg *config.Config) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		return slog.LevelInfo
	}
	return level
}

func isMissing(err error) bool { return errors.Is(err, os.ErrNotExist) }

// reloadStats is what the metrics say of reloads.
type reloadStats struct {
	success atomic.Int64 // 1: the configuration on the disk is in force, as far as was tried
	at      atomic.Int64 // when a configuration was last put in force, Unix seconds
}

func (s *server) reloadGauges() {
	s.metrics.Gauge("sekimori_config_reload_success", "1 when the configuration that was read last is in force; 0 when it was refused and the one before stays.",
		func() float64 { return float64(s.reloads.success.Load()) })
	s.metrics.Gauge("sekimori_config_loaded_timestamp_seconds", "When the configuration in force was read.",
		func() float64 { return float64(s.reloads.at.Load()) })
}

// newServer makes a server that is not opened yet. From here on SIGHUP does not end the process.
func newServer(a *app, cfg *config.Config) *server {
	s := &server{app: a, started: time.Now(), hup: make(chan os.Signal, 1)}
	s.present.Store(&generation{cfg: cfg}) // open adds the rest
	s.level.Set(logLevel(cfg))
	s.log = newLogger(cfg, a.err, &s.level)
	s.first = (&hasher{}).look(cfg.Files())
	s.reloads.success.Store(1)
	s.rest, s.endRest = context.WithCancel(context.Background()) // drain sets its own
	signal.Notify(s.hup, syscall.SIGHUP)
	return s
}
