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

func (c traceCmd) print(a *app, l text.Lang, q history.Query, res *traceResult) {
	out := func(key string, args ...any) { fmt.Fprintln(a.out, text.Trace(l, key, args...)) }
	for i := range res.Stories {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		for _, line := range storyLines(l, &res.Stories[i]) {
			fmt.Fprintln(a.out, line)
		}
	}
	if len(res.Stories) == 0 {
		out("none", res.Node)
		if d := whom(&q); d != "" {
			switch {
			case len(res.Networks) == 0:
				out("unheard", d)
			case len(res.Refused) == 0:
				out("nopartner", d)
			default:
				out("partner", d)
				for _, e := range res.Refused {
					fmt.Fprintln(a.out, "  "+eventLine(l, e)+"  "+clientOf(e))
				}
			}
		}
	} else {
		fmt.Fprintln(a.out)
	}
	if res.More {
		out("more")
	}
	if p := res.Period; p.From.IsZero() {
		out("empty", res.Node)
	} else {
		out("period", res.Node, stamp(p.From), stamp(p.To))
	}
	if res.Lost > 0 {
		out("lost", res.Lost)
	}
	if res.Damaged > 0 {
		out("damaged", res.Damaged)
	}
	if len(res.Exchange) > 0 {
		out("exchange")
		for _, s := range res.Exchange {
			fmt.Fprintln(a.out, "  "+s)
		}
	}
	out("answer")
	for _, s := range res.Reply {
		fmt.Fprintln(a.out, "  "+s)
	}
}

// storyLines tells a story: its head, and a line for each event, with more below it.
func storyLines(l text.Lang, s *history.Story) []string {
	var lines []string
	if head := headOf(s); head != nil {
		lines = append(lines, text.Trace(l, "head", stamp(head.Time), s.ID, senderText(head.From), rcptTexts(head)))
		if head.Subject != "" {
			lines = append(lines, "  "+text.Trace(l, "subject", text.Clean(head.Subject, 200)))
		}
		if c := clientOf(head); c != "" {
			lines = append(lines, "  "+text.Trace(l, "client", c))
		}
	}
	for _, e := range s.Events {
		lines = append(lines, "  "+eventLine(l, e))
		for _, d := range details(l, e) {
			lines = append(lines, "    "+d)
		}
	}
	return lines
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

func eventLine(l text.Lang, e *history.Event) string {
	at := stamp(e.Time)
	if e.N() > 1 {
		at = text.Trace(l, "times", at, e.N(), stamp(e.Until))
	}
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

// fatesOf says what became of each recipient of a story, by its address.
func fatesOf(s *history.Story) (list []string, state map[string]string) {
	state = map[string]string{}
	put := func(addr, what string) {
		if what == "" {
			return
		}
		if _, ok := state[addr]; !ok {
			list = append(list, addr)
		}
		state[addr] = what
	}
	for _, e := range s.Events {
		for _, r := range e.Rcpts {
			switch e.Kind {
			case history.KindMail:
				switch {
				case r.End != "":
					put(r.Addr, r.End)
				case strings.HasPrefix(e.Reply, "5"):
					put(r.Addr, "rejected")
				case strings.HasPrefix(e.Reply, "4"):
					put(r.Addr, "deferred")
				default:
					put(r.Addr, "aborted")
				}
			case history.KindRcpt:
				what := "rejected"
				if strings.HasPrefix(e.Reply, "4") {
					what = "deferred"
				}
				put(r.Addr, what)
			case history.KindTry:
				if r.End == "delivered" {
					put(r.Addr, r.End)
				}
			case history.KindHeld:
				put(r.Addr, "held")
			case history.KindEnded:
				put(r.Addr, map[string]string{"released": "queued"}[e.Action]+map[string]string{"deleted": "deleted", "expired": "expired"}[e.Action])
			case history.KindFailed:
				put(r.Addr, map[string]string{"bounced": "bounced", "moved": "held"}[e.Action])
			}
		}
	}
	return list, state
}

// replies are sentences to answer a caller with.
func replies(l text.Lang, res *traceResult) []string {
	if len(res.Stories) == 0 {
		return []string{text.Trace(l, "said.nothing")}
	}
	var lines []string
	for i := range res.Stories {
		s := &res.Stories[i]
		head := headOf(s)
		if head == nil {
			continue
		}
		rcpts, state := fatesOf(s)
		for _, r := range rcpts {
			what := state[r]
			if what == "refused" {
				what = "rejected"
			}
			lines = append(lines, text.Trace(l, "said."+what, senderText(head.From), text.Clean(r, 320), stamp(head.Time)))
		}
	}
	return lines
}

// exchangeCommands are the commands for what Exchange knows further: of mail that was delivered, and of mail that never came here.
func exchangeCommands(q history.Query, res *traceResult) []string {
	const show = " | Format-List Timestamp,EventId,Source,Sender,Recipients,RecipientStatus,MessageSubject"
	var lines []string
	if len(res.Stories) == 0 {
		line := "Get-MessageTrackingLog -ResultSize Unlimited"
		sender, rcpt := q.Sender, q.Rcpt
		if sender == "" {
			sender = q.Address
		}
		switch {
		case strings.Contains(sender, "@"):
			line += " -Sender " + shellQuote(sender)
		case q.MessageID != "":
			line += " -MessageId " + shellQuote(q.MessageID)
		case rcpt == "":
			return nil
		}
		if strings.Contains(rcpt, "@") {
			line += " -Recipients " + shellQuote(rcpt)
		}
		if !q.Since.IsZero() {
			line += " -Start " + shellQuote(stamp(q.Since))
		}
		return []string{line + show}
	}
	for i := range res.Stories {
		s := &res.Stories[i]
		head := headOf(s)
		if head == nil || head.MessageID == "" {
			continue
		}
		_, state := fatesOf(s)
		for _, what := range state {
			if what == "delivered" {
				last := s.Events[len(s.Events)-1].Time
				lines = append(lines, "Get-MessageTrackingLog -MessageId "+shellQuote(head.MessageID)+" -Start "+shellQuote(stamp(head.Time.Add(-time.Hour)))+
					" -End "+shellQuote(stamp(last.Add(24*time.Hour)))+show)
				break
			}
		}
	}
	return lines
}

// shellQuote quotes for PowerShell. What is pasted there must do nothing but what it says: control characters go, and so do the
// curly quotes that PowerShell takes for straight ones.
func shellQuote(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r == '‘' || r == '’' || r == '‚' || r == '‛' {
			return -1
		}
		return r
	}, s)
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
