package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ruleset"
	"sekimori/internal/store"
)

// TestNodesAgree: hosts over one store see that they differ, at once; it is a warning only when it lasts, ends when they agree,
// and a host that says nothing any more does not count.
func TestNodesAgree(t *testing.T) {
	st, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	host := func(name string) *server {
		cfg := *config.Default()
		cfg.Hostname = name
		s := &server{store: st, log: slog.New(slog.DiscardHandler)}
		s.warn = newWarnings(s.log, func(string, bool) {})
		s.present.Store(&generation{cfg: &cfg})
		return s
	}
	now := time.Unix(1.8e9, 0)
	say := func(s *server, version string) {
		t.Helper()
		s.sets.present.Store(&ruleset.Entry{Version: version, Time: now})
		if err := s.announceRules(context.Background(), now); err != nil {
			t.Fatal(err)
		}
	}
	warned := func(s *server, want bool) {
		t.Helper()
		if message := s.warn.all()["rules nodes"]; (message != "") != want {
			t.Errorf("%s at %s: %q", s.cfg().Hostname, now, message)
		}
	}
	a, b := host("mx1"), host("mx2")
	say(a, "v1")
	say(b, "v1")
	warned(a, false)
	now = now.Add(10 * time.Second)
	say(a, "v2")
	if r := a.shownRules(); len(r.Nodes) != 2 || !r.Nodes[1].Differs || a.agreement.differ.Load() == 0 {
		t.Errorf("%+v", r)
	}
	warned(a, false)
	for range 59 {
		now = now.Add(10 * time.Second)
		say(a, "v2")
		say(b, "v1")
	}
	warned(a, false) // 590 seconds
	b = host("mx2")  // restarted: it learns from the other since when
	now = now.Add(10 * time.Second)
	say(b, "v1")
	say(a, "v3")
	warned(a, true)
	warned(b, true)
	if m := a.warn.all()["rules nodes"]; !strings.Contains(m, "v1 on mx2; v3 on mx1") {
		t.Error(m)
	}
	list, err := readNodes(t.Context(), st.Client(), now)
	if err != nil || !list.differ() || now.Sub(list.since(now)) != 10*time.Minute {
		t.Errorf("%+v %v %s", list, err, now.Sub(list.since(now)))
	}
	say(b, "v3")
	say(a, "v3")
	warned(a, false)
	warned(b, false)
	say(b, "v4")
	now = now.Add(11 * time.Minute) // b stays silent
	say(a, "v3")
	warned(a, false)
	if r := a.shownRules(); len(r.Nodes) != 2 || !r.Nodes[1].Silent {
		t.Errorf("%+v", r)
	}
}
