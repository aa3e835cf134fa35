package main

import (
	"maps"
	"slices"
	"strings"

	"sekimori/internal/mail"
	"sekimori/rules"
)

// modeMeans says of a mode that does not enforce what it does.
var modeMeans = map[string]string{
	"observe": "everything is delivered, whatever was decided, malware too",
	"tag":     "mail is tagged at most, and only malware is held",
	"hold":    "nothing is refused; what would be is held",
	"soft":    "what would be rejected is put off with 450",
}

// modeWords says in which way a policy does not enforce what it decides; "" when it does for everybody.
func modeWords(p *rules.Policy) string {
	var parts []string
	if mode := p.Mode(mail.Address{}); modeMeans[mode] != "" {
		parts = append(parts, mode+": "+modeMeans[mode])
	}
	own := p.DomainModes()
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if means := modeMeans[own[name]]; means != "" {
			parts = append(parts, "for "+name+" "+own[name]+": "+means)
		} else if len(parts) > 0 {
			parts = append(parts, "for "+name+" "+own[name])
		}
	}
	return strings.Join(parts, "; ")
}

// modeGauge adds the metric of the policy's modes.
func (s *server) modeGauge() {
	s.metrics.Table("sekimori_policy_mode", "1 for the mode of the policy and for each mode that a domain has of its own.", "mode", func() map[string]float64 {
		p := s.judge().policy
		modes := map[string]float64{p.Mode(mail.Address{}): 1}
		for _, mode := range p.DomainModes() {
			modes[mode] = 1
		}
		return modes
	})
}
