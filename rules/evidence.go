package rules

import (
	"fmt"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// evidence gives the values that a rule's condition read, and the entries of the lists that it asked.
func (j *judging) evidence(r *rule) []mail.Evidence {
	var all []mail.Evidence
	if j.lean {
		return nil
	}
	for _, i := range r.reads {
		w := j.s.words[i]
		if !j.s.known[i] || w.key == "message.text" {
			continue
		}
		all = append(all, mail.Evidence{Key: w.key, Value: show(j.s.val[i])})
		for _, name := range r.lists {
			l := j.p.vocab.lists[name]
			if s, ok := j.s.val[i].(string); ok {
				if l.member != nil {
					if in, err := l.has(s); in && err == nil {
						all = append(all, mail.Evidence{Key: "lists." + name, Value: l.base})
					}
				} else if line, ok := l.find(s); ok {
					all = append(all, mail.Evidence{Key: "lists." + name, Value: fmt.Sprintf("%s:%d", l.base, line)})
				} else if of, ok := l.resembling(s); ok {
					all = append(all, mail.Evidence{Key: "lists." + name, Value: of})
				}
			}
		}
	}
	return all
}

func show(v any) string {
	switch x := v.(type) {
	case string:
		return clip(x, maxEvidence)
	case []string:
		return clip(strings.Join(x[:min(len(x), 20)], " "), maxEvidence)
	}
	return fmt.Sprint(v)
}

// notLookedAt lists, in the order of outcomes, what the verdict does not rest on. A check that failed, or a part of one,
// reads "dnsbl: bl.example: timeout"; one that had no reason to look at this mail "geoip: skipped: private address". A check that is off
// is not among them: it is the same for every mail, and the administrator wants it so. Its facts are unknown all the same.
func notLookedAt(tx *mail.Transaction, checks []string) []string {
	var all []string
	add := func(s string) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for i := range tx.Outcomes {
		o := &tx.Outcomes[i]
		if o.Off {
			continue
		}
		switch o.State {
		case mail.StateTempError:
			add(o.Check + ": " + orElse(o.Why, "no answer"))
		case mail.StateSkipped:
			add(o.Check + ": skipped: " + orElse(o.Why, "nothing to look at"))
		}
		for _, part := range o.Partial {
			add(o.Check + ": " + part)
		}
	}
	if tx.Stage < mail.Conclude {
		return all
	}
	for _, c := range checks {
		if !slices.ContainsFunc(tx.Outcomes, func(o mail.Outcome) bool { return o.Check == c }) {
			add(c + ": skipped: did not run")
		}
	}
	return all
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
