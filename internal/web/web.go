// Package web serves pages. What stands here now is a status page that only reads, and the health and metrics that a
// balancer and Prometheus ask for.
package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// Health is what /healthz says. Safe for concurrent use.
type Health struct {
	draining atomic.Bool
	room     func() error
	degraded func() []string
	troubles func() []string
}

// NewHealth returns a Health. room says whether new mail can be taken (nil error: yes); degraded lists, in words, which
// checks do not run at the moment, and troubles what does not work, such as a backend that is dead.
func NewHealth(room func() error, degraded, troubles func() []string) *Health {
	return &Health{room: room, degraded: degraded, troubles: troubles}
}

// Drain makes the server not ready for good: a balancer stops sending.
func (h *Health) Drain() { h.draining.Store(true) }

// report is the body of /healthz.
type report struct {
	Status   string   `json:"status"`   // ready, draining, spool full
	Degraded []string `json:"degraded"` // what is not looked at, and what does not work
}

func (h *Health) report() report {
	r := report{Status: "ready", Degraded: slices.Concat(h.degraded(), h.troubles())}
	if err := h.room(); err != nil {
		r.Status = "spool full"
	}
	if h.draining.Load() {
		r.Status = "draining"
	}
	if r.Degraded == nil {
		r.Degraded = []string{}
	}
	return r
}

// ServeHTTP answers 200 when new mail is taken, else 503; degraded dependencies do not make the server unready, since
// mail flows without them.
func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	r := h.report()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.Status != "ready" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // the client has gone: nobody to tell
}

// Operations serves the status page, /metrics and /healthz; it never stands on the public address, and asks nobody who they are.
func Operations(metrics http.Handler, health *Health, status *Status) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /healthz", health)
	mux.Handle("GET /{$}", status.Handler())
	return mux
}

// Server returns an http.Server with time-outs that a silent client cannot hold open.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}
