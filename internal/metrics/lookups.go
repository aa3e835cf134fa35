package metrics

import "github.com/prometheus/client_golang/prometheus"

// autoResults are what may become of a mail of which the other checks were sure.
var autoResults = [...]string{
	"learned", "shown", "alike", "known", "early", "contradicted", "lopsided", "daily", "sender", "large", "dropped", "failed", "revised",
}

// AutoLearned counts a mail of which the other checks were sure, by what became of that.
func (r *Registry) AutoLearned(class, result string) { r.auto.WithLabelValues(class, result).Inc() }

// handedResults are what may become of a mail to a learning address.
var handedResults = [...]string{"learned", "refused", "deferred"}

// HandedIn counts a mail to a learning address, by its class and what became of it.
func (r *Registry) HandedIn(class, result string) { r.handed.WithLabelValues(class, result).Inc() }

// Lookup counts a question about a recipient by who answered it and how.
func (r *Registry) Lookup(source, result string) { r.lookups.WithLabelValues(source, result).Inc() }

// table is a metric whose labels are known only when it is read.
type table struct {
	desc *prometheus.Desc
	read func() map[string]float64
}

func (t table) Describe(ch chan<- *prometheus.Desc) { ch <- t.desc }

func (t table) Collect(ch chan<- prometheus.Metric) {
	for label, v := range t.read() {
		ch <- prometheus.MustNewConstMetric(t.desc, prometheus.GaugeValue, v, label)
	}
}

// Table adds a metric that is read when it is asked for, one value for each value of a label.
func (r *Registry) Table(name, help, label string, read func() map[string]float64) {
	r.reg.MustRegister(table{prometheus.NewDesc(name, help, []string{label}, nil), read})
}
