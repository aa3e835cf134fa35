package main

import (
	"context"
	"fmt"
	"time"

	"sekimori/internal/config"
	"sekimori/quarantine"
	"sekimori/reputation"
)

// countRelease counts the reasons for which a mail was held that is released now, off the path of the release. A mail for several
// people counts once for each of them. Whether a rule steps back rests on who released what it held.
func (s *server) countRelease(e quarantine.End) {
	s.background.Go(func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		item, err := s.keeper.Show(ctx, e.ID)
		if err != nil {
			s.log.Debug("a release is not counted by its reasons", "id", e.ID, "err", err)
			return
		}
		s.tally.Released(item.Reasons)
		s.releasedOf(&item, e.By)
	})
}

// counted reads what was counted in the last days. Where no store is, nothing was counted.
func (a *app) counted(cfg *config.Config, days int) (map[string]reputation.Tallied, error) {
	if days < 1 || days > reputation.TallyDays {
		return nil, usage("--days %d: counts are kept for 1 to %d days", days, reputation.TallyDays)
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("what was counted cannot be read: %w", err)
	}
	defer st.Close()
	all, err := reputation.NewTally(st.Client(), time.Now).Read(a.ctx, days)
	if err != nil {
		return nil, fmt.Errorf("what was counted cannot be read: %w", err)
	}
	return all, nil
}
