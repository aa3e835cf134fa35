package main

import (
	"time"

	"sekimori/internal/config"
	"sekimori/internal/link"
	"sekimori/internal/store"
)

// openLinks makes what signs and checks the links of digests.
func openLinks(cfg *config.Config, c store.Client) (*link.Keys, error) {
	return link.New(link.Options{Store: c, File: string(cfg.Quarantine.Key), Lifetime: cfg.Quarantine.LinkLifetime.D(), Rotation: cfg.Quarantine.LinkKeyRotation.D(), Now: time.Now})
}
