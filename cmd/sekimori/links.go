package main

import (
	"time"

	"sekimori/internal/config"
	"sekimori/internal/link"
	"sekimori/internal/store"
)

// openLinks makes what signs and checks the links of digests.
func openLinks(cfg *config.Config, c store.Client) (*link.Keys, error) {
	life := cfg.Quarantine.Retention.D()
	for _, k := range cfg.Quarantine.Keep {
		life = max(life, k.Retention.D())
	}
	return link.New(link.Options{Store: c, File: string(cfg.Quarantine.Key), Lifetime: life + linkBeyond, Rotation: linkRotate, Now: time.Now})
}
