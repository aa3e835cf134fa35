package history

import (
	"slices"
	"strings"
	"time"
)

// From is what one host found.
type From struct {
	Node string
	Found
}

// JoinStories puts together what several hosts found for one ask: the events of one mail become one story, in the order of time. Times
// are by the clocks of the hosts. The stories come newest first, at most so many; more says that there are others.
func JoinStories(parts []From, most int) (list []Story, more bool) {
	at := map[string]int{}
	for _, p := range parts {
		more = more || p.More
		for _, s := range p.Stories {
			s.Events = slices.Clone(s.Events)
			for _, e := range s.Events {
				e.Node = p.Node
			}
			mail := slices.ContainsFunc(s.Events, func(e *Event) bool { return e.ID != "" })
			if k, ok := at[s.ID]; ok && mail {
				list[k].Events = append(list[k].Events, s.Events...)
				continue
			}
			if mail {
				at[s.ID] = len(list)
			}
			list = append(list, s)
		}
	}
	for i := range list {
		slices.SortStableFunc(list[i].Events, byTime)
	}
	newestFirst(list)
	if len(list) > most {
		return list[:most], true
	}
	return list, more
}

func newestFirst(list []Story) {
	last := func(s *Story) (t time.Time) {
		for _, e := range s.Events {
			if u := e.last(); u.After(t) {
				t = u
			}
		}
		return t
	}
	slices.SortStableFunc(list, func(a, b Story) int { return last(&b).Compare(last(&a)) })
}

// JoinEvents puts together events that several hosts found for one ask, newest first.
func JoinEvents(parts []From) []*Event {
	var list []*Event
	for _, p := range parts {
		for _, e := range p.Events {
			e.Node = p.Node
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(x, y *Event) int { return byTime(y, x) })
	return list
}

// Add puts events that belong to the story into it, in the order of time. Those that are there already, from the same host, are left out.
func (s *Story) Add(events []*Event) {
	for _, e := range events {
		if !slices.ContainsFunc(s.Events, func(x *Event) bool { return x.same(e) }) {
			s.Events = append(s.Events, e)
		}
	}
	slices.SortStableFunc(s.Events, byTime)
}

// same reports whether two events are one: what a host says at one time of one thing.
func (e *Event) same(x *Event) bool {
	return e.Node == x.Node && e.Kind == x.Kind && e.ID == x.ID && e.Time.Equal(x.Time) && e.Action == x.Action && e.By == x.By && e.Ref == x.Ref &&
		slices.EqualFunc(e.Rcpts, x.Rcpts, func(a, b Rcpt) bool { return a.Addr == b.Addr && a.End == b.End })
}

const (
	mostAttempts = 50
	attemptsOf   = 3 * 24 * time.Hour // before the mail; RFC 5321 4.5.4.1 lets a client try for four to five days, most come within hours
	otherNetwork = 24 * time.Hour     // likewise, from elsewhere: large senders try again from another address
)

// Attempts asks for the attempts of a mail that were put off before it was taken, one ask for each recipient, at most so many.
func (s *Story) Attempts(most int) []Ask {
	head := s.Mail()
	if head == nil {
		return nil
	}
	var asks []Ask
	for _, r := range head.Rcpts[:min(len(head.Rcpts), most)] {
		if r.Addr != "" {
			asks = append(asks, Ask{Most: mostAttempts, Query: Query{
				Rcpt: r.Addr, Sender: head.From, Kinds: []Kind{KindRcpt}, Since: head.Time.Add(-attemptsOf), Until: head.Time,
			}})
		}
	}
	return asks
}

// Mail is the event that tells how the transaction of the mail ended, nil when there is none.
func (s *Story) Mail() *Event {
	for _, e := range s.Events {
		if e.Kind == KindMail && len(e.Rcpts) > 0 {
			return e
		}
	}
	return nil
}

// Attach gives each attempt that was put off to the first mail of the same sender to the same recipient that came after it. A story that
// is nothing but such attempts is then told by that mail, and left out of the list that is returned.
func Attach(list []Story, attempts []*Event) []Story {
	oldest := slices.Clone(list)
	slices.Reverse(oldest)
	slices.SortStableFunc(oldest, func(a, b Story) int { return mailTime(&a).Compare(mailTime(&b)) })
	told := map[string]bool{}
	before := map[string][]*Event{}
	for _, e := range attempts {
		i := slices.IndexFunc(oldest, func(s Story) bool { return e.leadsTo(&s) })
		if i < 0 {
			continue
		}
		id := oldest[i].ID
		told[Base(e.ID)] = true
		if !slices.ContainsFunc(before[id], func(x *Event) bool { return x.same(e) }) {
			before[id] = append(before[id], e)
		}
	}
	for i := range list {
		if b := before[list[i].ID]; len(b) > 0 && list[i].Mail() != nil {
			slices.SortStableFunc(b, byTime)
			list[i].Before = b
		}
	}
	return slices.DeleteFunc(list, func(s Story) bool { return s.ID != "" && told[s.ID] && s.onlyAttempts() })
}

func mailTime(s *Story) time.Time {
	if m := s.Mail(); m != nil {
		return m.Time
	}
	return time.Time{}
}

// leadsTo reports whether the attempt was put off before the mail of the story was taken.
func (e *Event) leadsTo(s *Story) bool {
	m := s.Mail()
	if m == nil || len(e.Rcpts) == 0 || !strings.HasPrefix(e.Reply, "4") || !e.Time.Before(m.Time) || !strings.EqualFold(e.From, m.From) || Base(e.ID) == s.ID {
		return false
	}
	within := otherNetwork
	if e.Client.IsValid() && m.Client.IsValid() && network(e.Client) == network(m.Client) {
		within = attemptsOf
	}
	return m.Time.Sub(e.Time) <= within && m.isTo(e.Rcpts[0].Addr)
}

func (e *Event) isTo(addr string) bool {
	return slices.ContainsFunc(e.Rcpts, func(r Rcpt) bool { return strings.EqualFold(r.Addr, addr) })
}

// onlyAttempts reports whether nothing but that happened: the client then gave the transaction up.
func (s *Story) onlyAttempts() bool {
	return !slices.ContainsFunc(s.Events, func(e *Event) bool {
		attempt := e.Kind == KindRcpt && strings.HasPrefix(e.Reply, "4")
		gone := e.Kind == KindMail && len(e.Rcpts) == 0
		return !attempt && !gone
	})
}
