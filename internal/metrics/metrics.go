// Package metrics counts what the server does and shows it to Prometheus. It is the sole importer of the client library.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sekimori/internal/mail"
)

// Registry has every counter of one server. Safe for concurrent use.
type Registry struct {
	reg      *prometheus.Registry
	mails    *prometheus.CounterVec
	would    *prometheus.CounterVec
	findings *prometheus.CounterVec
	outcomes *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	open     prometheus.Gauge
	refusals *prometheus.CounterVec
	lookups  *prometheus.CounterVec
	auto     *prometheus.CounterVec
	handed   *prometheus.CounterVec
	phase    *prometheus.HistogramVec
	warnings *prometheus.GaugeVec
	checks   sync.Map // check -> *perCheck: label look-ups are too dear for the path of every mail
	symbols  sync.Map // symbol -> prometheus.Counter
}

type perCheck struct {
	state   [mail.StateTempError + 1]prometheus.Counter
	seconds prometheus.Observer
}

// New returns a Registry with the process's own metrics in it.
func New(version string) *Registry {
	r := &Registry{reg: prometheus.NewRegistry()}
	r.mails = counters("sekimori_mails_total", "Mails by what was done with them, one for each recipient.", "action")
	r.would = counters("sekimori_mails_would_total", "Recipients' mails of which the policy's mode did not let happen what was decided, by what that was.", "action")
	r.findings = counters("sekimori_findings_total", "Findings by symbol.", "symbol")
	r.outcomes = counters("sekimori_checks_total", "Runs of checks by how they ended.", "check", "state")
	r.seconds = histogram("sekimori_check_seconds", "How long a check took.", "check")
	r.open = prometheus.NewGauge(prometheus.GaugeOpts{Name: "sekimori_connections", Help: "Open SMTP connections."})
	r.refusals = counters("sekimori_refusals_total", "Refusals by what was refused and why.", "where", "why")
	r.lookups = counters("sekimori_recipient_lookups_total", "Recipients that were asked for, by who answered and how.", "source", "result")
	r.auto = counters("sekimori_bayes_auto_total", "Mails of which the other checks were sure, by class and by what the Bayesian check learned of them.", "class", "result")
	r.handed = counters("sekimori_bayes_handed_in_total", "Mails to learning addresses that were not turned away at RCPT, by class and by what became of them.", "class", "result")
	r.phase = histogram("sekimori_mail_seconds", "Where the time of a mail went.", "phase")
	r.warnings = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sekimori_warning", Help: "1 while a warning to the administrator stands."}, []string{"cause"})
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sekimori_info", Help: "1, with the version."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	r.reg.MustRegister(r.mails, r.would, r.findings, r.outcomes, r.seconds, r.open, r.refusals, r.lookups, r.auto, r.handed, r.phase, r.warnings, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for a := mail.Deliver; a <= mail.Reject; a++ {
		r.mails.WithLabelValues(a.String())
	}
	for _, result := range autoResults {
		r.auto.WithLabelValues("ham", result)
		r.auto.WithLabelValues("spam", result)
	}
	for _, result := range handedResults {
		r.handed.WithLabelValues("ham", result)
		r.handed.WithLabelValues("spam", result)
	}
	return r
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help, label string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: []float64{0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 2, 10},
	}, []string{label})
}

// Handler serves /metrics.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.reg, promhttp.HandlerOpts{})
}

// Gauge adds a metric that is read when it is asked for.
func (r *Registry) Gauge(name, help string, read func() float64) {
	r.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter adds a counter that another package keeps.
func (r *Registry) Counter(name, help string, read func() float64) {
	r.reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

// Outcome counts the run of a check and its findings.
func (r *Registry) Outcome(o mail.Outcome) {
	c := r.check(o.Check)
	c.state[o.State].Inc()
	if o.State != mail.StateSkipped {
		c.seconds.Observe(o.Took.Seconds())
	}
	for _, f := range o.Findings {
		r.symbol(f.Symbol).Inc()
	}
}

func (r *Registry) check(name string) *perCheck {
	if c, ok := r.checks.Load(name); ok {
		return c.(*perCheck)
	}
	c := &perCheck{seconds: r.seconds.WithLabelValues(name)}
	for s := range c.state {
		c.state[s] = r.outcomes.WithLabelValues(name, mail.State(s).String())
	}
	r.checks.Store(name, c)
	return c
}

func (r *Registry) symbol(name string) prometheus.Counter {
	if c, ok := r.symbols.Load(name); ok {
		return c.(prometheus.Counter)
	}
	c := r.findings.WithLabelValues(name)
	r.symbols.Store(name, c)
	return c
}

// Mail counts one recipient's mail by what was done with it.
func (r *Registry) Mail(action mail.Action) { r.mails.WithLabelValues(action.String()).Inc() }

// Would counts one recipient's mail of which more would have been done without the policy's mode: the word of that.
func (r *Registry) Would(word string) { r.would.WithLabelValues(word).Inc() }

// Routed counts one recipient's mail that was accepted and went elsewhere: word is "redirect", "discard" or "learned".
func (r *Registry) Routed(word string) { r.mails.WithLabelValues(word).Inc() }

// Open says how many connections are open.
func (r *Registry) Open(n int) { r.open.Set(float64(n)) }

// Refusal counts something that was refused: where is connection, command, rcpt or tls, why one of a few words.
func (r *Registry) Refusal(where, why string) { r.refusals.WithLabelValues(where, why).Inc() }

// Phase counts how long one part of a mail's way took: "judge", "deliver", "total".
func (r *Registry) Phase(phase string, d time.Duration) {
	r.phase.WithLabelValues(phase).Observe(d.Seconds())
}

// Warning shows or, with on false, ends a warning.
func (r *Registry) Warning(cause string, on bool) {
	if !on {
		r.warnings.DeleteLabelValues(cause)
		return
	}
	r.warnings.WithLabelValues(cause).Set(1)
}
