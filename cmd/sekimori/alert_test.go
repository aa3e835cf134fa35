package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/relay"
)

func TestAlerts(t *testing.T) {
	now := time.Date(2026, 11, 27, 5, 0, 0, 0, time.UTC)
	var got []string
	cfg := &config.Config{Hostname: "mx.test", Alert: config.Alert{Mail: []string{"admin@example.jp"}}}
	start := func(file string) *alerter {
		a := &alerter{
			cfg: func() *config.Config { return cfg }, file: file, now: func() time.Time { return now }, started: now, fail: func(err error) { t.Error(err) },
			send: func(_ context.Context, e relay.Envelope) error {
				got = append(got, string(e.Content.Bytes()))
				return nil
			},
		}
		a.load()
		return a
	}
	file := filepath.Join(t.TempDir(), "alerts.json")
	a := start(file)
	both := map[string]string{"redis": "does not answer", "ledger": "3 are missing"}
	step := func(what string, wait time.Duration, standing map[string]string, want int) {
		t.Helper()
		now = now.Add(wait)
		a.look(t.Context(), standing)
		if len(got) != want {
			t.Errorf("%s: %d mails, want %d", what, len(got), want)
		}
	}
	step("nothing", 0, nil, 0)
	step("two causes in one mail", 0, both, 1)
	step("told already", time.Hour, both, 1)
	a = start(file)
	step("a restart repeats nothing, and nothing is over yet", time.Second, nil, 1)
	step("over", 3*time.Minute, nil, 2)
	step("again at once", time.Minute, both, 2)
	step("again later", 15*time.Minute, both, 3)
	for _, want := range []string{"Auto-Submitted: auto-generated", "redis: does not answer", "ledger: 3 are missing", "mx.test"} {
		if !strings.Contains(got[0], want) {
			t.Errorf("%q is missing in\n%s", want, got[0])
		}
	}
}
