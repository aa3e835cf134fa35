package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Query says which events are wanted: those that fit all that is set. Texts are compared without regard to case.
type Query struct {
	Since time.Time `json:"since,omitzero"` // zero: no bound
	Until time.Time `json:"until,omitzero"`

	ID        string         `json:"id,omitempty"`         // of a mail, or of a part of it, or of a connection
	Sender    string         `json:"sender,omitempty"`     // address of the envelope or of From, or "example.jp" for it and all below
	Rcpt      string         `json:"rcpt,omitempty"`       // likewise
	Address   string         `json:"address,omitempty"`    // either
	Domain    string         `json:"domain,omitempty"`     // of either, or of the client's name, and all below
	Client    netip.Prefix   `json:"client,omitzero"`      // an address has all its bits
	Nets      []netip.Prefix `json:"networks,omitempty"`   // the client is in one of them
	MessageID string         `json:"message_id,omitempty"` // with or without brackets
	Subject   string         `json:"subject,omitempty"`    // its words stand in it, in any order; of text without spaces any part
	Kinds     []Kind         `json:"kinds,omitempty"`      // none: all
}

// IsZero reports whether nothing is asked but a time.
func (q *Query) IsZero() bool {
	return q.ID == "" && q.Sender == "" && q.Rcpt == "" && q.Address == "" && q.Domain == "" && !q.Client.IsValid() && q.MessageID == "" && q.Subject == "" && len(q.Nets) == 0
}

// keys are those that every event has that fits.
func (q *Query) keys() []uint64 {
	var list []uint64
	if q.ID != "" {
		list = append(list, key('t', Base(q.ID)))
	}
	for _, a := range [...]string{q.Sender, q.Rcpt, q.Address} {
		switch d := strings.TrimPrefix(a, "@"); {
		case a == "":
		case strings.Contains(d, "@"):
			list = append(list, key('a', a))
		default:
			list = append(list, key('d', d))
		}
	}
	if q.Domain != "" {
		list = append(list, key('d', q.Domain))
	}
	if c := q.Client; c.IsValid() {
		switch n := network(c.Addr()); {
		case c.IsSingleIP():
			list = append(list, key('i', c.Addr().String()))
		case c.Bits() >= n.Bits():
			list = append(list, key('n', n.String()))
		}
	}
	if m := trimID(q.MessageID); m != "" {
		list = append(list, key('m', m))
	}
	words(q.Subject, func(w string) {
		if !lone(w) {
			list = append(list, key('w', w))
		}
	})
	return list
}

// fits reports whether an event is wanted.
func (q *Query) fits(e *Event) bool {
	return (q.Since.IsZero() || !e.last().Before(q.Since)) && (q.Until.IsZero() || !e.Time.After(q.Until)) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind)) &&
		(q.ID == "" || Base(e.ID) == Base(q.ID) || Base(e.Ref) == Base(q.ID) || e.Conn == q.ID) &&
		(q.Sender == "" || e.sentBy(q.Sender)) && (q.Rcpt == "" || e.sentTo(q.Rcpt)) &&
		(q.Address == "" || e.sentBy(q.Address) || e.sentTo(q.Address)) &&
		(q.Domain == "" || e.sentBy("@"+q.Domain) || e.sentTo("@"+q.Domain) || below(e.Host, q.Domain)) &&
		(!q.Client.IsValid() || e.Client.IsValid() && q.Client.Contains(e.Client.Unmap().WithZone(""))) &&
		(len(q.Nets) == 0 || within(e.Client, q.Nets)) &&
		(q.MessageID == "" || strings.EqualFold(trimID(e.MessageID), trimID(q.MessageID))) &&
		(q.Subject == "" || inSubject(e.Subject, q.Subject))
}

func within(a netip.Addr, nets []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	return a.IsValid() && slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// lone reports whether a word is one letter of a script without spaces: in a longer text it stands in pairs only.
func lone(w string) bool {
	r, size := utf8.DecodeRuneInString(w)
	return size == len(w) && unspaced(r)
}

// inSubject reports whether all words stand in a subject: whole words, and of text without spaces any part.
func inSubject(subject, want string) bool {
	var has []string
	words(subject, func(w string) { has = append(has, w) })
	all := true
	words(want, func(w string) { all = all && (slices.Contains(has, w) || lone(w) && strings.Contains(subject, w)) })
	return all
}

func (e *Event) last() time.Time {
	if e.Until.After(e.Time) {
		return e.Until
	}
	return e.Time
}

func (e *Event) sentBy(who string) bool {
	return isAddress(e.From, who) || isAddress(e.HeaderFrom, who)
}

func (e *Event) sentTo(who string) bool {
	return slices.ContainsFunc(e.Rcpts, func(r Rcpt) bool { return isAddress(r.Addr, who) })
}

// isAddress compares with an address, or with a domain and all below.
func isAddress(a, who string) bool {
	d := strings.TrimPrefix(who, "@")
	if strings.Contains(d, "@") {
		return strings.EqualFold(a, who)
	}
	return a != "" && below(a[strings.LastIndexByte(a, '@')+1:], d)
}

func below(name, domain string) bool {
	name, domain = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// must is what the octets of an event have that fits, one of it; it saves decoding. nil: anything.
func (q *Query) must() [][]byte {
	if q.ID != "" {
		return [][]byte{[]byte(`"` + Base(q.ID))}
	}
	var list [][]byte
	for _, k := range q.Kinds {
		list = append(list, []byte(`"k":"`+string(k)+`"`))
	}
	return list
}

// Search returns the events that fit, newest first (by the time at which they were written). Damaged blocks come as errors, after which
// it goes on.
func (r *Reader) Search(q Query) iter.Seq2[*Event, error] {
	s := &span{stream: Stories, from: minTime, to: maxTime, keys: q.keys(), unpack: true}
	if !q.Since.IsZero() {
		s.from = q.Since.Add(-time.Hour).UnixMicro() // an event of several has the time of the first
	}
	if !q.Until.IsZero() {
		s.to = q.Until.UnixMicro()
	}
	must := q.must()
	return func(yield func(*Event, error) bool) {
		more := true
		err := r.scan(s, func(b *batch) bool {
			for _, raw := range slices.Backward(b.records) {
				if must != nil && !slices.ContainsFunc(must, func(m []byte) bool { return bytes.Contains(raw, m) }) {
					continue
				}
				e := &Event{}
				if err := json.Unmarshal(raw, e); err != nil {
					more = yield(nil, fmt.Errorf("%w: an event: %w", ErrDamaged, err))
				} else if q.fits(e) {
					more = yield(e, nil)
				}
				if !more {
					return false
				}
			}
			return true
		}, func(err error) bool { more = more && yield(nil, err); return more })
		if err != nil && more {
			yield(nil, err)
		}
	}
}

// Story is what happened to one mail, or an event that belongs to none.
type Story struct {
	ID     string   `json:"id"`               // Base; of a connection when there is no mail
	Events []*Event `json:"events"`           // oldest first
	Before []*Event `json:"before,omitempty"` // attempts of the same sender to the same recipient that were put off, before it was taken
}

// Answer is what a search found.
type Answer struct {
	Stories []Story `json:"stories"` // newest first
	More    bool    `json:"more"`    // there are older ones
	Covered
}

// Covered says in what was searched.
type Covered struct {
	Period  Period `json:"period"`            // that was searched in
	Lost    int    `json:"lost"`              // events of that period that were not kept
	Damaged int    `json:"damaged"`           // blocks that cannot be read
	Stopped bool   `json:"stopped,omitempty"` // the time was over before everything was looked through
}

// note takes an error of a search.
func (c *Covered) note(err error) {
	if errors.Is(err, ErrStopped) {
		c.Stopped = true
	} else {
		c.Damaged++
	}
}

// Stories returns at most so many stories of which an event fits, each whole.
func (r *Reader) Stories(q Query, most int) (*Answer, error) {
	a := &Answer{}
	a.Stories, a.More = r.stories(q, most, &a.Covered)
	return a, r.covered(q, &a.Covered)
}

func (r *Reader) stories(q Query, most int, c *Covered) (list []Story, more bool) {
	ids := map[string]bool{}
	for e, err := range r.Search(q) {
		if err != nil {
			c.note(err)
			continue
		}
		id := Base(e.ID)
		if id != "" && ids[id] {
			continue
		}
		if len(list) >= most {
			more = true
			break
		}
		ids[id] = true
		s := Story{ID: id}
		if id == "" {
			s = Story{ID: e.Conn, Events: []*Event{e}}
		}
		list = append(list, s)
	}
	for i := range list {
		if s := &list[i]; len(s.Events) == 0 {
			s.Events, _ = r.events(Query{ID: s.ID}, mostEvents, c)
			slices.SortStableFunc(s.Events, byTime)
			if len(s.Events) == 0 {
				s.Events = []*Event{}
			}
		}
	}
	return list, more
}

// mostEvents of one story are gathered: those that are newest.
const mostEvents = 2000

// events returns the events that fit, newest first, at most so many.
func (r *Reader) events(q Query, most int, c *Covered) (list []*Event, more bool) {
	for e, err := range r.Search(q) {
		switch {
		case err != nil:
			c.note(err)
		case len(list) >= most:
			return list, true
		default:
			list = append(list, e)
		}
	}
	return list, false
}

func byTime(x, y *Event) int { return x.Time.Compare(y.Time) }

// covered says in which time was searched.
func (r *Reader) covered(q Query, a *Covered) error {
	p, err := r.Period(Stories)
	if err != nil && !errors.Is(err, ErrStopped) {
		return err
	}
	a.Stopped = a.Stopped || err != nil
	if q.Since.After(p.From) {
		p.From = q.Since
	}
	if !q.Until.IsZero() && q.Until.Before(p.To) {
		p.To = q.Until
	}
	a.Period = p
	for e, err := range r.Search(Query{Since: q.Since, Until: q.Until, Kinds: []Kind{KindLost}, ID: lostID}) {
		if err == nil {
			a.Lost += e.N()
		}
	}
	return nil
}

// lostID is the id of the events that tell of lost ones, so that they are found without reading everything.
const lostID = "lost"
