package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"io"
	"maps"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
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
	body := alertText(t, got[0])
	for _, want := range []string{"does not answer", "3 are missing", "mx.test", "sekimori queue check"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in\n%s", want, body)
		}
	}
}

// alertText checks the form of an alert and returns what a person reads.
func alertText(t *testing.T, raw string) string {
	t.Helper()
	for line := range strings.Lines(raw) {
		if text, ok := strings.CutSuffix(line, "\r\n"); !ok || len(text) > 78 || strings.ContainsFunc(text, func(c rune) bool { return c > '~' }) {
			t.Errorf("not a short line in 7 bits: %q", line)
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("the header: %v", m.Header)
	}
	words := new(mime.WordDecoder)
	subject, err := words.DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Error(err)
	}
	body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Error(err)
	}
	return "Subject: " + subject + "\n\n" + strings.ReplaceAll(string(body), "\r\n", "\n")
}

var updateAlerts = flag.Bool("update", false, "rewrite testdata/alerts")

// TestAlertGolden holds what an administrator reads, in every language, of every kind of warning.
func TestAlertGolden(t *testing.T) {
	now := time.Date(2026, 11, 27, 14, 0, 0, 0, time.FixedZone("", 9*3600))
	standing := map[string]string{
		"backend smtp://mail1.example.jp:25":             "dial tcp 192.0.2.1:25: connect: connection refused",
		"backend smtp://mail1.example.jp:25 connections": "turns connections away (421) before max_connections is reached; fewer are made for now",
		"backend smtp://mail1.example.jp:25 tls":         "certificate files that have changed do not load, the old ones stay in force: no such file",
		"backend smtp://mail1.example.jp:25 XCLIENT":     "does not offer XCLIENT to us, so it is not told who the client is",
		"redis": "no answer for 3s", "store": "no space left on device", "ledger": "3 acknowledged mails are not where the ledger says, such as d4j0 for taro@example.jp (missing)",
		"spool.full": "only 12 MiB of the disk are free", "config": "c.toml:2:1: nonsense: unknown key", "journal": "the archive did not take copies before journal.lifetime ended",
		"quarantine.full": "the quota of 2147483648 octets is reached", "quarantine.sweep": "permission denied", "recipients.callout.example.jp": "it accepts every address at RCPT",
		"recipients.ldap:ad.values": "2 values are not understood", "recipients.ldap:ad": "connection refused; the copy of 2026-11-27T01:00:00Z answers",
		"dns.127.0.0.1:53": "the DNS server does not answer", "geoip.country": "the database in use is kept: not an mmdb file", "dnsbl.bl.example": "is not asked any more: answers for 127.0.0.1",
		"something new": "words",
	}
	begun := slices.Sorted(maps.Keys(standing))
	for _, lang := range []string{"ja", "en", ""} {
		cfg := &config.Config{Hostname: "mx1.example.jp", Alert: config.Alert{Mail: []string{"admin@example.jp", "second@example.jp"}, Lang: lang}}
		name := cmp.Or(lang, "both")
		for _, c := range []struct {
			file        string
			begun, over []string
		}{
			{"every." + name, begun, nil},
			{"over." + name, nil, []string{"backend smtp://mail1.example.jp:25"}},
			{"mixed." + name, []string{"redis"}, []string{"backend smtp://mail1.example.jp:25"}},
		} {
			e := alertMail(cfg, "alert-d4j0", now, c.begun, c.over, standing)
			if len(e.Rcpts) != 2 || !e.From.IsNull() || !strings.Contains(string(e.Meta()), "alert") {
				t.Errorf("the envelope: %+v %s", e, e.Meta())
			}
			raw := string(e.Content.Bytes())
			got := alertText(t, raw)
			if strings.Contains(got, "{") || strings.Contains(got, "–") {
				t.Errorf("a place was not filled in:\n%s", got)
			}
			file := filepath.Join("..", "..", "testdata", "alerts", c.file+".txt")
			if *updateAlerts {
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(got), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(file); err != nil || string(want) != got {
				t.Errorf("%s is not what it was (%v); look at it, then go test -update. It is now:\n%s", file, err, got)
			}
		}
	}
}
