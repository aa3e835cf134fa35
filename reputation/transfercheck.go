package reputation

import (
	"errors"
	"fmt"
	"slices"
)

// check finds what cannot be learned in a month.
func (m *exportMail) check(now string) error {
	if !fingerprintForm.MatchString(m.Fingerprint) {
		return fmt.Errorf("%q is no digest of a mail", m.Fingerprint)
	}
	if len(m.Entries) == 0 {
		return errors.New("nothing is said of the mail")
	}
	seen := map[Scope]bool{}
	for _, e := range m.Entries {
		if _, ok := ParseClass(string(e.Class)); !ok {
			return fmt.Errorf("%q is no class", e.Class)
		}
		if s, ok := ParseScope(e.Scope.String()); !ok || s != e.Scope || seen[e.Scope] {
			return fmt.Errorf("%q is no scope, or there twice", e.Scope)
		}
		if !monthForm.MatchString(e.Month) {
			return fmt.Errorf("%q is no month", e.Month)
		}
		if e.Way != "" && !slices.Contains(Ways, e.Way) {
			return fmt.Errorf("%q is no way by which mails are learned", e.Way)
		}
		if e.Month > now {
			return fmt.Errorf("the month %s has not begun; is the clock right?", e.Month)
		}
		seen[e.Scope] = true
	}
	return m.checkTokens()
}

func (m *exportMail) checkTokens() error {
	if n := len(m.Tokens); n > mostTokens || n*len(m.Entries) > mostCounted {
		return fmt.Errorf("the mail has %d tokens for %d lessons; %d tokens, and %d in all lessons together, are the most", n, len(m.Entries), mostTokens, mostCounted)
	}
	tokens := map[string]bool{}
	for _, t := range m.Tokens {
		if t == tokenShown || t == tokenAuto || t == tokenMail || t == tokenNever || tokens[t] {
			return fmt.Errorf("%q is no token, or there twice", t)
		}
		if len(t) > longestToken {
			return fmt.Errorf("a token has %d octets; %d are the most", len(t), longestToken)
		}
		tokens[t] = true
	}
	return nil
}
