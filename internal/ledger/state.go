package ledger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Item is a mail that has not ended for all of its recipients.
type Item struct {
	ID       string    `json:"id"`
	Place    Place     `json:"place"`
	Accepted time.Time `json:"accepted"`
	Rcpts    []string  `json:"rcpts"` // whose mail is open, as Key
}

// Totals are how many (mail, recipient) the ledger has seen since it began. Accepted less the sum of Ended is what is open.
type Totals struct {
	Since    time.Time       `json:"since"`
	Accepted int64           `json:"accepted"`
	Ended    map[State]int64 `json:"ended"`
	Queued   int64           `json:"queued"` // open
	Held     int64           `json:"held"`   // open
}

// Snapshot is the ledger at one moment.
type Snapshot struct {
	Totals
	Open     []Item // by the time of acceptance
	Problems []Problem
}

// Problem is a place of the record that cannot be read.
type Problem struct {
	File string
	Line int
	Err  error
}

func (p Problem) String() string { return p.File + ":" + strconv.Itoa(p.Line) + ": " + p.Err.Error() }

// book is the state that the lines add up to. Two items of one id differ in their place.
type book struct {
	since    time.Time
	open     map[string]*page
	queued   int64
	held     int64
	accepted int64
	ended    map[State]int64
}

// page is one mail. The usual one has one recipient and costs about 200 octets with its id and its place in the map.
type page struct {
	at    int64  // microseconds
	rcpts string // open ones: place, recipient, line end, again and again
}

func newBook() *book { return &book{open: map[string]*page{}, ended: map[State]int64{}} }

func entryOf(place Place, rcpt string) string {
	if place == Hold {
		return "h" + rcpt + "\n"
	}
	return "q" + rcpt + "\n"
}

// find returns where a recipient stands in the page, and its place; -1 when it is not open.
func (p *page) find(rcpt string) (int, Place) {
	if p == nil {
		return -1, ""
	}
	for _, place := range [...]Place{Queue, Hold} {
		e := entryOf(place, rcpt)
		if strings.HasPrefix(p.rcpts, e) {
			return 0, place
		}
		if i := strings.Index(p.rcpts, "\n"+e); i >= 0 {
			return i + 1, place
		}
	}
	return -1, ""
}

func (b *book) isOpen(id, rcpt string) bool {
	at, _ := b.open[id].find(rcpt)
	return at >= 0
}

// apply is what a line means. Repeated lines change nothing.
func (b *book) apply(e *Event) {
	switch e.Kind {
	case kindLedger:
		b.since = e.Time
	case kindTotal:
		n, _ := strconv.ParseInt(e.Detail, 10, 64)
		if e.Word == kindAccept {
			b.accepted = n
		} else {
			b.ended[State(e.Word)] = n
		}
	case kindAccept:
		if b.add(e) {
			b.accepted++
		}
	case kindOpen:
		b.add(e)
	case kindEnd:
		b.end(e)
	case kindDirect:
		b.accepted++
		b.ended[State(e.Word)]++
	case kindUndone:
		b.accepted--
		b.ended[State(e.Word)]--
	}
}

func (b *book) add(e *Event) bool {
	p := b.open[e.ID]
	if at, _ := p.find(e.Rcpt); at >= 0 {
		return false
	}
	if p == nil {
		p = &page{at: e.Time.UnixMicro()}
		b.open[strings.Clone(e.ID)] = p
	}
	p.rcpts += entryOf(Place(e.Word), e.Rcpt)
	b.count(Place(e.Word), 1)
	return true
}

func (b *book) end(e *Event) {
	p := b.open[e.ID]
	at, place := p.find(e.Rcpt)
	if at < 0 {
		return
	}
	p.rcpts = p.rcpts[:at] + p.rcpts[at+len(e.Rcpt)+2:]
	if p.rcpts == "" {
		delete(b.open, e.ID)
	}
	b.ended[State(e.Word)]++
	b.count(place, -1)
}

func (b *book) count(place Place, n int64) {
	if place == Hold {
		b.held += n
	} else {
		b.queued += n
	}
}

// each calls f for every open recipient, in no order.
func (b *book) each(f func(e *Event)) {
	for id, p := range b.open {
		for line := range strings.Lines(p.rcpts) {
			e := Event{Time: time.UnixMicro(p.at), Kind: kindOpen, ID: id, Rcpt: line[1 : len(line)-1], Word: string(Queue)}
			if line[0] == 'h' {
				e.Word = string(Hold)
			}
			f(&e)
		}
	}
}

func (b *book) totals() Totals {
	t := Totals{Since: b.since, Accepted: b.accepted, Ended: map[State]int64{}, Queued: b.queued, Held: b.held}
	for s, n := range b.ended {
		t.Ended[s] = n
	}
	return t
}

func (b *book) items() []Item {
	list := make([]Item, 0, len(b.open))
	for id, p := range b.open {
		at := map[Place]int{}
		for line := range strings.Lines(p.rcpts) {
			place := Queue
			if line[0] == 'h' {
				place = Hold
			}
			i, ok := at[place]
			if !ok {
				i = len(list)
				at[place] = i
				list = append(list, Item{ID: id, Place: place, Accepted: time.UnixMicro(p.at).UTC()})
			}
			list[i].Rcpts = append(list[i].Rcpts, line[1:len(line)-1])
		}
	}
	slices.SortFunc(list, func(a, b Item) int {
		return cmp.Or(a.Accepted.Compare(b.Accepted), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Place, b.Place))
	})
	return list
}

// header returns the events with which a new segment begins.
func (b *book) header(now time.Time) []Event {
	list := []Event{
		{Time: b.since, Kind: kindLedger, Word: strconv.Itoa(Version)},
		{Time: now, Kind: kindTotal, Word: kindAccept, Detail: strconv.FormatInt(b.accepted, 10)},
	}
	for _, s := range States() {
		list = append(list, Event{Time: now, Kind: kindTotal, Word: string(s), Detail: strconv.FormatInt(b.ended[s], 10)})
	}
	return list
}
