package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Ask is one thing that a host is asked.
type Ask struct {
	Query
	Most  int    `json:"most,omitempty"`  // stories or events at the most
	Whole bool   `json:"whole,omitempty"` // the stories of which an event fits; else the events that fit
	Facts string `json:"facts,omitempty"` // the facts of the mail of this id, and nothing else
}

// Told is what a host says to what it was asked.
type Told struct {
	Time time.Time `json:"now"` // by its clock
	Covered
	Cut     bool    `json:"cut,omitempty"` // more was found than an answer holds: the oldest is left out
	Answers []Found `json:"answers"`       // to each ask, in their order
}

// Found is what was found for one ask.
type Found struct {
	Stories []Story  `json:"stories,omitempty"`
	Events  []*Event `json:"events,omitempty"` // newest first
	Facts   []Record `json:"facts,omitempty"`  // newest first
	More    bool     `json:"more,omitempty"`   // there are older ones
}

// Bounds of what is asked and told.
const (
	MostAsks   = 120     // things asked at one time
	MostFound  = 500     // stories or events for one of them
	mostFacts  = 64      // of one mail: recipients that were refused, and the message
	MostPacked = 1 << 20 // octets of a question or an answer, packed
	maxTold    = 4 << 20 // unpacked
)

// ErrBounds says that a question or an answer is not within the bounds, or not well formed.
var ErrBounds = errors.New("history: not a question or an answer of ours")

// Tell answers what is asked. What it could not look through by the time of the reader (see Within) is missing, and Stopped says so.
func (r *Reader) Tell(asks []Ask, now time.Time) (*Told, error) {
	if err := CheckAsks(asks); err != nil {
		return nil, err
	}
	t := &Told{Time: now, Answers: make([]Found, len(asks))}
	for i := range asks {
		a, f := &asks[i], &t.Answers[i]
		switch {
		case a.Facts != "":
			f.Facts = r.factsFor(a.Facts, &t.Covered)
		case a.Whole:
			f.Stories, f.More = r.stories(a.Query, a.Most, &t.Covered)
		default:
			f.Events, f.More = r.events(a.Query, a.Most, &t.Covered)
		}
	}
	span := Query{}
	if len(asks) > 0 {
		span = asks[0].Query
	}
	return t, r.covered(span, &t.Covered)
}

func (r *Reader) factsFor(id string, c *Covered) []Record {
	var list []Record
	for f, err := range r.FactsOf(id) {
		if err != nil {
			c.note(err)
			continue
		}
		f.Data = append([]byte(nil), f.Data...)
		if list = append(list, f); len(list) >= mostFacts {
			break
		}
	}
	return list
}

// CheckAsks reports whether what is asked is within the bounds.
func CheckAsks(asks []Ask) error {
	if len(asks) == 0 || len(asks) > MostAsks {
		return fmt.Errorf("%w: %d things are asked", ErrBounds, len(asks))
	}
	for i := range asks {
		switch a := &asks[i]; {
		case a.Facts != "":
		case a.Query.IsZero() && len(a.Kinds) == 0:
			return fmt.Errorf("%w: something is asked that names nothing", ErrBounds)
		case a.Most < 1 || a.Most > MostFound:
			return fmt.Errorf("%w: %d are asked for", ErrBounds, a.Most)
		}
	}
	return nil
}

// Check reports whether an answer from elsewhere is one to these asks. Texts in it are to be cleaned where they are shown.
func (t *Told) Check(asks []Ask) error {
	if len(t.Answers) != len(asks) {
		return fmt.Errorf("%w: %d answers to %d asks", ErrBounds, len(t.Answers), len(asks))
	}
	for i := range t.Answers {
		f, a := &t.Answers[i], &asks[i]
		switch {
		case a.Facts != "" && (len(f.Stories) > 0 || len(f.Events) > 0 || len(f.Facts) > mostFacts):
		case a.Facts == "" && (len(f.Facts) > 0 || len(f.Stories) > a.Most || len(f.Events) > a.Most):
		case a.Facts == "" && (a.Whole && len(f.Events) > 0 || !a.Whole && len(f.Stories) > 0):
		default:
			if err := f.check(a); err != nil {
				return err
			}
			continue
		}
		return fmt.Errorf("%w: more, or something else, than was asked", ErrBounds)
	}
	return nil
}

func (f *Found) check(a *Ask) error {
	for _, e := range f.Events {
		if e == nil || !a.fits(e) {
			return fmt.Errorf("%w: an event that was not asked for", ErrBounds)
		}
	}
	for _, r := range f.Facts {
		if Base(r.ID) != Base(a.Facts) {
			return fmt.Errorf("%w: facts of another mail", ErrBounds)
		}
	}
	for i := range f.Stories {
		s := &f.Stories[i]
		if len(s.Events) == 0 || len(s.Events) > mostEvents || len(s.Before) > 0 {
			return fmt.Errorf("%w: a story of %d events", ErrBounds, len(s.Events))
		}
		for _, e := range s.Events {
			if e == nil || !e.belongs(s.ID) {
				return fmt.Errorf("%w: an event of another story", ErrBounds)
			}
		}
	}
	return nil
}

// belongs reports whether an event is one of the story of an id.
func (e *Event) belongs(id string) bool {
	return Base(e.ID) == id || e.Ref != "" && Base(e.Ref) == id || e.Conn == id
}

// Pack packs a question or an answer for its way. It makes an answer smaller until it is within MostPacked.
func Pack(v any) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	defer func() { _ = enc.Close() }() // it writes nowhere
	for {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if len(raw) <= maxTold {
			if packed := enc.EncodeAll(raw, nil); len(packed) <= MostPacked {
				return packed, nil
			}
		}
		if t, ok := v.(*Told); !ok || !t.halve() {
			return nil, fmt.Errorf("%w: too large", ErrBounds)
		}
	}
}

// halve leaves out the older half of the largest part of an answer. It reports whether there was one.
func (t *Told) halve() bool {
	t.Cut = true
	best, most := -1, 0
	for i := range t.Answers {
		f := &t.Answers[i]
		n := len(f.Events) + 4*len(f.Facts)
		for k := range f.Stories {
			n += len(f.Stories[k].Events)
		}
		if n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return false
	}
	f := &t.Answers[best]
	f.More = true
	if len(f.Stories) == 1 && len(f.Stories[0].Events) > 1 {
		s := &f.Stories[0]
		s.Events = s.Events[len(s.Events)/2:]
		return true
	}
	f.Stories, f.Events, f.Facts = f.Stories[:len(f.Stories)/2], f.Events[:len(f.Events)/2], f.Facts[:len(f.Facts)/2]
	return true
}

// Unpack reads what Pack made. It may have been made by anybody: no more than some MB are unpacked, and what is not JSON is ErrBounds.
func Unpack(b []byte, v any) error {
	if len(b) > MostPacked {
		return fmt.Errorf("%w: %d octets", ErrBounds, len(b))
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxTold), zstd.WithDecoderMaxWindow(maxTold))
	if err != nil {
		return err
	}
	defer dec.Close()
	raw, err := dec.DecodeAll(b, nil)
	if err != nil || len(raw) > maxTold {
		return fmt.Errorf("%w: it cannot be unpacked", ErrBounds)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: it cannot be read", ErrBounds)
	}
	return nil
}
