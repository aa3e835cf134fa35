package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schedule says when a digest is due. The zero Schedule says nothing: another one holds.
type Schedule struct {
	Kind  string         // "" | off | hourly | daily | workdays | weekly
	Days  []time.Weekday // weekly: on these days, sorted
	Times []int          // minutes since midnight, sorted; of all but hourly
}

var scheduleKinds = []string{"off", "hourly", "daily", "workdays", "weekly"}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// maxTimes bounds the times of a day: more often is hourly.
const maxTimes = 24

// ParseSchedule reads "off", "hourly", "daily 08:00 16:00", "workdays 08:30" or "weekly mon thu 09:00". Commas may stand for
// spaces. Without a time it is 08:00, without a day Monday.
func ParseSchedule(s string) (Schedule, error) {
	words := strings.Fields(strings.ToLower(strings.ReplaceAll(s, ",", " ")))
	if len(words) == 0 {
		return Schedule{}, nil
	}
	z := Schedule{Kind: words[0]}
	if !slices.Contains(scheduleKinds, z.Kind) {
		return Schedule{}, fmt.Errorf("%q is not a schedule%s", words[0], hint(words[0], scheduleKinds))
	}
	for _, w := range words[1:] {
		switch day := slices.Index(dayNames, w[:min(3, len(w))]); {
		case z.Kind == "off" || z.Kind == "hourly":
			return Schedule{}, fmt.Errorf("%q: nothing follows %q", w, z.Kind)
		case strings.Contains(w, ":"):
			m, err := parseTime(w)
			if err != nil {
				return Schedule{}, err
			}
			z.Times = append(z.Times, m)
		case day < 0 || w != dayNames[day] && w != strings.ToLower(time.Weekday(day).String()):
			return Schedule{}, fmt.Errorf("%q is neither a time such as 08:30 nor a day such as mon", w)
		case z.Kind != "weekly":
			return Schedule{}, fmt.Errorf("%q: days are chosen with weekly", w)
		default:
			z.Days = append(z.Days, time.Weekday(day))
		}
	}
	if len(z.Times) > maxTimes {
		return Schedule{}, fmt.Errorf("%d times a day are too many; the most is %d", len(z.Times), maxTimes)
	}
	z.fill()
	return z, nil
}

func (z *Schedule) fill() {
	if z.Kind == "off" || z.Kind == "hourly" {
		return
	}
	if len(z.Times) == 0 {
		z.Times = []int{8 * 60}
	}
	if z.Kind == "weekly" && len(z.Days) == 0 {
		z.Days = []time.Weekday{time.Monday}
	}
	slices.Sort(z.Times)
	slices.Sort(z.Days)
	z.Times, z.Days = slices.Compact(z.Times), slices.Compact(z.Days)
}

func parseTime(s string) (int, error) {
	hour, minute, _ := strings.Cut(s, ":")
	h, herr := strconv.Atoi(hour)
	m, merr := strconv.Atoi(minute)
	if herr != nil || merr != nil || len(minute) != 2 || len(hour) > 2 || h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, fmt.Errorf("%q is not a time from 00:00 to 23:59", s)
	}
	return h*60 + m, nil
}

// UnmarshalText is ParseSchedule.
func (z *Schedule) UnmarshalText(b []byte) (err error) {
	*z, err = ParseSchedule(string(b))
	return err
}

// MarshalText is the inverse of UnmarshalText.
func (z Schedule) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// String gives what ParseSchedule reads.
func (z Schedule) String() string {
	words := []string{z.Kind}
	for _, d := range z.Days {
		words = append(words, dayNames[d])
	}
	return strings.Join(append(words, z.Clock()...), " ")
}

// Clock gives the times of the day as 08:30.
func (z Schedule) Clock() []string {
	list := make([]string, 0, len(z.Times))
	for _, m := range z.Times {
		list = append(list, fmt.Sprintf("%02d:%02d", m/60, m%60))
	}
	return list
}

// IsZero reports whether it says nothing.
func (z Schedule) IsZero() bool { return z.Kind == "" }

// Off reports whether no digest is ever due.
func (z Schedule) Off() bool { return z.Kind == "" || z.Kind == "off" }

// Last returns the latest time at or before now at which a digest was due, in loc; false when there is none. Every host computes the
// same. A time that daylight saving leaves out comes an hour beside it, one that comes twice is due once.
func (z Schedule) Last(now time.Time, loc *time.Location) (time.Time, bool) {
	return z.near(now, loc, -1, func(t time.Time) bool { return !t.After(now) })
}

// Next returns the first time after now at which a digest is due.
func (z Schedule) Next(now time.Time, loc *time.Location) (time.Time, bool) {
	return z.near(now, loc, 1, func(t time.Time) bool { return t.After(now) })
}

// near looks day by day, back or forth, for the due time that fits and is the nearest.
func (z Schedule) near(now time.Time, loc *time.Location, step int, fits func(time.Time) bool) (best time.Time, found bool) {
	if z.Off() {
		return time.Time{}, false
	}
	local := now.In(loc)
	if z.Kind == "hourly" {
		// Counted on the clock that runs through, so that the hour that comes twice has two, and the minutes of the zone hold.
		hour := now.Add(-time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
		if step > 0 {
			hour = hour.Add(time.Hour)
		}
		return hour, true
	}
	for i := range 9 { // a week, and a day on either side
		day := local.AddDate(0, 0, step*(i-1))
		for _, m := range z.Times {
			t := time.Date(day.Year(), day.Month(), day.Day(), m/60, m%60, 0, 0, loc)
			if z.on(day.Weekday()) && fits(t) && (!found || t.After(best) == (step < 0)) {
				best, found = t, true
			}
		}
		if found && i > 0 {
			break
		}
	}
	return best, found
}

func (z Schedule) on(d time.Weekday) bool {
	switch z.Kind {
	case "workdays":
		return d != time.Saturday && d != time.Sunday
	case "weekly":
		return slices.Contains(z.Days, d)
	}
	return true
}
