package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/internal/text"
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
	t := time.NewTicker(alertEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			a.look(ctx, s.warn.all())
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
	if err := a.send(ctx, a.mail(now, begun, over, standing)); err != nil {
		a.fail(err)
		return
	}
	a.told = next
	b, err := json.Marshal(next)
	if err == nil {
		err = os.WriteFile(a.file+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(a.file+".new", a.file)
	}
	if err != nil {
		a.fail(err)
	}
}

// mail makes the alert: from nobody, so that nothing answers it.
func (a *alerter) mail(now time.Time, begun, over []string, standing map[string]string) relay.Envelope {
	var b strings.Builder
	cfg := a.cfg()
	id := "alert-" + xid.New().String()
	fmt.Fprintf(&b, "From: Sekimori <postmaster@%s>\r\nTo: %s\r\n", cfg.Hostname, strings.Join(cfg.Alert.Mail, ", "))
	fmt.Fprintf(&b, "Subject: [Sekimori] %s: %s\r\n", cfg.Hostname, strings.Join(slices.Concat(begun, over), ", "))
	fmt.Fprintf(&b, "Date: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n", now.Format(time.RFC1123Z), id, cfg.Hostname)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	for _, lang := range []text.Lang{text.Ja, text.En} {
		if only := cfg.Alert.Lang; only != "" && only != string(lang) {
			continue
		}
		if len(begun) > 0 {
			fmt.Fprintf(&b, "%s\r\n", text.Fill("alert.begun", lang, mail.Evidence{Key: "host", Value: cfg.Hostname}))
			for _, c := range begun {
				fmt.Fprintf(&b, "  %s: %s\r\n", c, text.Clean(standing[c], 500))
			}
		}
		if len(over) > 0 {
			fmt.Fprintf(&b, "%s\r\n  %s\r\n", text.Fill("alert.over", lang, mail.Evidence{Key: "host", Value: cfg.Hostname}), strings.Join(over, "\r\n  "))
		}
		fmt.Fprintf(&b, "%s\r\n\r\n", text.Fill("alert.more", lang))
	}
	env := relay.Envelope{ID: id, Content: mail.Content{[]byte(b.String())}, EightBit: true, Lane: relay.LaneOutbound}
	for _, s := range cfg.Alert.Mail {
		if to, err := mail.ParseAddress(s, false); err == nil {
			env.Rcpts = append(env.Rcpts, to)
		}
	}
	return env
}

// all returns the standing warnings by cause.
func (w *warnings) all() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.standing)
}
