package main

import "sekimori/internal/relay"

// backendGauges shows how each backend is, and how many connections to it there are.
func (s *server) backendGauges() {
	read := func(of func(relay.Status, map[string]float64)) func() map[string]float64 {
		return func() map[string]float64 {
			all := map[string]float64{}
			for _, st := range s.relay.Backends() {
				of(st, all)
			}
			return all
		}
	}
	numbers := func(n func(relay.Status) int) func() map[string]float64 {
		return read(func(st relay.Status, all map[string]float64) {
			if st.Limit > 0 { // a Maildir has no connections
				all[st.URL] = float64(n(st))
			}
		})
	}
	m := s.metrics
	m.Table("sekimori_backend_up", "1 while the backend is held to be alive.", "backend", read(func(st relay.Status, all map[string]float64) {
		all[st.URL] = 0
		if st.Up {
			all[st.URL] = 1
		}
	}))
	m.Table("sekimori_backend_connections_busy", "Connections to the backend that are in use.", "backend", numbers(func(st relay.Status) int { return st.Busy }))
	m.Table("sekimori_backend_connections_idle", "Connections to the backend that wait for a mail.", "backend", numbers(func(st relay.Status) int { return st.Idle }))
	m.Table("sekimori_backend_connections_limit", "Connections that the backend may get at present; below max_connections after it said 421.", "backend",
		numbers(func(st relay.Status) int { return st.Limit }))
	m.Table("sekimori_backend_waiting", "Deliveries that wait for a connection to the backend.", "backend", numbers(func(st relay.Status) int { return st.Waiting }))
}
