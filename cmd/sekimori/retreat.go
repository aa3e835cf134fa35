package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/quarantine"
	"sekimori/reputation"
	"sekimori/rules"
)

// retreatEvery is how often counts are written and the rules that have stepped back are read: so long hosts may differ. What was released
// is written and looked at within a second.
const retreatEvery = 5 * time.Second

// words says of a rule that has stepped back what it did, what it does, and why.
func backWords(b reputation.Back) string {
	return fmt.Sprintf("%s does no more than %s since %s (before: %s): %d people released %d of %d mails that it held (%d%%)",
		b.Rule, b.Mode, b.At.Local().Format(historyTime), b.Was, b.People, b.Released, b.Held, b.Percent())
}

// asRetreats is what the rules need to know.
func asRetreats(list []reputation.Back) []rules.Retreat {
	var all []rules.Retreat
	for _, b := range list {
		all = append(all, rules.Retreat{ID: b.Rule, Sum: b.Sum, Mode: b.Mode})
	}
	return all
}

// inForceOf returns those of the list that concern rules of the policy.
func inForceOf(p *rules.Policy, list []reputation.Back) []reputation.Back {
	all := []reputation.Back{}
	known := p.Retreats()
	for _, b := range list {
		if slices.ContainsFunc(known, func(r rules.Retreat) bool { return r.ID == b.Rule && r.Sum == b.Sum }) {
			all = append(all, b)
		}
	}
	return all
}

// mayStepBack are the rules of which releases are counted, with their sums.
func mayStepBack(p *rules.Policy) map[string]string {
	sums := map[string]string{}
	for _, r := range p.Rules() {
		if _, next := p.Ceiling(r.ID); next != "" {
			sums[r.ID] = r.Sum
		}
	}
	return sums
}

// retreatFor makes a new policy do no more than what is known to be in force, before it judges its first mail.
func (s *server) retreatFor(cfg *config.Config, p *rules.Policy) {
	if cfg.Policy.Retreat.Enabled {
		p.SetRetreats(asRetreats(s.retreats.Present()))
		s.retreats.Rules(mayStepBack(p))
	}
}

// openRetreats reads what has stepped back, so that the first mail is judged by it. A store that does not answer must not keep the server
// from starting; it is read again soon.
func (s *server) openRetreats(ctx context.Context) {
	s.retreats = reputation.NewRetreats(s.store.Client(), time.Now)
	ctx, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	if _, err := s.retreats.Load(ctx); err != nil {
		s.log.Warn("which rules have stepped back cannot be read yet", "err", err)
	}
	s.metrics.Table("sekimori_rules_retreated", "1 for each rule that has stepped back because people released much of what it held.", "rule", func() map[string]float64 {
		all := map[string]float64{}
		for _, r := range s.judge().policy.Retreats() {
			all[r.ID] = 1
		}
		return all
	})
}

// watchRetreats counts, evaluates, and puts in force what any host has found, until ctx ends.
func (s *server) watchRetreats(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	told, last := map[string]bool{}, time.Time{}
	var of *rules.Policy
	for {
		if p := s.judge().policy; p != of || time.Since(last) >= retreatEvery || s.retreats.Fresh() {
			s.retreat(ctx, told)
			of, last = p, time.Now()
		}
		select {
		case <-ctx.Done():
			end, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			_, _ = s.retreats.Flush(end) // counts of some seconds, at the worst
			stop()
			return
		case <-t.C:
		}
	}
}

// retreat is one round. told are the rules of which a warning stands.
func (s *server) retreat(ctx context.Context, told map[string]bool) {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	cfg, p := s.cfg(), s.judge().policy
	var list []reputation.Back
	if cfg.Policy.Retreat.Enabled {
		s.retreats.Rules(mayStepBack(p))
		// A store that does not answer has its own warning, and nothing is lost.
		fresh, err := s.retreats.Flush(ctx)
		if err == nil {
			err = s.stepBack(ctx, p, fresh)
		}
		if err == nil {
			list, err = s.retreats.Load(ctx)
		}
		if err != nil {
			return
		}
	} else {
		s.retreats.Rules(nil)
	}
	p.SetRetreats(asRetreats(list))
	now := map[string]bool{}
	for _, b := range inForceOf(p, list) {
		now[b.Rule] = true
		s.warn.set("retreat."+b.Rule, backWords(b))
	}
	for id := range told {
		if !now[id] {
			s.warn.set("retreat."+id, "")
			delete(told, id)
		}
	}
	for id := range now {
		told[id] = true
	}
}

// stepBack looks at the rules of which something was released.
func (s *server) stepBack(ctx context.Context, p *rules.Policy, ids []string) error {
	r := s.cfg().Policy.Retreat
	limits := reputation.RetreatLimits{Share: r.Share, Releases: r.Releases, Persons: r.Persons, Days: r.Days()}
	for _, id := range ids {
		_, next := p.Ceiling(id)
		was := "hold"
		if next == "hold" {
			was = "reject" // or put off, or thrown away
		}
		b, err := s.retreats.Evaluate(ctx, id, was, next, limits)
		if err != nil {
			return err
		}
		if b != nil {
			s.log.Warn("a rule steps back", "rule", id, "from", b.Was, "to", b.Mode, "held", b.Held, "released", b.Released, "people", b.People)
		}
	}
	return nil
}

// releasedOf counts a release for the rule that held the mail.
func (s *server) releasedOf(item *quarantine.Item, who string) {
	if item.Class == "refused" {
		return // held because of the others to whom the mail came, not because of its rule
	}
	id, _, _ := strings.Cut(item.Rule, " (")
	s.retreats.Released(id, who, item.Time)
}

// retreated reads for a command which rules of the policy have stepped back; with no policy, those of any.
func (a *app) retreated(cfg *config.Config, p *rules.Policy) ([]reputation.Back, error) {
	if !cfg.Policy.Retreat.Enabled {
		return []reputation.Back{}, nil
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("which rules have stepped back cannot be read: %w", err)
	}
	defer st.Close()
	list, err := reputation.NewRetreats(st.Client(), time.Now).Load(a.ctx)
	if err != nil {
		return nil, fmt.Errorf("which rules have stepped back cannot be read: %w", err)
	}
	if p == nil {
		return list, nil
	}
	p.SetRetreats(asRetreats(list))
	return inForceOf(p, list), nil
}

// tellRetreats says for `check` which rules have stepped back.
func (a *app) tellRetreats(cfg *config.Config, p *rules.Policy) {
	list, err := a.retreated(cfg, p)
	if err != nil {
		fmt.Fprintln(a.out, "warning:", err)
	}
	for _, b := range list {
		fmt.Fprintln(a.out, "warning: the rule "+backWords(b)+"; change it, or: sekimori rules retreat clear "+b.Rule)
	}
}

type rulesRetreatCmd struct {
	List  retreatListCmd  `cmd:"" default:"withargs" help:"List the rules that have stepped back."`
	Clear retreatClearCmd `cmd:"" help:"Let a rule do again what is written."`
}

// Help is the long help.
func (rulesRetreatCmd) Help() string {
	return "A rule steps back by itself, from reject to hold and from hold to tag, when people release much of what it holds " +
		"([policy] retreat). It does again what is written when it is changed, or with clear. It never becomes stricter than it is written, and " +
		"rules of class malware, with final = true or with retreat = false never step back."
}

type retreatListCmd struct {
	JSON bool `help:"Print JSON."`
}

func (c retreatListCmd) Run(a *app) error {
	cfg, policy, err := a.loadRules("")
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	list, err := a.retreated(cfg, policy)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(list)
	}
	switch {
	case !cfg.Policy.Retreat.Enabled:
		fmt.Fprintln(a.out, "rules do not step back by themselves: policy.retreat.enabled is false")
	case len(list) == 0:
		fmt.Fprintln(a.out, "no rule has stepped back")
	}
	for _, b := range list {
		fmt.Fprintln(a.out, backWords(b))
	}
	return nil
}

type retreatClearCmd struct {
	Rule string `arg:"" help:"Id of the rule."`
	JSON bool   `help:"Print JSON."`
}

func (c retreatClearCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	cleared, err := reputation.NewRetreats(st.Client(), time.Now).Clear(a.ctx, c.Rule, operator())
	if err != nil {
		return err
	}
	if c.JSON {
		if cleared == nil {
			cleared = []reputation.Back{}
		}
		if err := a.json(cleared); err != nil {
			return err
		}
	}
	if len(cleared) == 0 {
		fmt.Fprintf(a.err, "%s: no such rule has stepped back (sekimori rules retreat)\n", c.Rule)
		return found
	}
	if !c.JSON {
		fmt.Fprintf(a.out, "%s does again what is written, on every host within %s; what people release is counted anew\n", c.Rule, retreatEvery)
	}
	return nil
}
