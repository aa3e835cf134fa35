package main

import (
	"strings"

	"sekimori/internal/history"
	"sekimori/internal/text"
)

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
				if e.Action == "released" && state[r.Addr] == "delivered" {
					continue // it left so fast that its delivery was written down first
				}
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
	var lines []string
	if len(res.Stories) == 0 {
		lines = append(lines, text.Trace(l, "said.nothing"))
		if len(res.Refused) > 0 {
			e := res.Refused[0]
			last := e.Time
			if e.Until.After(last) {
				last = e.Until
			}
			lines = append(lines, text.Trace(l, "said.blocked", text.Clean(res.Partner, 255), stamp(last), text.Clean(e.Reply, 300)))
		}
	}
	for i := range res.Stories {
		s := &res.Stories[i]
		head := headOf(s)
		if head == nil {
			continue
		}
		rcpts, state := fatesOf(s)
		now := res.standing(s)
		for _, r := range rcpts {
			what := state[r]
			switch n := now[strings.ToLower(r)]; n { // an act may have been taken back since
			case "held", "deleted", "expired":
				what = n
			case "releasing":
				what = "queued"
			}
			lines = append(lines, said(l, what, senderText(head.From), text.Clean(r, 320), stamp(head.Time)))
		}
		if n := len(s.Before); n > 0 {
			times := 0
			for _, e := range s.Before {
				times += e.N()
			}
			lines = append(lines, text.Trace(l, "said.attempts", times, stamp(s.Before[0].Time)))
		}
	}
	if !res.Whole {
		lines = append(lines, text.Trace(l, "said.partial"))
	}
	return lines
}

// said is the sentence about one recipient's mail.
func said(l text.Lang, what, from, rcpt, at string) string {
	switch what {
	case "refused":
		what = "rejected"
	case "inflight":
		what = "queued"
	case "delivered", "held", "queued", "deferred", "rejected", "deleted", "expired", "discarded", "redirected", "learned", "bounced", "aborted", "uncertain":
	default:
		what = "other"
	}
	return text.Trace(l, "said."+what, from, rcpt, at)
}
