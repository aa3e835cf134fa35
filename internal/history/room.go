package history

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// aged is a day of a stream.
type aged struct {
	day    string
	octets int64
	files  []string
}

// sweep deletes what is too old, and then, while all of it needs more than the budget, the oldest day of facts, or the oldest of stories
// when there are no facts of an earlier day. Of the present day only whole segments go.
func (w *Writer) sweep(now time.Time) {
	w.swept = now
	l := *w.limits.Load()
	today := now.UTC().Format(time.DateOnly)
	list, err := days(w.dir)
	if err != nil {
		w.warn("disk", err.Error())
		return
	}
	var by [Facts + 1][]aged
	var total int64
	for _, day := range list {
		for _, s := range []Stream{Stories, Facts} {
			a := w.measure(day, s)
			keep := l.Keep
			if s == Facts {
				keep = l.KeepFacts
			}
			if day != today && day < now.Add(-keep).UTC().Format(time.DateOnly) {
				w.remove(a, s, "it is older than it is kept")
				continue
			}
			if len(a.files) > 0 {
				total += a.octets
				by[s] = append(by[s], a)
			}
		}
		_ = os.Remove(filepath.Join(w.dir, day)) // only when it is empty
	}
	total = w.fit(&by, total, l.Disk, today)
	w.octets.Store(total)
	for _, s := range []Stream{Stories, Facts} {
		w.oldest[s].Store(0)
		if len(by[s]) > 0 {
			if t, err := time.Parse(time.DateOnly, by[s][0].day); err == nil {
				w.oldest[s].Store(t.Unix())
			}
		}
	}
}

// fit deletes until the total is within the budget, and returns it.
func (w *Writer) fit(by *[Facts + 1][]aged, total, budget int64, today string) int64 {
	for total > budget {
		s := Facts
		if len(by[s]) == 0 || by[s][0].day == today && len(by[Stories]) > 0 && by[Stories][0].day != today {
			s = Stories
		}
		if len(by[s]) == 0 {
			return total
		}
		if a := by[s][0]; a.day != today {
			w.remove(a, s, "history needs more than history.disk")
			_ = os.Remove(filepath.Join(w.dir, a.day))
			total -= a.octets
			by[s] = by[s][1:]
			continue
		}
		n := w.dropOne(by)
		if n == 0 {
			w.warn("disk", "history of one day needs more than history.disk")
			return total
		}
		total -= n
	}
	return total
}

// dropOne deletes the oldest segment of today, of facts first. The one that is written to stays.
func (w *Writer) dropOne(by *[Facts + 1][]aged) int64 {
	for _, s := range []Stream{Facts, Stories} {
		if len(by[s]) == 0 {
			continue
		}
		a := &by[s][0]
		for i, f := range a.files {
			st, err := os.Stat(f)
			if err != nil || !strings.HasSuffix(f, ".seg") || w.streams[s].seg != nil && numberOf(f) == w.streams[s].segNo {
				continue
			}
			w.o.Log.Warn("history: deleted", "file", f, "why", "one day needs more than history.disk")
			if w.o.FS.Remove(f) != nil {
				continue
			}
			a.files = append(a.files[:i:i], a.files[i+1:]...)
			a.octets -= st.Size()
			return st.Size()
		}
	}
	return 0
}

func (w *Writer) measure(day string, s Stream) aged {
	a := aged{day: day}
	l, err := filesOf(w.dir, day, s)
	if err != nil {
		return a
	}
	for _, f := range append(l.segments, l.tails...) {
		if st, err := os.Stat(f); err == nil {
			a.octets += st.Size()
			a.files = append(a.files, f)
		}
	}
	return a
}

func (w *Writer) remove(a aged, s Stream, why string) {
	if len(a.files) == 0 {
		return
	}
	w.o.Log.Info("history: deleted", "stream", s.String(), "day", a.day, "octets", a.octets, "why", why)
	for _, f := range a.files {
		if err := w.o.FS.Remove(f); err != nil {
			w.o.Log.Warn("history: cannot be deleted", "file", f, "err", err)
		}
	}
}
