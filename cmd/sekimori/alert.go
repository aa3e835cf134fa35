package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/config"
	"sekimori/internal/relay"
)

const (
	alertEvery  = 5 * time.Second
	alertQuiet  = 15 * time.Minute // between two mails about one cause
	alertSettle = 2 * time.Minute  // after a start, before anything is said to be over
)

// told is what the administrators were mailed of a cause.
type told struct {
	At time.Time `json:"at"`
	On bool      `json:"on"` // that it stands, not that it is over
}

// alerter mails warnings to the addresses of [alert]. What was told stands in a file, so that a restart does not repeat it.
type alerter struct {
	cfg     func() *config.Config
	file    string
	now     func() time.Time
	send    func(context.Context, relay.Envelope) error
	fail    func(error)
	started time.Time
	told    map[string]told
}

func (s *server) watchAlerts(ctx context.Context) {
	a := &alerter{
		cfg: s.cfg, file: filepath.Join(s.cfg().DataDir, "alerts.json"), now: time.Now, send: s.relay.Queue, started: time.Now(),
		fail: func(err error) { s.log.Error("an alert cannot be mailed or noted", "err", err) },
	}
	a.load()
	asked := alertAnswerer{spool: s.spool, dir: s.cfg().DataDir, cfg: s.cfg, now: time.Now, send: s.relay.Queue, log: s.log}
	t, q := time.NewTicker(alertEvery), time.NewTicker(time.Second)
	defer t.Stop()
	defer q.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			a.look(ctx, s.warn.all())
		case <-q.C:
			asked.look(ctx)
		}
	}
}

func (a *alerter) load() {
	a.told = map[string]told{}
	b, err := os.ReadFile(a.file)
	if err != nil {
		return
	}
	if err := json.Unmarshal(b, &a.told); err != nil || a.told == nil {
		a.told = map[string]told{}
	}
}

// look mails what has begun or is over, all of it in one mail.
func (a *alerter) look(ctx context.Context, standing map[string]string) {
	now := a.now()
	var begun, over []string
	next := maps.Clone(a.told)
	for cause := range standing {
		if t := a.told[cause]; !t.On && now.Sub(t.At) >= alertQuiet {
			begun = append(begun, cause)
			next[cause] = told{now, true}
		}
	}
	for cause, t := range a.told {
		switch _, on := standing[cause]; {
		case on:
		case t.On && now.Sub(a.started) >= alertSettle:
			over = append(over, cause)
			next[cause] = told{now, false}
		case !t.On && now.Sub(t.At) >= alertQuiet:
			delete(next, cause)
		}
	}
	if len(begun)+len(over) == 0 || len(a.cfg().Alert.Mail) == 0 {
		return
	}
	slices.Sort(begun)
	slices.Sort(over)
	if err := a.send(ctx, alertMail(a.cfg(), "alert-"+xid.New().String(), now, begun, over, standing)); err != nil {
		a.fail(err)
		return
	}
	a.told = next
	b, err := json.Marshal(next)
	if err == nil {
		err = replaceFile(a.file, b, 0o600)
	}
	if err != nil {
		a.fail(err)
	}
}

// all returns the standing warnings by cause.
func (w *warnings) all() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.standing)
}
