package metrics

// Lookup counts a question about a recipient by who answered it and how.
func (r *Registry) Lookup(source, result string) { r.lookups.WithLabelValues(source, result).Inc() }
