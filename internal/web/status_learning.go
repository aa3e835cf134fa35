package web

import (
	"fmt"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
)

// Learning is what the Bayesian check has learned and says.
type Learning struct {
	Ham, Spam         int // mails shown
	NeedHam, NeedSpam int // below which it says nothing
	Half              bool
	Unknown           bool // the store has not answered yet
	Doubted           bool // people contradict it so much that it weighs half
	Since             time.Time
	Hours             int        // of the window of Against
	Today             *ThreeWays // nil: not known
	Against           *Against   // nil: not known, or not counted
}

// ThreeWays are numbers of mails by what the check says.
type ThreeWays struct{ Ham, Unsure, Spam int }

// Against is what people say against the check.
type Against struct{ Held, Released, Passed, Reported int }

// learningRows are the lines about the Bayesian check.
func (s *Status) learningRows(p *shown) []row {
	if s.Learning == nil {
		return nil
	}
	l := s.Learning()
	if l == nil {
		return nil
	}
	fill := func(key string, values ...any) string {
		var e []mail.Evidence
		for i := 0; i+1 < len(values); i += 2 {
			e = append(e, mail.Evidence{Key: fmt.Sprint(values[i]), Value: fmt.Sprint(values[i+1])})
		}
		return text.Fill("status.learning."+key, p.Lang, e...)
	}
	state := "whole"
	switch {
	case l.Unknown:
		return []row{{fill("name"), p.T("unknown")}}
	case l.Ham < l.NeedHam || l.Spam < l.NeedSpam:
		state = "few"
	case l.Doubted:
		state = "doubted"
	case l.Half:
		state = "half"
	}
	rows := []row{{fill("name"), fill("shown", "ham", l.Ham, "spam", l.Spam) + fill(state, "ham", l.NeedHam, "spam", l.NeedSpam,
		"since", l.Since.Local().Format("2006-01-02 15:04 MST"))}}
	if t := l.Today; t != nil && t.Ham+t.Unsure+t.Spam > 0 {
		rows = append(rows, row{fill("today"), fill("zones", "ham", t.Ham, "unsure", t.Unsure, "spam", t.Spam)})
	}
	if a := l.Against; a != nil && a.Held+a.Released+a.Passed+a.Reported > 0 {
		rows = append(rows, row{fill("against", "hours", l.Hours), fill("people", "held", a.Held, "released", a.Released, "passed", a.Passed, "reported", a.Reported)})
	}
	return rows
}
