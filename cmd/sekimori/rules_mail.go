package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/xid"

	"sekimori/filters"
	"sekimori/internal/config"
	"sekimori/internal/dns"
	"sekimori/internal/front"
	"sekimori/internal/gate"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/reputation"
	"sekimori/rules"
)

// mailTester judges mails of tests. Nothing is asked outside: DNS is what a test says it is, nothing was learned or counted before.
type mailTester struct {
	cfg    *config.Config
	policy *rules.Policy
}

// judged is one mail of a test and what became of it.
type judged struct {
	tx       *mail.Transaction
	verdicts []mail.Verdict
}

func (t *mailTester) run(ctx context.Context, m rules.MailTest) (judged, error) {
	raw, err := os.ReadFile(m.File)
	if err != nil {
		return judged{}, err
	}
	raw = withCRLF(raw)
	j, closing, err := t.judge(ctx, m)
	if err != nil {
		return judged{}, err
	}
	defer closing()
	start := m.Time
	if start.IsZero() {
		start = time.Now()
	}
	e := envelope{rcpts: m.Rcpts, session: &mail.Session{ID: xid.New().String(), Client: m.Client.Unmap(), Helo: m.Helo, Esmtp: true, Start: start}}
	switch parsed := mime.Parse(raw); {
	case m.From != nil:
		e.from = *m.From
	case len(parsed.From) > 0:
		e.from = parsed.From[0].Addr
	}
	front.Trust(&t.cfg.SMTP, e.session)
	var out judged
	out.tx, out.verdicts, _ = j.scan(ctx, e, raw)
	return out, nil
}

// judge makes the checks as the test wants them.
func (t *mailTester) judge(ctx context.Context, m rules.MailTest) (*judge, func(), error) {
	zone, err := dns.ParseZone(m.Zone)
	if err != nil {
		return nil, nil, fmt.Errorf("dns: %w", err)
	}
	st, err := store.Open(ctx, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	closing := func() {
		cancel()
		_ = st.Close()
	}
	now := func() time.Time {
		if m.Time.IsZero() {
			return time.Now().In(t.cfg.Digest.Location())
		}
		return m.Time.In(t.cfg.Digest.Location())
	}
	quiet := slog.New(slog.DiscardHandler)
	learner := reputation.NewLearner(st.Client(), now, quiet)
	memory := reputation.NewMemory(st.Client(), learner, reputation.NewAllows(st.Client(), now), now)
	j := &judge{cfg: t.cfg, store: st, policy: t.policy}
	off := disabled(t.cfg)
	j.chain, err = filters.NewChain(ctx, filters.ChainOptions{
		Specs: testSpecs(m, off), Deadline: t.cfg.Policy.Deadline.D(), Log: quiet, Now: now, Observe: func(mail.Outcome) {}, Disabled: off,
		Env: func(name string) filters.Env {
			return filters.Env{
				Config: t.cfg.Section(name), DNS: zone, Memory: memory, Log: quiet, Now: now, Hostname: t.cfg.Hostname, Warn: func(string, string) {},
			}
		},
	})
	if err != nil {
		closing()
		return nil, nil, err
	}
	o := gate.Options{Chain: j.chain, Policy: j.policy, Degraded: map[string]mail.Action{}, Now: now}
	o.Groups, o.Attributes = directoryOf(m)
	j.gate = gate.New(o)
	return j, closing, nil
}

// directoryOf answers as a test says that the directory does; nil: it says nothing.
func directoryOf(m rules.MailTest) (groups func(mail.Address) ([]string, error), attrs func(mail.Address) (map[string][]string, error)) {
	known := map[string][]string{}
	for _, f := range m.Facts {
		values, _ := f.Value.([]string)
		if f.Name == "rcpt.groups" {
			groups = func(mail.Address) ([]string, error) { return values, nil }
		}
		if name, ok := strings.CutPrefix(f.Name, mail.AttrFact("")); ok {
			known[name] = values
			attrs = func(mail.Address) (map[string][]string, error) { return known, nil }
		}
	}
	return groups, attrs
}

// testSpecs are the checks of a test. One of which the test says what it finds does not look; one that asks DNS looks when the test
// has a zone; one that asks what was counted or learned does not run, there is nothing.
func testSpecs(m rules.MailTest, off map[string]bool) []filters.Spec {
	specs := slices.Clone(filters.Specs())
	for i := range specs {
		spec := &specs[i]
		given := answer{spec: *spec, down: slices.Contains(m.Down, spec.Name)}
		for _, f := range m.Facts {
			if check, _, _ := strings.Cut(f.Name, "."); check == spec.Name {
				given.facts = append(given.facts, f)
			}
		}
		for _, s := range spec.Symbols {
			if slices.Contains(m.Found, s.Name) {
				given.found = append(given.found, mail.Finding{Symbol: s.Name, Evidence: []mail.Evidence{{Key: "test", Value: "given"}}})
			}
		}
		switch {
		case given.down || len(given.facts)+len(given.found) > 0:
			delete(off, spec.Name)
			spec.New = func(context.Context, filters.Env) (filters.Check, error) { return given, nil }
		case slices.Contains(spec.Needs, "redis"), slices.Contains(spec.Needs, "dns") && !m.DNS:
			off[spec.Name] = true
		}
	}
	return specs
}

// answer is a check that finds what a test says.
type answer struct {
	spec  filters.Spec
	facts []mail.FactValue
	found []mail.Finding
	down  bool
}

var errDown = errors.New("down in this test")

// Check implements filters.Check.
func (a answer) Check(_ context.Context, tx *mail.Transaction) (mail.Result, error) {
	if a.down {
		return mail.Result{}, errDown
	}
	var r mail.Result
	last := a.spec.Stages[len(a.spec.Stages)-1]
	for _, v := range a.facts {
		i := slices.IndexFunc(a.spec.Facts, func(f mail.Fact) bool { return f.Name == v.Name })
		stage := last
		if i >= 0 && slices.Contains(a.spec.Stages, a.spec.Facts[i].Stage) {
			stage = a.spec.Facts[i].Stage
		}
		if stage == tx.Stage {
			r.Facts = append(r.Facts, v)
		}
	}
	if tx.Stage == a.spec.Stages[0] {
		r.Findings = a.found
	}
	return r, nil
}
