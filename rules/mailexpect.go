package rules

import (
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/mail"
)

// MailExpect is what a test expects of the verdict for each recipient. What is left out is not looked at.
type MailExpect struct {
	Action   []string // one of these words (mail.Verdict.Word)
	Rule     string   // id of the rule that decides, or threshold.hold and the like
	Hits     []string // ids and symbols
	Misses   []string
	Unknown  []string // ids of rules that cannot be judged
	Observed []string // ids of rules that only observe
	Min, Max *float64 // of the points
}

func (x *testReader) expect(m *MailTest, t *table) {
	e := t.get("expect")
	if e == nil {
		x.errorf(t.off, "the test expects nothing (expect = { action = \"hold\" })")
		return
	}
	if !x.want(e, kindTable) {
		return
	}
	w := e.val.tab
	x.unknownKeys(w, expectKeys, "expect")
	if len(w.keys) == 0 {
		x.errorf(e.val.off, "the test expects nothing (expect = { action = \"hold\" })")
	}
	var ids []string
	for _, r := range x.p.rules {
		ids = append(ids, r.id)
	}
	both := slices.Concat(ids, keysOf(x.p.vocab.symbols))
	deciding := slices.Concat(ids, []string{"threshold.tag", "threshold.hold", "threshold.reject"})
	read := func(key string, known []string, what string) []string {
		list, off := x.texts(w, key)
		for _, s := range list {
			if !slices.Contains(known, s) {
				x.errorf(off, "unknown %s %q%s", what, s, suggest(s, known))
			}
		}
		return list
	}
	m.Expect.Action = read("action", mailWords, "action")
	if rule := read("rule", deciding, "rule"); len(rule) > 0 {
		m.Expect.Rule = rule[0]
	}
	m.Expect.Hits = read("hits", both, "rule or symbol")
	m.Expect.Misses = read("misses", both, "rule or symbol")
	m.Expect.Unknown = read("unknown", ids, "rule")
	m.Expect.Observed = read("observed", ids, "rule")
	for key, into := range map[string]**float64{"min_score": &m.Expect.Min, "max_score": &m.Expect.Max} {
		if e := w.get(key); x.want(e, kindFloat) {
			*into = &e.val.num
		}
	}
}

// Wrong says in what a verdict differs from what is expected; empty: in nothing.
func (e MailExpect) Wrong(v mail.Verdict) []string {
	var wrong []string
	add := func(what, want, got string) { wrong = append(wrong, what+": expected "+want+", got "+got) }
	if word := v.Word(); len(e.Action) > 0 && !slices.Contains(e.Action, word) {
		add("action", strings.Join(e.Action, " or "), word)
	}
	if e.Rule != "" && e.Rule != v.RuleID {
		got := v.RuleID
		if got == "" {
			got = "none"
		}
		add("deciding rule", e.Rule, got)
	}
	names := []string{v.RuleID}
	for _, c := range v.Counted {
		names = append(names, c.Name)
	}
	state := func(id string) string {
		switch {
		case slices.Contains(names, id):
			return "hit"
		case slices.Contains(v.Observed, id):
			return "observed"
		case slices.Contains(v.Unknown, id):
			return "unknown"
		}
		return "miss"
	}
	for _, part := range []struct {
		ids  []string
		want string
	}{{e.Hits, "hit"}, {e.Misses, "miss"}, {e.Unknown, "unknown"}, {e.Observed, "observed"}} {
		for _, id := range part.ids {
			got := state(id)
			if got == part.want {
				continue
			}
			if got == "miss" && v.Final && part.want == "hit" && v.RuleID != "" {
				got += " (or not asked: " + v.RuleID + " decided)"
			}
			add(id, part.want, got)
		}
	}
	if e.Min != nil && v.Score < *e.Min-1e-9 {
		add("points", "at least "+points(*e.Min), points(v.Score))
	}
	if e.Max != nil && v.Score > *e.Max+1e-9 {
		add("points", "at most "+points(*e.Max), points(v.Score))
	}
	return wrong
}

func points(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
