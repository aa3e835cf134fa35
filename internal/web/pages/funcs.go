package pages

import (
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
)

// words are the functions of one language's templates.
type words struct {
	lang text.Lang
	zone *time.Location
}

func (l words) funcs() template.FuncMap {
	return template.FuncMap{
		"t": l.t, "has": l.has, "moment": l.moment, "day": l.day, "iso": iso, "size": text.Size, "row": l.row, "classes": l.classes, "className": l.class,
		"explain": l.explain, "without": l.without, "report": l.report, "reveal": reveal, "asset": assetURL, "link": link, "get": get, "left": left,
		"path": url.PathEscape, "join": strings.Join, "counts": counts, "stateWord": l.state, "actWord": l.act, "roleWord": l.role, "addresses": addresses,
		"starts": strings.HasPrefix, "soon": soon, "who": l.who, "momentOr": l.momentOr, "total": total, "decided": decided, "revealLong": revealLong, "plus": plus, "with2": within,
		"isZero": time.Time.IsZero, "weekdays": l.weekdays,
	}
}

// t fills a text; pairs are name, value, name, value.
func (l words) t(key string, pairs ...any) (string, error) {
	evidence := make([]mail.Evidence, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		evidence = append(evidence, mail.Evidence{Key: fmt.Sprint(pairs[i]), Value: fmt.Sprint(pairs[i+1])})
	}
	s := text.Fill(key, l.lang, evidence...)
	if s == "" {
		return "", fmt.Errorf("there is no text %q", key)
	}
	return s, nil
}

func (l words) has(key string) bool { _, ok := text.Lookup(key, l.lang); return ok }

func (l words) moment(t time.Time) string { return text.Moment(t.In(l.zone), l.lang) }

func (l words) day(t time.Time) string { return text.Day(t.In(l.zone), l.lang) }

func (l words) class(class string) string { return text.ClassName(class, l.lang) }

func (l words) state(state string) string { return text.Fill("held."+state, l.lang) }

func (l words) act(act string) string {
	return orElse(text.Fill("act."+act, l.lang), text.Reveal(act, 40))
}

func (l words) role(role string) string {
	return orElse(text.Fill("role."+role, l.lang), text.Reveal(role, 40))
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// who names somebody who did something.
func (l words) who(by string) string {
	if by == "" {
		return text.Fill("page.somebody", l.lang)
	}
	return text.Reveal(by, 100)
}

// momentOr is a moment, or nothing where there is none.
func (l words) momentOr(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return l.moment(t)
}

// total is of how many mails an act was.
func total(p *acts.Progress, r acts.Receipt) int {
	if p != nil {
		return p.Total
	}
	return len(r.Mails)
}

// decided is the first state among the recipients of mine, or of all, in which somebody has decided; nil when there is none.
func decided(i quarantine.Item, mine []mail.Address) *quarantine.RcptState {
	for _, st := range i.States {
		if st.State != quarantine.StateHeld && (len(mine) == 0 || slices.Contains(mine, st.Rcpt)) {
			return &st
		}
	}
	return nil
}

// weekdays names days of the week.
func (l words) weekdays(days []time.Weekday) string {
	list := make([]string, 0, len(days))
	for _, d := range days {
		list = append(list, text.Fill("weekday."+d.String(), l.lang))
	}
	return strings.Join(list, text.Fill("settings.weekly.sep", l.lang))
}

func plus(more bool) string {
	if more {
		return ".more"
	}
	return ""
}

// within is the page around a part of it.
func within(p page, part any) page { return page{p.Frame, part} }

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func reveal(s string) string { return text.Reveal(s, 300) }

// revealLong is for what somebody wrote in a field of a form.
func revealLong(s string) string { return text.Reveal(s, 600) }

// left is how many whole seconds are left until t.
func left(now, t time.Time) int { return max(0, int(t.Sub(now).Seconds())) }

// soon reports whether a mail's time ends within three days.
func soon(now, t time.Time) bool { return t.Sub(now) < 72*time.Hour }

func addresses(list []mail.Address) string {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 20 {
			fmt.Fprintf(&b, "… (%d)", len(list))
			break
		}
		b.WriteString(text.Reveal(a.String(), 254))
	}
	return b.String()
}

// classes are the classes that a search offers, as the catalogue knows them.
func (l words) classes() []choice {
	var list []choice
	for _, e := range text.All() {
		if class, ok := strings.CutPrefix(e.Key, "classname."); ok && class != "other" {
			list = append(list, choice{class, l.class(class)})
		}
	}
	return list
}

type choice struct{ Value, Label string }

// counted is a name and how often it is there.
type counted struct {
	Name  string
	Count int
}

// counts are the most frequent entries, at most ten.
func counts(m map[string]int) []counted {
	list := make([]counted, 0, len(m))
	for k, n := range m {
		list = append(list, counted{k, n})
	}
	sort.Slice(list, func(i, j int) bool {
		return list[i].Count > list[j].Count || list[i].Count == list[j].Count && list[i].Name < list[j].Name
	})
	return list[:min(10, len(list))]
}

// row is one held mail as a list shows it.
type row struct {
	ID, Claimed, From, Subject string
	At, Until                  time.Time
	Size                       int64
	Files                      []string
	MoreFiles                  int
	Class, ClassName           string
	Sure                       string
	SureWord                   string
	Reason                     string
	Rcpts                      string
	Rule                       string
	Score                      string
	Open, Pending, Confirmed   bool
	State                      string
}

func (l words) row(i quarantine.Item) row {
	v := i.Verdict()
	sure := text.Sure(v)
	r := row{
		ID: i.ID, Claimed: text.Reveal(i.FromName, 60), From: text.Reveal(orElse(i.HeaderFrom, i.From.String()), 100),
		Subject: text.Reveal(i.Subject, 120), At: i.Time, Until: i.Until, Size: i.Size, Class: i.Class, ClassName: l.class(i.Class),
		Sure: string(sure), SureWord: text.SureWord(sure, l.lang), Rcpts: addresses(i.Rcpts), Rule: text.Reveal(i.Rule, 100),
		Score: fmt.Sprintf("%.1f", i.Score), Open: i.Open(), Pending: i.Pending, Confirmed: i.Confirmed,
	}
	for _, name := range i.Attachments {
		if len(r.Files) < 3 {
			r.Files = append(r.Files, text.Reveal(orElse(name, "–"), 80))
		}
	}
	r.MoreFiles = max(i.Attached, len(i.Attachments)) - len(r.Files)
	if len(i.States) > 0 {
		r.State = i.States[0].State
	}
	if reasons := text.Explain(v, l.lang); len(reasons) > 0 {
		r.Reason = reasons[0]
	}
	return r
}

func (l words) explain(i quarantine.Item) []string { return text.Explain(i.Verdict(), l.lang) }

func (l words) without(i quarantine.Item) []string { return text.Without(i.Verdict(), l.lang) }

func (l words) report(i quarantine.Item) string {
	return strings.Join(text.Report(i.Verdict(), l.lang), "\n")
}
