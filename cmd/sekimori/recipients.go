package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/recipients"
	"sekimori/reputation"
)

// recipientsDir is where the copies of directories and databases are.
func recipientsDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "recipients") }

// openRecipients gives a generation the directory of its recipients: that of the present one when nothing about it has changed,
// so that its copies, caches and connections stay.
func (s *server) openRecipients(g *generation) error {
	if old := s.present.Load(); old.rcpts != nil && sameRecipients(old.cfg, g.cfg) {
		old.rcpts.users.Add(1)
		g.rcpts = old.rcpts
		return nil
	}
	d, err := recipients.New(recipients.Options{
		Config: g.cfg, Asker: s.relay, Dir: recipientsDir(g.cfg), Log: s.log, Warn: s.warn.set, Observe: s.metrics.Lookup,
	})
	if err != nil {
		return err
	}
	g.rcpts = &sharedRecipients{Directory: d, stop: func() {}, log: s.log}
	g.rcpts.users.Add(1)
	return nil
}

func sameRecipients(a, b *config.Config) bool {
	return reflect.DeepEqual(a.Domains, b.Domains) && reflect.DeepEqual(a.Recipients, b.Recipients) && reflect.DeepEqual(a.LDAP, b.LDAP) && reflect.DeepEqual(a.SQL, b.SQL)
}

// sharedRecipients is a directory that several generations use; the last one closes it.
type sharedRecipients struct {
	*recipients.Directory
	log   *slog.Logger
	users atomic.Int32
	once  sync.Once
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// start keeps the directory up to date until the last user has left or ctx ends.
func (d *sharedRecipients) start(ctx context.Context, all *sync.WaitGroup) {
	d.once.Do(func() {
		ctx, d.stop = context.WithCancel(ctx)
		d.done.Add(1)
		all.Go(func() { defer d.done.Done(); d.Run(ctx) })
	})
}

func (d *sharedRecipients) leave() {
	if d.users.Add(-1) > 0 {
		return
	}
	d.stop()
	go func() {
		d.done.Wait()
		if err := d.Close(); err != nil {
			d.log.Warn("recipients: closing", "err", err)
		}
	}()
}

// shareHarvest lets all hosts count the unknown recipients that networks ask for together.
func (s *server) shareHarvest() func(context.Context, string, config.Rate) (time.Duration, error) {
	rates := reputation.NewRates(s.store.Client(), time.Now)
	return func(ctx context.Context, key string, r config.Rate) (time.Duration, error) {
		taken, err := rates.Take(ctx, []reputation.Limit{{Key: key, Burst: r.Count, Period: r.Period}})
		if err != nil || !taken[0].Exceeded {
			return 0, err
		}
		return taken[0].Retry, nil
	}
}

// recipientGauges shows how much we have of each place and how old it is.
func (s *server) recipientGauges() {
	numbers := func(of func(recipients.Status) (float64, bool)) func() map[string]float64 {
		return func() map[string]float64 {
			all := map[string]float64{}
			for _, st := range s.rcpts().Status() {
				if v, ok := of(st); ok {
					all[st.Source] = v
				}
			}
			return all
		}
	}
	s.metrics.Table("sekimori_recipients", "Recipients that are known without asking.", "source",
		numbers(func(st recipients.Status) (float64, bool) { return float64(st.Entries), true }))
	s.metrics.Table("sekimori_recipients_age_seconds", "How long ago it was last confirmed that nobody is missing.", "source",
		numbers(func(st recipients.Status) (float64, bool) { return time.Since(st.Taken).Seconds(), !st.Taken.IsZero() }))
}
