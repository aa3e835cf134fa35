package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ruleset"
	"sekimori/internal/store"
	"sekimori/internal/web"
)

// Each host that takes mail says in the shared store which set of rules it has in force. That they differ for a while is what
// copying looks like; that they differ for long is a warning.
const (
	nodesKey    = "rules:nodes"
	nodesEvery  = 10 * time.Second
	nodeSilent  = time.Minute    // after which a host counts no more
	nodeGone    = 24 * time.Hour // after which it is not shown any more
	nodesExpire = 48 * time.Hour // of the key
)

// rulesNode is what a host says.
type rulesNode struct {
	Node    string    `json:"node"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"`
	Refused string    `json:"refused,omitempty"` // version on its disk that did not load
	At      time.Time `json:"at"`                // when it said so
	Differs time.Time `json:"differs,omitzero"`  // since when it sees another version at some host
	Silent  bool      `json:"silent"`            // it has not said anything for a minute
}

// rulesNodes are all hosts, by name.
type rulesNodes []rulesNode

// readNodes reads what the hosts say.
func readNodes(ctx context.Context, c store.Client, now time.Time) (rulesNodes, error) {
	all, err := c.HGetAll(ctx, nodesKey).Result()
	if err != nil {
		return nil, err
	}
	list := rulesNodes{}
	for name, text := range all {
		var n rulesNode
		if json.Unmarshal([]byte(text), &n) != nil || now.Sub(n.At) > nodeGone {
			continue
		}
		n.Node, n.Silent = name, now.Sub(n.At) > nodeSilent
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b rulesNode) int { return cmp.Compare(a.Node, b.Node) })
	return list, nil
}

// differ reports whether hosts that are not silent have different versions.
func (l rulesNodes) differ() bool {
	first := ""
	for _, n := range l {
		if n.Silent {
			continue
		}
		if first != "" && n.Version != first {
			return true
		}
		first = n.Version
	}
	return false
}

// since is the earliest time at which a host saw that they differ; now when none did.
func (l rulesNodes) since(now time.Time) time.Time {
	for _, n := range l {
		if !n.Silent && !n.Differs.IsZero() && n.Differs.Before(now) {
			now = n.Differs
		}
	}
	return now
}

// words names the versions with their hosts.
func (l rulesNodes) words() string {
	hosts := map[string][]string{}
	for _, n := range l {
		if !n.Silent {
			hosts[n.Version] = append(hosts[n.Version], n.Node)
		}
	}
	var parts []string
	for version, names := range hosts {
		parts = append(parts, version+" on "+strings.Join(names, ", "))
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// agreement is what this host knows of the others. Safe for concurrent use.
type agreement struct {
	nodes  atomic.Pointer[rulesNodes]
	differ atomic.Int64 // since when they do, Unix milliseconds; 0: they agree
}

// announceRules says which rules are in force here, reads what the others say, and says whether they agree.
func (s *server) announceRules(ctx context.Context, now time.Time) error {
	present := s.sets.present.Load()
	if present == nil || s.cfg().Role == "console" {
		return nil
	}
	c := s.store.Client()
	list, err := readNodes(ctx, c, now)
	if err != nil {
		return err
	}
	own := rulesNode{Node: s.cfg().Hostname, Version: present.Version, Since: present.Time, At: now}
	if r := s.sets.refused.Load(); r != nil {
		own.Refused = r.Version
	}
	list = slices.DeleteFunc(list, func(n rulesNode) bool { return n.Node == own.Node })
	list = append(list, own)
	slices.SortFunc(list, func(a, b rulesNode) int { return cmp.Compare(a.Node, b.Node) })
	since := time.Time{}
	if list.differ() {
		since = list.since(now)
		if ms := s.agreement.differ.Load(); ms > 0 && time.UnixMilli(ms).Before(since) {
			since = time.UnixMilli(ms)
		}
		own.Differs = since
		s.agreement.differ.Store(since.UnixMilli())
	} else {
		s.agreement.differ.Store(0)
	}
	s.agreement.nodes.Store(&list)
	message := ""
	if within := s.cfg().Policy.NodesAgreeWithin.D(); !since.IsZero() && now.Sub(since) >= within {
		message = fmt.Sprintf("different rules since %s: %s", since.Local().Format(historyTime), list.words())
	}
	s.warn.set("rules nodes", message)
	text, err := json.Marshal(own)
	if err != nil {
		return err
	}
	if err := c.HSet(ctx, nodesKey, own.Node, text).Err(); err != nil {
		return err
	}
	return c.PExpire(ctx, nodesKey, nodesExpire).Err()
}

// watchRules announces the rules in force, and again soon after they have changed, until ctx ends.
func (s *server) watchRules(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	last, said := "", time.Time{}
	for {
		version := ""
		if e := s.sets.present.Load(); e != nil {
			version = e.Version
		}
		if now := time.Now(); version != last || now.Sub(said) >= nodesEvery {
			// A store that does not answer has its own warning.
			if err := s.announceRules(ctx, now); err == nil {
				last = version
			}
			said = now
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// rulesGauges adds the metrics of the sets of rules.
func (s *server) rulesGauges() {
	s.modeGauge()
	s.metrics.Table("sekimori_rules_in_force_timestamp_seconds", "Since when the set of rules in force judges, by its version.", "version",
		func() map[string]float64 {
			e := s.sets.present.Load()
			if e == nil {
				return nil
			}
			return map[string]float64{e.Version: float64(e.Time.Unix())}
		})
	s.metrics.Gauge("sekimori_rules_suspended", "Rules that are out of force because they take too long.", s.suspendedRules)
	s.metrics.Gauge("sekimori_rules_differ_seconds", "For how long hosts have had different rules in force; 0 while they agree.", func() float64 {
		ms := s.agreement.differ.Load()
		if ms == 0 {
			return 0
		}
		return max(time.Since(time.UnixMilli(ms)).Seconds(), 0)
	})
}

// shownRules is what the status page says of the rules.
func (s *server) shownRules() web.Rules {
	r := web.Rules{Refused: s.sets.refused.Load() != nil}
	if e := s.sets.present.Load(); e != nil {
		r.Version, r.Since = e.Version, e.Time
	}
	nodes := s.agreement.nodes.Load()
	if nodes == nil || len(*nodes) < 2 {
		return r
	}
	for _, n := range *nodes {
		r.Nodes = append(r.Nodes, web.RulesNode{Name: n.Node, Version: n.Version, Since: n.Since, Silent: n.Silent, Differs: !n.Silent && n.Version != r.Version})
	}
	return r
}

// rulesNodes reads what the hosts say, for a command; none with the embedded store, which has one host.
func (a *app) rulesNodes(cfg *config.Config) (rulesNodes, error) {
	if cfg.Redis.Embedded() {
		return rulesNodes{}, nil
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return rulesNodes{}, err
	}
	defer st.Close()
	return readNodes(a.ctx, st.Client(), time.Now())
}

// tell says what the hosts have in force, when there are several.
func (l rulesNodes) tell(a *app) {
	if len(l) < 2 {
		return
	}
	fmt.Fprintln(a.out)
	w := a.table()
	fmt.Fprintln(w, "HOST\tVERSION\tSINCE\t")
	for _, n := range l {
		note := ""
		switch {
		case n.Silent:
			note = "silent since " + n.At.Local().Format(historyTime)
		case n.Refused != "":
			note = "has refused " + n.Refused
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Node, n.Version, n.Since.Local().Format(historyTime), note)
	}
	_ = w.Flush() // what cannot be written shows at the next line
	if now := time.Now(); l.differ() {
		fmt.Fprintf(a.out, "the hosts have different rules, for %s\n", now.Sub(l.since(now)).Round(time.Second))
	} else {
		fmt.Fprintln(a.out, "the hosts have the same rules")
	}
}

// tellRules says for `check` which rules are in force here and elsewhere.
func (a *app) tellRules(cfg *config.Config) {
	history, err := ruleset.Reader(rulesetDir(cfg)).History()
	if err != nil {
		fmt.Fprintln(a.out, "warning: which rules are in force cannot be told:", err)
		return
	}
	if now := inForce(history); now != nil {
		fmt.Fprintf(a.out, "rules in force on this host: %s, since %s (sekimori rules history)\n", now.Version, now.Time.Local().Format(historyTime))
	}
	nodes, err := a.rulesNodes(cfg)
	if err != nil {
		fmt.Fprintln(a.out, "warning: which rules the other hosts have in force cannot be told:", err)
	}
	if now := time.Now(); nodes.differ() {
		fmt.Fprintf(a.out, "warning: the hosts have different rules in force, for %s: %s\n", now.Sub(nodes.since(now)).Round(time.Second), nodes.words())
	}
}
