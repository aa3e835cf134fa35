package reputation

// Model is an immutable snapshot of what the Bayesian check has learned.
type Model struct{}
