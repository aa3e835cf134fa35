package mail

import (
	"fmt"
	"time"
)

// Reply is an SMTP reply (RFC 5321 section 4.2) with an enhanced status code (RFC 3463). It is made only by Permanent and
// Transient, so that its two codes cannot disagree; the zero Reply means that there is none.
type Reply struct {
	code            int
	subject, detail int
	text            string
}

// Permanent makes a 5xx reply with the enhanced code 5.subject.detail. A code outside 500 to 599 becomes 550.
func Permanent(code, subject, detail int, text string) Reply {
	if code/100 != 5 {
		code = 550
	}
	return Reply{code, subject, detail, text}
}

// Transient makes a 4xx reply with the enhanced code 4.subject.detail. A code outside 400 to 499 becomes 451.
func Transient(code, subject, detail int, text string) Reply {
	if code/100 != 4 {
		code = 451
	}
	return Reply{code, subject, detail, text}
}

// Code returns the basic code, 0 for the zero Reply.
func (r Reply) Code() int { return r.code }

// Enhanced returns the three numbers of the enhanced code.
func (r Reply) Enhanced() [3]int { return [3]int{r.code / 100, r.subject, r.detail} }

// Text returns the text without codes.
func (r Reply) Text() string { return r.text }

// IsZero reports whether there is no reply.
func (r Reply) IsZero() bool { return r.code == 0 }

// IsPermanent reports whether it is a 5xx.
func (r Reply) IsPermanent() bool { return r.code/100 == 5 }

// WithText returns the same codes with another text.
func (r Reply) WithText(text string) Reply { r.text = text; return r }

// String gives the reply as it is spoken: "550 5.7.1 text".
func (r Reply) String() string {
	if r.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d %d.%d.%d %s", r.code, r.code/100, r.subject, r.detail, r.text)
}

// Counted is one line of the sum: a symbol or a scoring rule, its points, and the evidence.
type Counted struct {
	Name     string // symbol, or the id of a rule
	Points   float64
	Evidence []Evidence
	Rule     string            // file:line when a rule gave the points
	Describe map[string]string // of the rule that gave them: its text for people, by language
}

// Verdict is the decision for one recipient with its whole reason. One object makes the SMTP reply, the header, the log
// line, the trace and the digest.
type Verdict struct {
	Rcpt    Address
	Action  Action
	Final   bool // a rule decided (accept or an action); scores no longer count
	Class   string
	Score   float64
	Counted []Counted
	Rule    string // file:line of the rule that decided; empty when only the thresholds did, or nothing
	RuleID  string // its id, or "threshold.hold" and the like; empty when nothing decided
	// Limit is the threshold that the score reached, when a threshold decided.
	Limit float64
	// Limits are the thresholds that applied; none do before the message is complete.
	Limits Limits
	// Rules is the version of the set of rules that judged, as `rules history` lists it.
	Rules string
	// Describe is the deciding rule's text for people, by language (ja, en); empty: package text makes one from Counted.
	Describe map[string]string
	Reply    Reply // for Defer and Reject; the front adds the transaction's ID
	// Keep is for how long a copy is kept of a mail that is rejected after DATA, so that its recipient can ask for it; 0: none is.
	Keep time.Duration
	// Degraded is what was not looked at: "dnsbl: bl.example: timeout". Checks that are off are not among them.
	Degraded []string
	Unknown  []string // ids of rules that could not be judged because of it
	Observed []string // ids of rules that would have acted but were told to observe

	// Would is the word of what would have been done if the policy's mode did not ask for less; empty: what is done. Why stands in
	// RuleID and Counted all the same.
	Would string

	// Where a mail goes that is delivered or tagged. With a harsher action Redirect is null and Discard is false.
	Redirect Address   // instead of Rcpt; null: to Rcpt
	Discard  bool      // to nobody, although it is accepted
	Copies   []Address // also to these, each once

	// Header are fields that rules add on top of what is delivered, each once, without regard to the order of fields. Values hold
	// no line ends and no other controls.
	Header []Field
	// Strip are the parts that are taken out of what is delivered, by their number in Message.Parts, in order; with Original the
	// whole mail is held for the recipient as well, for so long.
	Strip    []int
	Original time.Duration
}

// Word says what is done in one word: discard, redirect, or the action.
func (v *Verdict) Word() string {
	switch {
	case v.Discard:
		return "discard"
	case !v.Redirect.IsNull():
		return "redirect"
	}
	return v.Action.String()
}

// Threshold is the one that the score is to be compared with: that which decided, else the lowest that applied; 0 when there is none,
// or when a rule decided, so that the score did not count.
func (v *Verdict) Threshold() float64 {
	if v.Limit > 0 || v.Final {
		return v.Limit
	}
	lowest := 0.0
	for _, t := range [...]float64{v.Limits.Tag, v.Limits.Hold, v.Limits.Reject} {
		if t > 0 && (lowest == 0 || t < lowest) {
			lowest = t
		}
	}
	return lowest
}
