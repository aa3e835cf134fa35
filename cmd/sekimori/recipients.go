package main

import (
	"context"
	"path/filepath"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/recipients"
	"sekimori/reputation"
)

// recipientsDir is where the copies of directories and databases are.
func recipientsDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "recipients") }

// openRecipients makes the directory of a configuration's recipients. The caller runs it and closes it.
func (s *server) openRecipients(cfg *config.Config) (*recipients.Directory, error) {
	return recipients.New(recipients.Options{
		Config: cfg, Asker: s.relay, Dir: recipientsDir(cfg), Log: s.log, Warn: s.warn.set, Observe: s.metrics.Lookup,
	})
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
