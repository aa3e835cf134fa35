package main

import (
	"fmt"
	"strings"
	"time"

	"sekimori/internal/history"
	"sekimori/internal/text"
)

const traceTime = "2006-01-02 15:04:05"

func stamp(t time.Time) string { return t.Local().Format(traceTime) }

func (c traceCmd) print(a *app, l text.Lang, res *traceResult) {
	out := func(key string, args ...any) { fmt.Fprintln(a.out, tidy(text.Trace(l, key, args...))) }
	if as := readAs(l, res); as != "" {
		fmt.Fprintln(a.out, as)
	}
	for i := range res.Stories {
		fmt.Fprintln(a.out)
		for _, line := range storyLines(l, &res.Stories[i], res) {
			fmt.Fprintln(a.out, tidy(line))
		}
	}
	if len(res.Stories) == 0 {
		res.printNothing(l, out, func(s string) { fmt.Fprintln(a.out, "  "+tidy(s)) })
	} else {
		fmt.Fprintln(a.out)
	}
	if res.More {
		out("more")
	}
	for i := range res.Hosts {
		res.Hosts[i].say(out)
	}
	if res.Unknown != "" {
		out("unknown", res.Unknown)
	}
	for _, n := range res.Notes {
		out("note", n)
	}
	if !res.Whole {
		out("partial")
	}
	if len(res.Exchange) > 0 {
		out("exchange")
		for _, s := range res.Exchange {
			fmt.Fprintln(a.out, "  "+tidy(s))
		}
	}
	out("answer")
	for _, s := range res.Reply {
		fmt.Fprintln(a.out, "  "+tidy(s))
	}
}

// tidy makes a line fit for a terminal, whatever stands in an answer of another host or in a mail.
func tidy(s string) string { return text.Clean(s, 6000) }

// readAs says as what the words were read, when they can be read in several ways.
func readAs(l text.Lang, res *traceResult) string {
	name := func(r *reading) string {
		var words []string
		for _, k := range r.As {
			words = append(words, text.Trace(l, "as."+k))
		}
		return strings.Join(words, text.Trace(l, "as.and"))
	}
	var others []string
	for i := range res.Others {
		others = append(others, name(&res.Others[i]))
	}
	switch {
	case res.Read == nil || len(others) == 0 && len(res.Read.As) < 2:
		return ""
	case len(others) == 0:
		return text.Trace(l, "tried", name(res.Read))
	case len(res.Stories) == 0:
		return text.Trace(l, "tried", strings.Join(append([]string{name(res.Read)}, others...), text.Trace(l, "as.or")))
	}
	return text.Trace(l, "read", name(res.Read), strings.Join(others, text.Trace(l, "as.or")))
}

// printNothing says that nothing was found, and what was refused from the networks of the sender's domain.
func (r *traceResult) printNothing(l text.Lang, out func(string, ...any), line func(string)) {
	var names []string
	for i := range r.Hosts {
		if r.Hosts[i].Answered {
			names = append(names, r.Hosts[i].Host)
		}
	}
	out("none", strings.Join(names, ", "))
	d := whom(&r.Read.Query)
	if d == "" || r.Partner == "" {
		return
	}
	if len(r.Networks) > 0 {
		var nets []string
		wide := false
		for _, n := range r.Networks {
			nets = append(nets, n.Network.String())
			wide = wide || n.isWide()
		}
		out("networks", d, strings.Join(nets, ", "))
		if wide {
			out("wide", wideDays)
		}
	}
	switch {
	case len(r.Refused) > 0:
		out("partner", d)
		for _, e := range r.Refused {
			line(eventLine(l, e, len(r.Hosts) > 1) + "  " + clientOf(e))
		}
	case len(r.Networks) == 0:
		out("unheard", d)
	default:
		out("nopartner", d)
	}
}

// say says what a host has covered, or why it said nothing.
func (h *hostTold) say(out func(string, ...any)) {
	switch {
	case h.Off:
		out("off", h.Host)
		return
	case !h.Gone.IsZero():
		out("gone", h.Host, stamp(h.Gone))
		return
	case !h.Answered:
		out("silent", h.Host, h.Error)
		return
	case h.Period.From.IsZero():
		out("empty", h.Host)
	default:
		out("period", h.Host, stamp(h.Period.From), stamp(h.Period.To))
	}
	if h.Stopped {
		out("stopped", h.Host)
	}
	if h.Cut {
		out("cut", h.Host)
	}
	if h.Clock != 0 {
		out("clock", h.Host, h.Clock)
	}
	if h.Lost > 0 {
		out("lost", h.Lost)
	}
	if h.Damaged > 0 {
		out("damaged", h.Damaged)
	}
}

// storyLines tells a story: its head, and a line for each event, with more below it.
func storyLines(l text.Lang, s *history.Story, res *traceResult) []string {
	several := len(res.Hosts) > 1
	var lines []string
	if head := headOf(s); head != nil {
		lines = append(lines, text.Trace(l, "head", stamp(head.Time), s.ID, senderText(head.From), rcptTexts(head)))
		if head.Subject != "" {
			lines = append(lines, "  "+text.Trace(l, "subject", text.Clean(head.Subject, 200)))
		}
		if c := clientOf(head); c != "" {
			lines = append(lines, "  "+text.Trace(l, "client", c))
		}
	} else if len(s.Events) > 0 {
		lines = append(lines, text.Trace(l, "own", stamp(s.Events[0].Time), s.ID))
	}
	for _, e := range s.Before {
		lines = append(lines, "  "+withHost(l, e, text.Trace(l, "before", timesOf(l, e), rcptTexts(e), text.Clean(e.Reply, 300)), several))
	}
	for _, e := range s.Events {
		lines = append(lines, "  "+eventLine(l, e, several))
		for _, d := range details(l, e) {
			lines = append(lines, "    "+d)
		}
	}
	for _, id := range heldIDs(s) {
		if now, ok := res.Held[id]; ok {
			var states []string
			for _, st := range now.States {
				states = append(states, st.Rcpt.String()+" "+text.TraceState(l, st.State))
			}
			lines = append(lines, "  "+text.Trace(l, "until", strings.Join(states, ", "), stamp(now.Until)))
		}
	}
	return lines
}

// withHost names the host of an event when there are several.
func withHost(l text.Lang, e *history.Event, line string, several bool) string {
	if !several || e.Node == "" || e.Kind == history.KindAct {
		return line
	}
	return text.Trace(l, "on", line, e.Node)
}

// timesOf is when an event was, and how often.
func timesOf(l text.Lang, e *history.Event) string {
	if e.N() > 1 {
		return text.Trace(l, "times", stamp(e.Time), e.N(), stamp(e.Until))
	}
	return stamp(e.Time)
}

// headOf is the event that says most of whom a story is about.
func headOf(s *history.Story) *history.Event {
	for _, kind := range []history.Kind{history.KindMail, history.KindRcpt, history.KindRefused} {
		for _, e := range s.Events {
			if e.Kind == kind && (kind != history.KindMail || len(e.Rcpts) > 0) {
				return e
			}
		}
	}
	return nil
}

func senderText(from string) string {
	if from == "" {
		return "<>"
	}
	return text.Clean(from, 320)
}

func rcptTexts(e *history.Event) string {
	var list []string
	for _, r := range e.Rcpts {
		list = append(list, text.Clean(r.Addr, 320))
	}
	return strings.Join(list, ", ")
}

func clientOf(e *history.Event) string {
	if !e.Client.IsValid() {
		return ""
	}
	s := e.Client.String()
	for _, x := range []string{e.Host, e.Country} {
		if x != "" {
			s += " " + text.Clean(x, 255)
		}
	}
	if e.Helo != "" {
		s += " (HELO " + text.Clean(e.Helo, 255) + ")"
	}
	return s
}

func eventLine(l text.Lang, e *history.Event, several bool) string {
	return withHost(l, e, eventText(l, e), several)
}

func eventText(l text.Lang, e *history.Event) string {
	at := timesOf(l, e)
	words, end := "", ""
	if len(e.Rcpts) > 0 {
		words, end = text.Clean(e.Rcpts[0].Words, 300), text.TraceState(l, e.Rcpts[0].End)
	}
	switch e.Kind {
	case history.KindMail:
		reply := e.Reply
		if reply == "" {
			reply = e.Action + " " + e.Why
		}
		return text.Trace(l, "mail", at, text.Clean(reply, 300))
	case history.KindRcpt:
		return text.Trace(l, "rcpt", at, rcptTexts(e), text.Clean(e.Reply, 300))
	case history.KindRefused:
		return text.Trace(l, "refused", at, e.Stage, e.Why, text.Clean(e.Reply, 300))
	case history.KindTry:
		return text.Trace(l, "try", at, text.Clean(e.Backend, 200), rcptTexts(e), end, words)
	case history.KindHeld:
		return text.Trace(l, "held", at, rcptTexts(e))
	case history.KindEnded:
		return text.Trace(l, "ended", at, text.TraceState(l, e.Action), rcptTexts(e), text.Clean(e.By, 100))
	case history.KindRestored:
		return text.Trace(l, "restored", at, rcptTexts(e))
	case history.KindDigest:
		if end == "" {
			return text.Trace(l, "digest", at, e.Ref, rcptTexts(e))
		}
		return text.Trace(l, "digested", at, e.Ref, rcptTexts(e), end, words)
	case history.KindOpened:
		return text.Trace(l, "opened", at, text.Clean(e.By, 320))
	case history.KindTaught:
		return text.Trace(l, "taught", at, text.Trace(l, "taught."+text.Clean(e.Action, 10)))
	case history.KindAct:
		return text.Trace(l, "act", at, text.Clean(e.By, 320), text.Clean(e.Why, 20), text.TraceAct(l, text.Clean(e.Action, 30), text.Clean(e.Hint, 300)))
	case history.KindFailed:
		return text.Trace(l, "failed", at, rcptTexts(e), words, text.Clean(e.Hint, 300))
	}
	return at + " " + string(e.Kind)
}

// details are what was decided for each recipient, what was found, and what was not looked at.
func details(l text.Lang, e *history.Event) []string {
	var lines []string
	for _, r := range e.Rcpts {
		if r.Action == "" {
			continue
		}
		rule := ""
		if r.Rule != "" {
			name := r.Rule
			if r.RuleAt != "" {
				name += " (" + r.RuleAt + ")"
			}
			rule = text.Trace(l, "rule", name)
		}
		what := r.Action
		if r.End != "" {
			what += ", " + text.TraceState(l, r.End)
		}
		v := e.Verdict(&r)
		if limit := v.Threshold(); limit > 0 {
			lines = append(lines, text.Trace(l, "decided.of", text.Clean(r.Addr, 320), what, r.Score, limit, rule))
		} else {
			lines = append(lines, text.Trace(l, "decided", text.Clean(r.Addr, 320), what, r.Score, rule))
		}
	}
	if e.Rules != "" {
		lines = append(lines, text.Trace(l, "version", text.Clean(e.Rules, 60)))
	}
	for _, f := range e.Findings {
		if f.Points == 0 {
			continue
		}
		s := text.Trace(l, "finding", f.Name, f.Points)
		for _, ev := range f.Evidence {
			s += " " + text.Clean(ev[0]+"="+ev[1], 200)
		}
		lines = append(lines, s)
	}
	if len(e.NotLooked) > 0 {
		lines = append(lines, text.Trace(l, "blind", text.Clean(strings.Join(e.NotLooked, "; "), 500)))
	}
	for _, r := range e.Rcpts[min(len(e.Rcpts), 1):] {
		if e.Kind == history.KindTry {
			lines = append(lines, text.Clean(r.Addr, 320)+": "+text.TraceState(l, r.End)+" "+text.Clean(r.Words, 300))
		}
	}
	return lines
}
