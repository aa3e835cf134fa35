package rules

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// trialTx is a mail at the end of which the checks found some of the fixture's symbols.
func trialTx(symbols []string) *mail.Transaction {
	tx := fixtureTx(mail.Conclude)
	for _, s := range symbols {
		check := strings.ToLower(s[:strings.IndexByte(s, '_')])
		at := slices.IndexFunc(tx.Outcomes, func(o mail.Outcome) bool { return o.Check == check })
		if at < 0 {
			tx.Outcomes = append(tx.Outcomes, mail.Outcome{Check: check})
			at = len(tx.Outcomes) - 1
		}
		tx.Outcomes[at].Findings = append(slices.Clip(tx.Outcomes[at].Findings), mail.Finding{Symbol: s})
	}
	return tx
}

// TestWithout compares with brute force: all sets of findings and rules, the rules really taken out of the file.
func TestWithout(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 5))
	symbols := []string{"RDNS_NONE", "DNSBL_LISTED", "SPF_FAIL", "BAYES_SPAM", "BAYES_HAM", "DKIM_FAIL"}
	rests := []string{"score = 2.5", "score = 4", "score = -1", `action = "hold"`, `action = "tag"`, `action = "reject"`, `action = "discard"`, `action = "accept"`}
	thresholds := func(o *Options) { o.Thresholds = map[string]float64{"tag": 3, "hold": 6, "reject": 12} }
	decided := map[mail.Action]int{}
	for n := range 60 {
		var found, rules, texts []string
		for _, s := range symbols {
			if rnd.IntN(3) > 0 && len(found) < 4 {
				found = append(found, s)
			}
		}
		for i := range 3 {
			when := []string{"not client.tls", "client.tls", fmt.Sprintf("symbol(%q)", symbols[rnd.IntN(len(symbols))]), fmt.Sprintf("not symbol(%q)", symbols[rnd.IntN(len(symbols))])}[rnd.IntN(4)]
			rules = append(rules, fmt.Sprintf("R%d", i))
			texts = append(texts, simple(rules[i], when, rests[rnd.IntN(len(rests))]+"\nat = \"conclude\""))
		}
		was := judge(policy(t, strings.Join(texts, ""), thresholds), trialTx(found))
		decided[was.Action]++
		want, size := map[string]bool{}, 99
		for mask := range 1 << len(texts) {
			var left []string
			for i, s := range texts {
				if mask&(1<<i) == 0 {
					left = append(left, s)
				}
			}
			p := policy(t, strings.Join(left, ""), thresholds)
			for gone := range 1 << len(found) {
				k := bits.OnesCount(uint(mask)) + bits.OnesCount(uint(gone))
				if k > size {
					continue
				}
				var names, stay []string
				for i, s := range found {
					if gone&(1<<i) != 0 {
						names = append(names, s)
					} else {
						stay = append(stay, s)
					}
				}
				for i := range rules {
					if mask&(1<<i) != 0 {
						names = append(names, rules[i])
					}
				}
				v := judge(p, withoutFindings(trialTx(found), stay))
				if !v.Undone(&was) {
					continue
				}
				if k < size {
					size = k
					clear(want)
				}
				slices.Sort(names)
				want[strings.Join(names, " ")] = true
			}
		}
		p := policy(t, strings.Join(texts, ""), thresholds)
		got := p.Without(trialTx(found), info)
		if was.Word() == "deliver" {
			if len(got.Sets) > 0 {
				t.Fatalf("%d: nothing was done, and %v would change it", n, got.Sets)
			}
			continue
		}
		var have []string
		for _, set := range got.Sets {
			have = append(have, setNames(set))
		}
		if len(have) != min(len(want), mail.MaxSets) {
			t.Fatalf("%d: %s by %s of %v:\n%s\ngot %q, want %v", n, was.Word(), was.RuleID, found, strings.Join(texts, ""), have, want)
		}
		for _, h := range have {
			if !want[h] {
				t.Errorf("%d: %q is not among %v\n%s", n, h, want, strings.Join(texts, ""))
			}
		}
	}
	if decided[mail.Hold] == 0 || decided[mail.Reject] == 0 || decided[mail.Tag] == 0 {
		t.Errorf("%v", decided)
	}
}

func setNames(set []mail.Counted) string {
	var names []string
	for _, c := range set {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// withoutFindings keeps the checks, which have looked, and of what they found only some.
func withoutFindings(tx *mail.Transaction, stay []string) *mail.Transaction {
	for i := range tx.Outcomes {
		tx.Outcomes[i].Findings = slices.DeleteFunc(slices.Clone(tx.Outcomes[i].Findings), func(f mail.Finding) bool { return !slices.Contains(stay, f.Symbol) })
	}
	return tx
}

// TestWithoutOfRecord: what is computed from a verdict alone agrees with judging again where only the sum decides.
func TestWithoutOfRecord(t *testing.T) {
	p := policy(t, simple("S", "not client.tls", "score = 2.5"), func(o *Options) { o.Thresholds = map[string]float64{"hold": 6, "reject": 15} })
	for _, found := range [][]string{{"BAYES_SPAM"}, {"BAYES_SPAM", "SPF_FAIL"}, {"SPF_FAIL", "RDNS_NONE", "DKIM_FAIL"}, {"BAYES_SPAM", "BAYES_HAM", "SPF_FAIL", "RDNS_NONE"}} {
		tx := trialTx(found)
		v := judge(p, tx)
		a, b := p.Without(tx, info), text.Needed(v, p.Limits(info))
		var x, y []string
		for _, s := range a.Sets {
			x = append(x, setNames(s))
		}
		for _, s := range b.Sets {
			y = append(y, setNames(s))
		}
		slices.Sort(x)
		slices.Sort(y)
		if len(x) == 0 || !slices.Equal(x, y) {
			t.Errorf("%v: judged %q, computed %q", found, x, y)
		}
	}
}
