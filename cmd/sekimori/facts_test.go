package main

import (
	"strings"
	"testing"
	"time"

	"sekimori/filters"
	"sekimori/internal/config"
	"sekimori/rules"
)

// loaded reads the program's configuration.
func (p *program) loaded(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.LoadWith(p.conf, config.Options{Checks: filters.Names(filters.Specs())})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func checkFacts(t *testing.T, cfg *config.Config, policy *rules.Policy) {
	t.Helper()
	r, err := readHistory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for f, err := range r.Facts(time.Time{}, time.Now()) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := rules.DecodeCase(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		if c.Rules != policy.Fingerprint() {
			t.Errorf("%s was judged by %s, these rules are %s", f.ID, c.Rules, policy.Fingerprint())
		}
		version, _, _ := strings.Cut(c.Rules, "-") // and the points of symbols
		if set, err := readSet(cfg); err != nil || version != set.Manifest().Version {
			t.Errorf("%s was judged by %s, which rules show does not know (%v)", f.ID, c.Rules, err)
		}
		got := policy.JudgeCase(c)
		for i := range got {
			if !rules.SameVerdict(&got[i], &c.Verdicts[i]) || len(c.NotJudged) > 0 {
				t.Errorf("%s: %+v, was %+v; not judged %v", f.ID, got[i], c.Verdicts[i], c.NotJudged)
			}
		}
		n++
	}
	if n < 5 {
		t.Errorf("facts of %d mails", n)
	}
}
