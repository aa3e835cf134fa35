// Package reputation is what is remembered between messages: counters and rate limits, and the Bayes model.
package reputation

import (
	"context"
	"time"

	"sekimori/internal/mail"
)

// Memory is what the checks remember with. Safe for concurrent use. Errors mean that the store did not answer.
type Memory interface {
	// Take charges every limit once, atomically each, in one round trip, and says for each whether it was exceeded.
	Take(ctx context.Context, limits []Limit) ([]Taken, error)
	// Bayes returns everybody's model as last loaded. It is never nil; an empty one is not ready.
	Bayes() *Model
	// BayesFor returns the models that count for a mailbox. On an error those of its domain or itself may be missing.
	BayesFor(ctx context.Context, box mail.Address) (Mix, error)
	// BayesHalved reports whether people contradict the Bayesian check so much that it weighs half.
	BayesHalved() bool
	// Allowed returns what these recipients allow, by Address.Key.
	Allowed(ctx context.Context, rcpts []mail.Address) (map[string][]Allow, error)
	// Past returns what is remembered of a sender in all, and with each recipient by Address.Key.
	Past(ctx context.Context, sender string, rcpts []mail.Address) (Past, map[string]Past, error)
	// Try notes an attempt for greylisting and says what is known of it, and how long ago the first one was.
	Try(ctx context.Context, t GreyTry, r GreyRule) (Grey, time.Duration, error)
}

// Limit is a rate limit for one key, judged by the generic cell rate algorithm (ITU-T I.371): Burst at once, refilled
// evenly at Burst per Period.
type Limit struct {
	Key    string // such as "client:192.0.2.1"
	Burst  int
	Period time.Duration
}

// Taken is the answer for one limit.
type Taken struct {
	Exceeded bool
	Retry    time.Duration // when it would be allowed again
	Used     int           // of Burst, after this one
}
