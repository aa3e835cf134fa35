package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/xid"

	auditlog "sekimori/internal/audit"
	"sekimori/internal/bounce"
	"sekimori/internal/front"
	"sekimori/internal/ledger"
	"sekimori/internal/metrics"
	"sekimori/internal/mime"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
	"sekimori/internal/store"
	"sekimori/internal/web"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

type serveCmd struct{}

// Help is the long help.
func (serveCmd) Help() string {
	return "Runs until SIGTERM or SIGINT, then takes no new mail, brings what is in DATA to its end, and stops. Without --config it " +
		"listens on loopback: SMTP on 127.0.0.1:2525 for example.test, the pages on 127.0.0.1:8025, status page and metrics on 127.0.0.1:9025."
}

// server is everything that runs, in the order in which it is opened.
type server struct {
	app        *app
	present    atomic.Pointer[generation] // the configuration in force, and the checks and rules made of it
	level      slog.LevelVar
	log        *slog.Logger
	started    time.Time
	hup        chan os.Signal // SIGHUP
	first      fingerprint    // of the files of the first configuration
	reloads    reloadStats
	inherited  *inherited // sockets of the service manager
	state      *stateFile // for the commands
	sets       ruleSets   // of rules: the one in force, and those before
	agreement  agreement  // of the hosts about them
	fence      *fence     // what the process restricted itself to
	past       *pastWriter
	auto       *autoTeacher
	passed     *passedMails
	stories    *stories          // nil: no history is kept
	tally      *reputation.Tally // of symbols and rules, by day
	retreats   *reputation.Retreats
	learner    *reputation.Learner // of all generations, and what watches over it
	bayesWatch *reputation.BayesWatch

	metrics *metrics.Registry
	warn    *warnings
	store   *store.Store   // Redis or the embedded store
	spool   *spool.Spool   // mail on our disk
	ledger  *ledger.Ledger // what became of mail that was acknowledged and kept
	audit   audit
	names   backendNames // resolves the backends
	relay   *relay.Relay // to the backends
	keeper  *quarantine.Store
	acts    *acts.Service // what people do with held mail
	actsLog *auditlog.Log
	digests digests       // what people are told
	front   *front.Server // port 25
	health  *web.Health
	pages   *pages // status page, metrics

	background sync.WaitGroup
	rest       context.Context // of closing: ends with the drain's time
	endRest    context.CancelFunc
}

// Run opens everything, serves until the context ends, drains, and closes everything in the opposite order.
func (serveCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	s := newServer(a, cfg)
	defer signal.Stop(s.hup)
	// Mail is short-lived garbage and the heap is small: collecting a quarter as often costs some tens of MB and saves a tenth of the
	// time. An administrator's GOGC is respected.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	work, stop := context.WithCancel(context.WithoutCancel(a.ctx))
	defer stop()
	if err := s.open(work); err != nil {
		stop()
		s.close()
		printErrors(a.err, err)
		return found
	}
	err = s.serve(a.ctx, work)
	stop()
	s.close()
	return err
}

// open makes every part. What it starts in the background ends with ctx.
func (s *server) open(ctx context.Context) error {
	cfg := s.cfg()
	var err error
	if s.inherited, err = inherit(s.log); err != nil {
		return err
	}
	s.metrics = metrics.New(version)
	s.warn = newWarnings(s.log, s.metrics.Warning)
	for _, w := range cfg.Warnings {
		s.log.Warn("configuration", "message", w.Error())
	}
	if err := os.MkdirAll(cfg.DataDir, 0o750); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if s.store, err = store.Open(ctx, store.Options{Redis: cfg.Redis, DataDir: cfg.DataDir, Log: s.log}); err != nil {
		return err
	}
	if err := s.openSpool(); err != nil {
		return err
	}
	if s.state, err = openState(cfg.DataDir); err != nil {
		return err
	}
	s.openHistory()
	s.tally = reputation.NewTally(s.store.Client(), time.Now)
	s.openRetreats(ctx)
	s.learner, s.bayesWatch = newLearner(s.store.Client(), s.cfg, s.log)
	gen, err := s.firstGeneration(ctx, cfg)
	if err != nil {
		return err
	}
	s.auto, s.passed = s.newAutoTeacher(), newPassedMails(s.bayesWatch)
	s.past = newPastWriter(reputation.NewHistory(s.store.Client(), time.Now), s.log)
	s.present.Store(gen)
	gen.warn.takeOver(nil)
	if err := s.openDelivery(); err != nil {
		return err
	}
	if err = s.openRecipients(gen); err != nil {
		return err
	}
	if err = s.openDigests(); err != nil {
		return err
	}
	if cfg.Role != "console" {
		s.front, err = front.New(front.Options{
			Listen: s.inherited.listener("smtp", s.cfg), Config: cfg, Recipients: gen.rcpts.Directory, Share: s.shareHarvest(), Gate: front.AdaptGate(gen.judge.gate.Accept), Closed: gen.close,
			Relay: relayPort{s.relay}, Keeper: keeperPort{s.keeper}, Drop: s.dropFor(),
			Spool: spoolPort{s.spool}, Ends: endsPort{s.ledger, s.log}, Bounceless: bounce.Refusal, Parse: mime.Parse, NewID: func() string { return xid.New().String() },
			Log: s.log, Observer: observer{s.metrics, s.past.concluded, s.auto.concluded, s.passed.concluded, s.stories},
		})
		if err != nil {
			return err
		}
	}
	s.health = web.NewHealth(s.room, s.notLooking, s.warn.list)
	s.gauges()
	s.ledgerGauges()
	s.keepGauges()
	s.reloadGauges()
	s.rulesGauges()
	s.bayesGauges()
	return nil
}

// openDelivery makes the ways out: the backends and the quarantine.
func (s *server) openDelivery() error {
	cfg := s.cfg()
	names, err := s.openNames(cfg)
	if err != nil {
		return err
	}
	s.names.use(names)
	if s.relay, err = relay.New(relay.Options{Config: cfg, Spool: s.spool, Resolver: &s.names, Ledger: s.ledger, Log: s.log, Warn: s.warn.set}); err != nil {
		return err
	}
	s.relay.OnFailed, s.relay.OnDelayed, s.relay.OnTry = s.giveUp, s.delayed, s.stories.tried
	s.keeper, err = quarantine.New(keeping(quarantine.Options{
		Store: s.store, Spool: s.spool, Deliverer: releaser{s.relay}, Node: cfg.Hostname,
		Route: s.relay.Route, Warn: s.warn.set, Log: s.log,
		Recorder: recorder{s.ledger, s.stories, s.countRelease}, Mark: s.releaseMark, Announcer: s.openPeople(), Decide: s.decideLater,
	}, cfg))
	if err == nil {
		s.openActs()
	}
	return err
}

// serve listens, says so, and runs until ctx ends; then it drains. work is the context of what must outlive ctx: mail that
// is on its way.
func (s *server) serve(ctx, work context.Context) error {
	var err error
	if s.pages, err = openPages(s); err != nil {
		return err
	}
	if s.front != nil {
		if err := s.front.Listen(); err != nil {
			return err
		}
	}
	if err := s.restrict(); err != nil {
		return err
	}
	// Before the relay empties its queue, so that what was handed over is recognised.
	if err := s.keeper.Recover(work); err != nil {
		s.log.Warn("releases cannot be taken up yet", "err", err)
	}
	if err := s.adoptHolds(work); err != nil {
		s.log.Warn("held mail cannot be written into the ledger yet", "err", err)
	}
	s.loadLearned(work)
	s.announce()
	s.recordStart()
	for _, name := range s.inherited.unused() {
		s.log.Warn("a socket of the service manager belongs to no listener", "socket", name)
	}
	if os.Geteuid() == 0 {
		s.log.Warn("runs as root, which it does not need: see sekimori service print")
	}
	learner := s.judge().learner // of all generations
	s.background.Go(func() { learner.Run(work) })
	s.present.Load().rcpts.start(work, &s.background)
	s.background.Go(func() { s.watchConfig(ctx, work) })
	s.background.Go(func() { s.recipientRequests(work) })
	s.background.Go(func() { s.relay.Run(work) })
	s.background.Go(func() { s.keeper.Run(work) })
	s.background.Go(func() { s.acts.Run(work) })
	allows := s.judge().allows // of all generations
	s.background.Go(func() { allows.Run(work) })
	s.background.Go(func() { s.past.run(work) })
	s.background.Go(func() { s.auto.run(work) })
	s.background.Go(func() { s.stories.run(work) })
	s.background.Go(func() { s.joinHistories(work) })
	s.background.Go(func() { s.tally.Run(work) })
	s.background.Go(func() { s.watchRetreats(work) })
	s.background.Go(func() { s.watchBayes(work) })
	s.background.Go(func() { s.watchFolders(work) })
	s.background.Go(func() { s.watchIMAP(work) })
	s.background.Go(func() { s.watchAsks(work) })
	s.background.Go(func() { s.runDigests(work) })
	s.background.Go(func() { s.watchStore(work) })
	s.background.Go(func() { s.watchLedger(work) })
	s.background.Go(func() { s.watchAlerts(work) })
	s.background.Go(func() { s.watchRules(work) })
	s.background.Go(s.pages.serve)
	failed := make(chan error, 1)
	if s.front != nil {
		go func() { failed <- s.front.Serve(work) }()
	}
	s.background.Go(func() { s.watchdog(work) })
	s.notifyReady()
	s.log.Info("ready", "hostname", s.cfg().Hostname, "version", version)
	select {
	case err = <-failed:
		s.log.Error("the SMTP server ended", "err", err)
	case <-ctx.Done():
		s.log.Info("draining")
	}
	s.rest, s.endRest = s.drain()
	return err
}

// loadLearned reads what the Bayesian check has learned, so that the first mail is judged by it. A store that does not
// answer must not keep the server from starting; the learner goes on trying.
func (s *server) loadLearned(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := s.judge().learner.Load(ctx); err != nil {
		s.log.Warn("what the Bayesian check has learned cannot be read yet", "err", err)
	}
}

// close ends everything that was opened, last first. The context of the background work has ended.
func (s *server) close() {
	if s.pages != nil {
		s.pages.close()
	}
	s.background.Wait()
	var errs []error
	if s.relay != nil {
		errs = append(errs, s.relay.Close(s.rest))
		s.endRest()
	}
	s.names.close()
	if gen := s.present.Load(); gen != nil {
		gen.close()
	}
	errs = append(errs, s.stories.close())
	if s.state != nil {
		s.state.close()
	}
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	if s.spool != nil {
		errs = append(errs, s.spool.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Warn("closing", "err", err)
	}
	s.log.Info("stopped")
}

// watchStore turns the store's health into a warning, and writes down which warnings stand.
func (s *server) watchStore(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	cause, message := "redis", "no answer to the commands of this server"
	if s.store.Embedded() {
		cause, message = "store", "its log on the disk of data_dir cannot be written"
	}
	for written := s.recordWarnings(nil); ; written = s.recordWarnings(written) {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if s.store.Healthy() {
			s.warn.set(cause, "")
		} else {
			s.warn.set(cause, message)
		}
		s.tellFull()
		_ = s.room() // for its warning
		s.tellEnding(time.Now())
	}
}

// notLooking says which checks do not run at the moment.
func (s *server) notLooking() []string { return s.judge().chain.NotLooking() }
