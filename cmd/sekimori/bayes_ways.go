package main

import (
	"fmt"
	"io"

	"sekimori/reputation"
)

// waysTold says in words by which way mails came to be learned.
var waysTold = map[reputation.Way]string{
	reputation.ByCommand:    "sekimori learn",
	reputation.ByQuarantine: "held mail: released, deleted, reported",
	reputation.ByDrop:       "learning addresses",
	reputation.ByFolder:     "folders on a host",
	reputation.ByIMAP:       "folders of IMAP servers",
	reputation.ByChecks:     "other checks",
	wayNotNoted:             "before this was noted",
}

// wayNotNoted stands for what a version learned that did not note by which way.
const wayNotNoted reputation.Way = "earlier"

// sumWays adds up by which way the mails of all months came.
func (s *bayesStats) sumWays() {
	s.Ways = map[reputation.Way]reputation.WayStats{}
	var rest reputation.WayStats
	for _, m := range s.Months {
		rest.Ham, rest.Spam = rest.Ham+m.HamShown, rest.Spam+m.SpamShown
		for way, n := range m.Ways {
			sum := s.Ways[way]
			s.Ways[way] = reputation.WayStats{Ham: sum.Ham + n.Ham, Spam: sum.Spam + n.Spam}
			rest.Ham, rest.Spam = rest.Ham-n.Ham, rest.Spam-n.Spam
		}
	}
	if rest.Ham > 0 || rest.Spam > 0 {
		s.Ways[wayNotNoted] = reputation.WayStats{Ham: max(rest.Ham, 0), Spam: max(rest.Spam, 0)}
	}
}

func (s *bayesStats) printWays(w io.Writer) {
	if len(s.Ways) == 0 {
		return
	}
	fmt.Fprintln(w, "\nSHOWN BY\tHAM\tSPAM")
	for _, way := range append(append([]reputation.Way{}, reputation.Ways...), wayNotNoted) {
		if n := s.Ways[way]; n != (reputation.WayStats{}) {
			fmt.Fprintf(w, "%s\t%d\t%d\n", waysTold[way], n.Ham, n.Spam)
		}
	}
}
