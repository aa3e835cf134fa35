package main

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
)

// warnings are what the administrator should know at the moment, by cause. A warning is logged when it begins, when its
// words change and when it ends, and stands in the metrics and on the status page meanwhile. Safe for concurrent use.
type warnings struct {
	log    *slog.Logger
	metric func(cause string, on bool)

	mu       sync.Mutex
	standing map[string]string
}

func newWarnings(log *slog.Logger, metric func(string, bool)) *warnings {
	return &warnings{log: log, metric: metric, standing: map[string]string{}}
}

// set begins or changes the warning of a cause; an empty message ends it.
func (w *warnings) set(cause, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, was := w.standing[cause]
	switch {
	case message == "" && was:
		delete(w.standing, cause)
		w.metric(cause, false)
		w.log.Info("warning is over", "cause", cause)
	case message != "" && message != old:
		w.standing[cause] = message
		w.metric(cause, true)
		w.log.Warn("warning", "cause", cause, "message", message)
	}
}

// list returns the standing warnings, sorted.
func (w *warnings) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for cause, message := range w.standing {
		all = append(all, fmt.Sprintf("%s: %s", cause, message))
	}
	slices.Sort(all)
	return all
}
