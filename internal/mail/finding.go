package mail

import (
	"strings"
	"time"
)

// Symbol is a kind of finding. Its name is a promise to administrators: rules, headers, logs, metrics and digests speak of
// it. What it means is said in ja and en by package text under the same name.
type Symbol struct {
	Name  string  // upper case, prefixed with the check's name
	Score float64 // points of a finding of Weight 1 unless a rule file's [scores] says otherwise; may be negative
}

// Evidence is one thing a check saw, enough to repeat the look by hand. Value may hold what a client sent: it is
// sanitised where it is shown, not here.
type Evidence struct{ Key, Value string }

// Finding is one piece of evidence against or for a mail. Scores, headers, reasons, logs and metrics are all made from
// findings.
type Finding struct {
	Symbol   string
	Evidence []Evidence
	Weight   float64     // multiplies the symbol's score; the zero value counts as 1
	Auth     *AuthResult // set by checks whose result stands in Authentication-Results
	Rcpt     Address     // set when it holds for one recipient only
}

// Factor returns the weight, with the zero value read as 1.
func (f Finding) Factor() float64 {
	if f.Weight == 0 {
		return 1
	}
	return f.Weight
}

// Get returns the value of the first piece of evidence with that key, or "".
func (f Finding) Get(key string) string {
	for _, e := range f.Evidence {
		if e.Key == key {
			return e.Value
		}
	}
	return ""
}

// String gives the finding on one line: SYMBOL key=value key=value.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.Symbol)
	for _, e := range f.Evidence {
		b.WriteString(" " + e.Key + "=" + e.Value)
	}
	return b.String()
}

// AuthResult is one result for Authentication-Results (RFC 8601 section 2.2): a method, its result, the properties that
// were looked at, and why.
type AuthResult struct {
	Method string // spf, dkim, dmarc, iprev
	Result string // pass, fail, softfail, neutral, none, temperror, permerror, policy
	Reason string
	Props  []Evidence // Key is ptype.property, such as smtp.mailfrom or header.d
}

// Prop returns the value of one property, or "".
func (a *AuthResult) Prop(key string) string {
	for _, p := range a.Props {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

// State says whether a check could look.
type State int

// The states of a check in one transaction. Only OK makes its facts known.
const (
	StateOK        State = iota // it looked; what it did not find is not there
	StateSkipped                // it was not meant to look: switched off, not configured, not applicable
	StateTempError              // it could not look: a dependency did not answer in time or failed
)

// String returns "ok", "skipped" or "temperror", the values of <check>.state in rule files.
func (s State) String() string {
	switch s {
	case StateOK:
		return "ok"
	case StateSkipped:
		return "skipped"
	default:
		return "temperror"
	}
}

// Result is what a check returns: its findings, and the facts that rules may ask for.
type Result struct {
	Findings []Finding
	Facts    []FactValue
	// Skipped says that the check had nothing to look at, and why, in a word or two for the log. Facts stay unknown.
	Skipped string
	// Partial names what could not be looked at although the check answered ("zen.example: timeout"): the verdict lists it.
	Partial []string
}

// FactValue is the value of one declared fact. Value has the Go type of the fact's FactType.
type FactValue struct {
	Name  string
	Value any
	Rcpt  Address // of a fact with PerRcpt, found out for several recipients at once: whose it is; null: of the one in question
}

// Outcome is one run of one check: its result, or why there is none.
type Outcome struct {
	Result
	Check string
	Stage Stage
	State State
	Why   string // for StateSkipped and StateTempError, short and in English
	Off   bool   // of StateSkipped: no mail is looked at, because the check is switched off or not configured
	Took  time.Duration
}
