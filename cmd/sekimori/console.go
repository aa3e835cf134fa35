package main

import (
	"context"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/web"
	"sekimori/internal/web/login"
	"sekimori/internal/web/session"
	"sekimori/reputation"
)

// openSite makes the pages for persons and administrators. There are none where role is mx.
func (s *server) openSite(status *web.Status) (*web.Site, error) {
	cfg, client := s.cfg(), s.store.Client()
	rates := reputation.NewRates(client, time.Now)
	sso, err := s.openSSO()
	if err != nil {
		return nil, err
	}
	directory, err := s.openDirectory()
	if err != nil {
		return nil, err
	}
	logins := login.New(func() string { return s.cfg().Users() }, nil, s.log)
	o := web.Options{
		Config: s.cfg, Links: s.digests.links, Quarantine: s.keeper, Acts: s.acts, Audit: s.actsLog, Status: status, Log: s.log,
		Sessions: session.New(session.Options{Client: client, Idle: cfg.Console.SessionIdle.D(), Lifetime: cfg.Console.SessionLifetime.D()}),
		People:   s.digests.persons,
		Logins:   logins,
		Tries:    login.Backoff{Client: client, Now: time.Now},
		Lists:    s.digests.runner,
		Opened:   s.stories.opened,
		Choices:  s.digests.people,
		Limit: func(ctx context.Context, key string, r config.Rate) (time.Duration, error) {
			taken, err := rates.Take(ctx, []reputation.Limit{{Key: key, Burst: r.Count, Period: r.Period}})
			if err != nil || !taken[0].Exceeded {
				return 0, err
			}
			return taken[0].Retry, nil
		},
	}
	if sso != nil { // an interface that holds a nil pointer is not nil
		o.SSO, logins.SSO = sso, sso
	}
	if directory != nil {
		logins.Directory, logins.Pause = directory, login.RefusalPause
	}
	site, err := web.NewSite(o)
	if err != nil {
		return nil, err
	}
	s.siteCounters(&site.Counters)
	return site, nil
}

// servesPages reports whether [http] is listened on: an MX in the DMZ opens port 25 only.
func servesPages(cfg *config.Config) bool { return cfg.Role != "mx" && cfg.HTTP.Listen != "" }

func (s *server) siteCounters(c *web.Counters) {
	for _, x := range []struct {
		name, help string
		n          *atomic.Int64
	}{
		{"sekimori_links_opened_total", "Links of digests that were opened, by persons and machines.", &c.Opened},
		{"sekimori_links_machine_total", "Of these: opened by a machine, as far as can be told.", &c.Machine},
		{"sekimori_links_refused_total", "Links that were refused: forged, expired, or of an unknown key.", &c.Refused},
		{"sekimori_forms_total", "Forms on the pages that were carried out.", &c.Acted},
		{"sekimori_forms_refused_total", "Forms from another site or without a valid nonce.", &c.Strange},
		{"sekimori_logins_failed_total", "Sign-ins that failed.", &c.Failed},
		{"sekimori_pages_limited_total", "Requests to the pages over a rate.", &c.Limited},
		{"sekimori_lists_asked_total", "Lists that persons asked for on the pages and that were sent.", &c.SentList},
	} {
		s.metrics.Counter(x.name, x.help, func() float64 { return float64(x.n.Load()) })
	}
}
