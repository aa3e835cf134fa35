package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// weekly says at which times of a week a rule holds.
type weekly struct {
	days  [7]bool // by time.Weekday: on which a span begins
	spans []span
	zone  *time.Location // nil: that of the mail's time
}

// span is a part of a day, in minutes; one that ends at or before its beginning goes over midnight.
type span struct{ from, to int }

const dayMinutes = 24 * 60

var weekdayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// schedule reads schedule = { days = ["mon-fri"], hours = "18:00-08:00", time_zone = "Asia/Tokyo" }.
func (x *decoder) schedule(r *rule, t *table) {
	e := t.get("schedule")
	if e != nil && e.val.kind == kindString {
		x.errorf(e.val.off, "schedule is a table: schedule = { days = [\"mon-fri\"], hours = \"18:00-08:00\" }")
		return
	}
	if !x.want(e, kindTable) {
		return
	}
	in := e.val.tab
	x.unknownKeys(in, []string{"days", "hours", "time_zone"}, "schedule")
	w := &weekly{}
	x.days(w, in.get("days"))
	for _, v := range x.texts(in.get("hours"), "hours", `"18:00-08:00"`) {
		x.hours(w, v)
	}
	if s, off := x.str(in, "time_zone"); s != "" {
		var err error
		if w.zone, err = time.LoadLocation(s); err != nil || s == "Local" {
			x.errorf(off, "time_zone: there is no zone %q; one is such as \"Asia/Tokyo\" or \"UTC\"", clip(s, 80))
		}
	}
	if in.get("days") == nil && in.get("hours") == nil && !in.broken {
		x.errorf(e.val.off, "schedule names neither days nor hours, so that the rule always holds; leave it out")
	}
	if len(w.spans) == 0 {
		w.spans = []span{{0, dayMinutes}}
	}
	r.weekly = w
}

// texts reads a string or a list of strings.
func (x *decoder) texts(e *entry, key, example string) []*value {
	switch {
	case e == nil:
		return nil
	case e.val.kind == kindString:
		return []*value{e.val}
	case e.val.kind != kindArray:
		x.errorf(e.val.off, "%s must be a string such as %s or a list of them, not %s", key, example, e.val.kind)
		return nil
	case len(e.val.items) == 0:
		x.errorf(e.val.off, "%s is empty, so that the rule never holds; leave it out for all", key)
	}
	var all []*value
	for _, v := range e.val.items {
		if v.kind != kindString {
			x.errorf(v.off, "%s must be a string such as %s or a list of them, not of %s", key, example, v.kind)
			continue
		}
		all = append(all, v)
	}
	return all
}

// days reads "mon" and "mon-fri"; none are all.
func (x *decoder) days(w *weekly, e *entry) {
	if e == nil {
		w.days = [7]bool{true, true, true, true, true, true, true}
		return
	}
	for _, v := range x.texts(e, "days", `"mon-fri"`) {
		first, last, both := strings.Cut(strings.ToLower(v.str), "-")
		from, ok := x.day(strings.TrimSpace(first), v)
		to := from
		if both && ok {
			to, ok = x.day(strings.TrimSpace(last), v)
		}
		if !ok {
			continue
		}
		for d := from; ; d = (d + 1) % 7 {
			w.days[d] = true
			if d == to {
				break
			}
		}
	}
}

func (x *decoder) day(s string, v *value) (int, bool) {
	for i, name := range weekdayNames {
		if s == name || s == strings.ToLower(time.Weekday(i).String()) {
			return i, true
		}
	}
	x.errorf(v.off, "%q is not a day: one of mon, tue, wed, thu, fri, sat, sun, or such as \"mon-fri\"%s", clip(s, 80), suggest(s, weekdayNames))
	return 0, false
}

func (x *decoder) hours(w *weekly, v *value) {
	first, last, both := strings.Cut(v.str, "-")
	from, ok := clock(strings.TrimSpace(first))
	to, ok2 := clock(strings.TrimSpace(last))
	switch {
	case !both || !ok || !ok2 || from == dayMinutes:
		x.errorf(v.off, "%q is no part of a day such as \"18:00-08:00\", from 00:00 to 24:00", clip(v.str, 80))
	case from == to:
		x.errorf(v.off, "%q begins when it ends, so that it holds never; leave out hours for the whole day", clip(v.str, 80))
	default:
		w.spans = append(w.spans, span{from, to})
	}
}

// clock reads 8:00 or 08:00; 24:00 is the end of the day.
func clock(s string) (int, bool) {
	hour, minute, _ := strings.Cut(s, ":")
	h, herr := strconv.Atoi(hour)
	m, merr := strconv.Atoi(minute)
	t := 60*h + m
	if herr != nil || merr != nil || len(hour) > 2 || len(minute) != 2 || h < 0 || m < 0 || m > 59 || t > dayMinutes {
		return 0, false
	}
	return t, true
}

// holds reports whether the time is within. A span over midnight belongs to the day on which it begins: fri 18:00-08:00 lasts until
// Saturday morning.
func (w *weekly) holds(t time.Time) bool {
	if w.zone != nil {
		t = t.In(w.zone)
	}
	now, today := 60*t.Hour()+t.Minute(), int(t.Weekday())
	yesterday := (today + 6) % 7
	return slices.ContainsFunc(w.spans, func(s span) bool {
		if s.from < s.to {
			return w.days[today] && now >= s.from && now < s.to
		}
		return w.days[today] && now >= s.from || w.days[yesterday] && now < s.to
	})
}
