package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/web"
	"sekimori/quarantine"
)

// keeping gives the options of the quarantine that say for how long and how much is kept, and with what key.
func keeping(o quarantine.Options, c *config.Config) quarantine.Options {
	o.Retention, o.Quota = c.Quarantine.Retention.D(), int64(c.Quarantine.Quota)
	for _, k := range c.Quarantine.EncryptionKeys {
		o.Keys = append(o.Keys, quarantine.Key{ID: k.ID, Secret: []byte(k.Key)})
	}
	o.DomainQuota = map[string]int64{}
	for _, k := range c.Quarantine.Keep {
		if k.Retention > 0 {
			o.Keep = append(o.Keep, quarantine.Keep{Class: k.Class, Domain: k.Domain, Retention: k.Retention.D()})
		}
		if k.Quota > 0 {
			o.DomainQuota[k.Domain] = int64(k.Quota)
		}
	}
	return o
}

// keepGauges adds the metrics of the quarantine.
func (s *server) keepGauges() {
	stat := func(get func(quarantine.Stats) float64) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return get(s.keeper.Stats(ctx))
		}
	}
	m := s.metrics
	m.Gauge("sekimori_held_mails", "Mails in the quarantine; 0 while the store does not answer.", stat(func(st quarantine.Stats) float64 { return float64(st.Mails) }))
	m.Gauge("sekimori_held_octets", "Octets that they take, compressed.", stat(func(st quarantine.Stats) float64 { return float64(st.Octets) }))
	m.Gauge("sekimori_held_late", "Held mails kept beyond their time, because the people whose they are were not told of them.",
		stat(func(st quarantine.Stats) float64 { return float64(st.Late) }))
	m.Counter("sekimori_held_untold_total", "Recipients whose held mail expired although they were not told of it.",
		func() float64 { return float64(s.keeper.Untold()) })
}

// usage is how much of the quarantine's quotas is used: of all, and of the domains that have one of their own.
func (s *server) usage() []web.Usage {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c := s.cfg()
	st := s.keeper.Stats(ctx)
	if st.Down != "" {
		return nil
	}
	list := []web.Usage{{Used: st.Octets, Most: int64(c.Quarantine.Quota)}}
	most := keeping(quarantine.Options{}, c).DomainQuota
	domains := slices.Sorted(maps.Keys(most))
	used, err := s.keeper.Used(ctx, domains)
	if err != nil {
		return list
	}
	for _, d := range domains {
		list = append(list, web.Usage{Domain: d, Used: used[d], Most: most[d]})
	}
	return list
}
