package reputation

import "slices"

// Way is by which way a mail came to be shown to the models.
type Way string

// The ways.
const (
	ByCommand    Way = "command"    // sekimori learn
	ByQuarantine Way = "quarantine" // releases, deletions and reports of held mail
	ByDrop       Way = "drop"       // learning addresses
	ByFolder     Way = "folder"     // Maildirs on the host
	ByIMAP       Way = "imap"       // folders of IMAP servers
	ByChecks     Way = "auto"       // what the other checks were sure of
)

// Ways lists them in the order in which they are shown.
var Ways = []Way{ByCommand, ByQuarantine, ByDrop, ByFolder, ByIMAP, ByChecks}

// WayStats counts the mails that came by one way, those that count at present: what is unlearned, or moved to the other class, is not
// among them any more.
type WayStats struct {
	Ham  int `json:"ham"`
	Spam int `json:"spam"`
}

// waysKey counts, by class and way, the mails that were shown in a scope and month.
func waysKey(s Scope, month string) string {
	key := keyPrefix + "ways:" + month
	if s != Everybody {
		key += ":" + string(s)
	}
	return key
}

func (s *Sample) way() Way {
	switch {
	case s.Way != "":
		return s.Way
	case s.Source == Auto:
		return ByChecks
	}
	return ByCommand
}

// countWay counts by which way a mail came. What a version learned that did not note it was not counted either.
func (ch *change) countWay(e entry, sign int) {
	if e.Way != "" {
		ch.plus(waysKey(e.Scope, e.Month), taughtField(string(e.Way), e.Class), sign)
	}
}

// waysOf reads the fields of waysKey.
func waysOf(fields map[string]string) map[Way]WayStats {
	ways := map[Way]WayStats{}
	for field, text := range fields {
		c, way, ok := cutField(field)
		if !ok || !slices.Contains(Ways, Way(way)) {
			continue
		}
		n := ways[Way(way)]
		if c == Ham {
			n.Ham += parseCount(text)
		} else {
			n.Spam += parseCount(text)
		}
		ways[Way(way)] = n
	}
	return ways
}
