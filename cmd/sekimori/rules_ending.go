package main

import (
	"strings"
	"time"
)

// tellEnding warns of rules that end within a week or have ended within one.
func (s *server) tellEnding(now time.Time) {
	g := s.present.Load()
	if g == nil || g.judge == nil {
		return
	}
	s.warn.set("rules ending", strings.Join(g.judge.policy.Ending(now.In(g.cfg.Digest.Location())), "; "))
}

// suspendedRules is how many rules are out of force because they take too long.
func (s *server) suspendedRules() float64 {
	if g := s.present.Load(); g != nil && g.judge != nil {
		return float64(len(g.judge.policy.Suspended()))
	}
	return 0
}
