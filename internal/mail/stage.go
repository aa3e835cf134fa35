package mail

import "fmt"

// Stage is a point in the life of a mail at which checks run and rules are judged. Checks of one stage run side by
// side; stages are the only order.
type Stage int

// The stages in the order in which a mail passes them.
const (
	Connect  Stage = iota // the client's address is known
	Helo                  // HELO or EHLO was given
	Mail                  // MAIL FROM was given
	Rcpt                  // one RCPT TO was given
	Data                  // the message is complete
	Conclude              // the checks of Data have answered
)

var stageNames = [...]string{"connect", "helo", "mail", "rcpt", "data", "conclude"}

// String returns the lower-case name used in rule files, logs and metrics.
func (s Stage) String() string {
	if s < 0 || int(s) >= len(stageNames) {
		return fmt.Sprintf("stage(%d)", int(s))
	}
	return stageNames[s]
}

// ParseStage is the inverse of String.
func ParseStage(name string) (Stage, bool) {
	for i, n := range stageNames {
		if n == name {
			return Stage(i), true
		}
	}
	return 0, false
}

// Action is what is done with a mail for one recipient, mildest first.
type Action int

// The actions; the same five words stand in rule files, headers, logs and metrics.
const (
	Deliver Action = iota // relay it
	Tag                   // relay it with a mark in the header
	Hold                  // keep it in the quarantine
	Defer                 // answer 4xx
	Reject                // answer 5xx
)

var actionNames = [...]string{"deliver", "tag", "hold", "defer", "reject"}

// String returns the lower-case word for the action.
func (a Action) String() string {
	if a < 0 || int(a) >= len(actionNames) {
		return fmt.Sprintf("action(%d)", int(a))
	}
	return actionNames[a]
}

// ParseAction is the inverse of String.
func ParseAction(name string) (Action, bool) {
	for i, n := range actionNames {
		if n == name {
			return Action(i), true
		}
	}
	return 0, false
}
