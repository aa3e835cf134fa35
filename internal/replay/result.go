package replay

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Result is what a replay found.
type Result struct {
	From time.Time `json:"from,omitzero"` // of the oldest facts that were read, and of the newest
	To   time.Time `json:"to,omitzero"`

	Mails      int     `json:"mails"` // that were judged; a recipient who was refused before the message counts as one
	Recipients int     `json:"recipients"`
	Moved      int     `json:"moved"` // mails of which a recipient would be treated otherwise
	MovedRcpts int     `json:"moved_recipients"`
	Share      float64 `json:"share"` // Moved of Mails
	Released   int     `json:"moved_released"`
	Known      int     `json:"moved_known"`
	Reasons    int     `json:"other_reason"` // recipients who would be treated alike, for another reason

	Table []Cell      `json:"table"`
	Moves []Move      `json:"moves"` // at most Options.Limit, those that people released or whose senders are known first
	Rules []RuleCount `json:"rules"` // of the new set, in its order, and then those that only the old one has

	NotJudged Blind  `json:"not_judged"`
	Bodies    int    `json:"judged_on_bodies"` // mails that were judged on what the quarantine holds
	Certain   int    `json:"certain"`          // mails that end alike whatever the rules say that could not be judged
	Failed    []Said `json:"failed"`           // what could not be evaluated by the new set

	Mismatch   int        `json:"mismatch"` // mails that the set in force judges otherwise than it did: a bug
	Mismatches []Mismatch `json:"mismatches"`
	Suspended  int        `json:"suspended"` // mails of a time at which rules were suspended

	Damaged int      `json:"damaged"` // blocks or records that cannot be read
	Errors  []string `json:"errors,omitempty"`
}

// Cell is how many recipients move from one outcome to another.
type Cell struct {
	From       string `json:"from"`
	To         string `json:"to"`
	Recipients int    `json:"recipients"`
	Released   int    `json:"released"` // of mail that a person released
	Known      int    `json:"known"`    // of senders who are known correspondents
}

// Move is a recipient who would be treated otherwise.
type Move struct {
	Time     time.Time `json:"time"`
	ID       string    `json:"id"`
	Rcpt     string    `json:"rcpt"`
	Sender   string    `json:"sender"`
	Subject  string    `json:"subject"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Was      Reason    `json:"was"`
	Is       Reason    `json:"is"`
	Released bool      `json:"released"`
	Known    bool      `json:"known"`
	Changed  []string  `json:"changed"` // ids of rules and symbols because of which
	Body     bool      `json:"on_body,omitempty"`
	// Blind are rules that could not be judged; whatever they say the outcome is To. Is.Score is without them.
	Blind []string `json:"not_judged,omitempty"`
}

// Reason is why something is done.
type Reason struct {
	Rule  string  `json:"rule,omitempty"` // or threshold.hold
	Place string  `json:"place,omitempty"`
	Score float64 `json:"score"`
}

// RuleCount is what one rule does in the period.
type RuleCount struct {
	ID        string `json:"rule"`
	Place     string `json:"place,omitempty"`
	Hits      int    `json:"hits"`     // recipients
	Observed  int    `json:"observed"` // for whom it would have acted, but observes
	Decides   int    `json:"decides"`
	Unknown   int    `json:"unknown"`    // what it asks is not known
	NotJudged int    `json:"not_judged"` // mails: the text that it asks for was not kept
	Moves     int    `json:"moves"`      // recipients who move because of it
}

// Blind are mails that the new set could not judge.
type Blind struct {
	Mails int    `json:"mails"`
	Why   []Said `json:"why"`
}

// Said is a reason with how often it was one.
type Said struct {
	Text  string `json:"why"`
	Mails int    `json:"mails"`
}

// Mismatch is a mail that is not judged as it was by the same rules.
type Mismatch struct {
	Time time.Time `json:"time"`
	ID   string    `json:"id"`
	Rcpt string    `json:"rcpt"`
	Was  string    `json:"was"`
	Is   string    `json:"is"`
}

// before orders moves: what people released first, then known senders, then the newest.
func (m *Move) before(o *Move) int {
	rank := func(m *Move) int {
		switch {
		case m.Released:
			return 0
		case m.Known:
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(m), rank(o)), o.Time.Compare(m.Time), strings.Compare(m.ID, o.ID), strings.Compare(m.Rcpt, o.Rcpt))
}

func said(counts map[string]int) []Said {
	list := make([]Said, 0, len(counts))
	for text, n := range counts {
		list = append(list, Said{text, n})
	}
	slices.SortFunc(list, func(a, b Said) int { return cmp.Or(b.Mails-a.Mails, strings.Compare(a.Text, b.Text)) })
	return list[:min(len(list), mostSaid)]
}

const (
	mostSaid       = 50
	mostMismatches = 20
	mostErrors     = 20
)

// Words is the reason in short: "R1 (a.toml:3), 4.5 points".
func (r Reason) Words() string {
	s := cmp.Or(r.Rule, "nothing")
	if r.Place != "" {
		s += " (" + r.Place + ")"
	}
	return s + ", " + strconv.FormatFloat(r.Score, 'g', 6, 64) + " points"
}
