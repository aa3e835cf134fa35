package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/rules"
)

// explained is why one recipient's mail was treated as it was.
type explained struct {
	Rcpt string `json:"rcpt"`
	text.Explanation
	Action     string            `json:"action"`
	Rule       string            `json:"rule"`
	Score      float64           `json:"score"`
	Threshold  float64           `json:"threshold"`  // with which the score was compared; 0: a rule decided, or it is not known
	Smallest   [][]string        `json:"smallest"`   // sets of findings and rules without which it would have been delivered
	Suggestion *rules.Suggestion `json:"suggestion"` // null: nothing was done to the mail

	lines []string // of the suggestion
}

// say writes the explanation for people.
func (x *explained) say(a *app) {
	for _, line := range slices.Concat(x.Lines(), x.lines) {
		fmt.Fprintln(a.out, line)
	}
}

// explainer makes explanations in one language.
type explainer struct {
	cfg    *config.Config
	policy *rules.Policy // nil: the rules do not load
	lang   text.Lang
}

// explain says why, what would have changed it, and which rule would let the next such mail through.
func (e *explainer) explain(a *rules.Ask, change mail.Change) explained {
	v := &a.Verdict
	x := explained{
		Rcpt: v.Rcpt.String(), Explanation: text.Explained(*v, change, e.lang), Action: v.Word(), Rule: ruleName(*v), Score: v.Score, Threshold: v.Threshold(), Smallest: [][]string{},
	}
	for _, set := range change.Sets {
		var names []string
		for _, m := range set {
			names = append(names, m.Name)
		}
		x.Smallest = append(x.Smallest, names)
	}
	if x.Action == mail.Deliver.String() {
		return x
	}
	if e.policy == nil {
		x.lines = []string{text.Fill("suggest.bad", e.lang)}
		return x
	}
	s := e.policy.Suggest(a)
	x.Suggestion = &s
	x.lines = e.suggest(&s)
	return x
}

// suggest gives the lines of a suggestion. A rule is shown only when it loads beside those that are there, and its tests pass.
func (e *explainer) suggest(s *rules.Suggestion) []string {
	if s.None != "" {
		return []string{text.Fill("suggest.none."+s.None, e.lang)}
	}
	if e.policy.DescribeOf(s.ID) != nil {
		id := s.ID
		s.Rule = ""
		return []string{text.Fill("suggest.there", e.lang, mail.Evidence{Key: "id", Value: id})}
	}
	policy, err := loadRules(e.cfg, rules.Options{Extra: map[string][]byte{s.File: []byte(s.Rule)}})
	if err != nil || slices.ContainsFunc(policy.Test(), func(t rules.TestResult) bool { return t.RuleID == s.ID && !t.OK() }) {
		s.Rule = ""
		return []string{text.Fill("suggest.bad", e.lang)}
	}
	dir := e.cfg.RulesDir
	if dir == "" {
		dir = "rules_dir"
	}
	lines := []string{text.Fill("suggest.head", e.lang, mail.Evidence{Key: "file", Value: filepath.Join(dir, s.File)})}
	if s.Wide != "" {
		lines = append(lines, text.Fill("suggest.wide."+s.Wide, e.lang))
	}
	return append(lines, text.Fill("suggest.try", e.lang), "", s.Rule)
}
