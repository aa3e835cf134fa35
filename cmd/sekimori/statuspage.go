package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"sekimori/internal/web"
)

// statusPage says where the page's contents come from.
func (s *server) statusPage() *web.Status {
	return &web.Status{
		Hostname: s.cfg().Hostname, Version: version, Since: s.started, Health: s.health, Listen: s.addrs, Numbers: s.numbers, Usage: s.usage, Rules: s.shownRules, Symbols: s.symbolsPage,
		Learning: s.learning,
		Off:      func() []string { return s.judge().chain.NotLooking() },
		Warnings: func() []web.Warning {
			all := s.warn.all()
			var list []web.Warning
			for _, cause := range slices.Sorted(maps.Keys(all)) {
				list = append(list, web.Warning{Cause: cause, Detail: all[cause]})
			}
			return list
		},
		Backends: func() []web.Backend {
			var list []web.Backend
			for _, b := range s.relay.Backends() {
				list = append(list, web.Backend{URL: b.URL, Up: b.Up})
			}
			return list
		},
	}
}

func (s *server) numbers() web.Numbers {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n := web.Numbers{Held: -1}
	n.Queued, n.Inflight = s.relay.QueueLen()
	st := s.keeper.Stats(ctx)
	if n.Pending = st.Pending; st.Down == "" {
		n.Held = int(st.Mails)
	}
	return n
}
