package reputation

import (
	"context"

	"sekimori/internal/store"
)

// Zones are the ranges in which z is counted, from below.
var Zones = []string{"<=-6", "-6..-2", "-2..0", "0..2", "2..4", "4..6", "6..8", ">=8"}

func zoneOf(z float64) string {
	for i, end := range []float64{-6, -2, 0, 2, 4, 6, 8} {
		if z <= end && (z < end || i == 0) {
			return Zones[i]
		}
	}
	return Zones[len(Zones)-1]
}

// ZoneDay is how many mails of a day (UTC) fell into which zone.
type ZoneDay struct {
	Day   string         `json:"day"` // 20261120
	Zones map[string]int `json:"zones"`
}

// ReadZones returns the last days, today first.
func (w *BayesWatch) ReadZones(ctx context.Context, days int) ([]ZoneDay, error) {
	pipe := w.client.Pipeline()
	var answers []*store.MapStringCmd
	days = min(max(days, 1), ZoneDays)
	for i := range days {
		answers = append(answers, pipe.HGetAll(ctx, zonesKey(w.now().AddDate(0, 0, -i))))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	var list []ZoneDay
	for i, a := range answers {
		d := ZoneDay{tallyDay(w.now().AddDate(0, 0, -i)), map[string]int{}}
		for zone, n := range a.Val() {
			d.Zones[zone] = parseCount(n)
		}
		list = append(list, d)
	}
	return list, nil
}

// ZoneClass is what the check says of the mails of one of Zones: "ham", "unsure" or "spam".
func ZoneClass(zone string) string {
	switch zone {
	case "<=-6", "-6..-2":
		return "ham"
	case "4..6", "6..8", ">=8":
		return "spam"
	}
	return "unsure"
}
