package quarantine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// The states of a mail for one recipient.
const (
	StateHeld      = "held"
	StateReleasing = "releasing" // asked for; the running serve hands it over
	StateReleased  = "released"  // in the relay's queue
	StateDeleted   = "deleted"   // by somebody; it can be released for an hour yet
	StateExpired   = "expired"   // kept for the whole retention
)

// RcptState is the state for one recipient, and who brought it about.
type RcptState struct {
	Rcpt  mail.Address `json:"rcpt"`
	State string       `json:"state"`
	By    string       `json:"by,omitempty"`
	At    time.Time    `json:"at"`
	// Due is when a release is handed over that can still be undone; zero: it cannot.
	Due time.Time `json:"due,omitzero"`
}

// meta is the field m of a mail's hash. Only Forget changes it; the states stand in fields of their own.
type meta struct {
	Held
	Until time.Time // the end of the retention
	Hash  string
	ZSize int64
	Own   int64
	Key   string `json:",omitempty"` // the id of the key that sealed the octets; "": none
	Paid  int64  // octets that count for this mail: Own, and ZSize when it brought the body
}

// record is a mail as read from the store.
type record struct {
	meta
	states map[string]string // by Address.Key
	told   map[string]string // when, by Address.Key of the person
	review *Review           // by the sender of a refused mail
	fin    bool
	// forgotten says that nothing is kept any more but the states, so that each host's ledger closes
	forgotten bool
}

// encodeState writes state|milliseconds|by. Scripts compare the beginning.
func encodeState(state string, at time.Time, by string) string {
	return state + "|" + strconv.FormatInt(at.UnixMilli(), 10) + "|" + by
}

// encodeDelayed writes the state of a release that is handed over when it is due: releasing|milliseconds|by|due. Without the last
// part, which is taken away at that time, it is on its way.
func encodeDelayed(at time.Time, by string, due time.Time) string {
	return encodeState(StateReleasing, at, by) + "|" + strconv.FormatInt(due.UnixMilli(), 10)
}

// dueOf returns when a release is due that can still be undone; zero for every other state.
func dueOf(s string) time.Time {
	w := strings.Split(s, "|")
	if len(w) != 4 || w[0] != StateReleasing {
		return time.Time{}
	}
	n, _ := strconv.ParseInt(w[3], 10, 64)
	return time.UnixMilli(n).UTC()
}

func decodeState(s string) (state string, at time.Time, by string) {
	state, rest, _ := strings.Cut(s, "|")
	ms, by, _ := strings.Cut(rest, "|")
	by, _, _ = strings.Cut(by, "|")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return state, time.UnixMilli(n).UTC(), by
}

func (c codec) record(id string, fields map[string]string) (*record, error) {
	m, ok := fields["m"]
	if !ok {
		return nil, ErrNotFound
	}
	r := &record{states: map[string]string{}}
	b, err := c.open([]byte(m), placeMeta(id))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", id, err)
	}
	if err := json.Unmarshal(b, &r.meta); err != nil {
		return nil, fmt.Errorf("quarantine: metadata cannot be read: %w", err)
	}
	for k, v := range fields {
		if rcpt, is := strings.CutPrefix(k, "s:"); is {
			r.states[rcpt] = v
		} else if person, is := strings.CutPrefix(k, toldPrefix); is {
			if r.told == nil {
				r.told = map[string]string{}
			}
			r.told[person] = v
		}
	}
	_, r.fin = fields["fin"]
	_, r.forgotten = fields[forgottenField]
	if v, is := fields[reviewField]; is {
		if b, err := c.open([]byte(v), placeReview(id)); err == nil && json.Unmarshal(b, &r.review) != nil {
			r.review = nil
		}
	}
	return r, nil
}

func (q *Store) record(ctx context.Context, id string) (*record, error) {
	fields, err := q.o.Store.Client().HGetAll(ctx, mailKey(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	return q.codec.record(id, fields)
}

func (r *record) item() Item {
	return Item{Held: r.Held, Until: r.Until, States: r.rcpts(), told: r.told, Review: r.review}
}

// rcpts returns the state of every recipient in order.
func (r *record) rcpts() []RcptState {
	list := make([]RcptState, 0, len(r.Rcpts))
	for _, a := range r.Rcpts {
		s := r.states[a.Key()]
		state, at, by := decodeState(s)
		list = append(list, RcptState{Rcpt: a, State: state, By: by, At: at, Due: dueOf(s)})
	}
	return list
}

// everyState is rcpts with the states of recipients who were forgotten since.
func (r *record) everyState() []RcptState {
	list := r.rcpts()
	for key, s := range r.states {
		if slices.ContainsFunc(r.Rcpts, func(a mail.Address) bool { return a.Key() == key }) {
			continue
		}
		var a mail.Address
		_ = a.UnmarshalText([]byte(key)) // never fails
		state, at, by := decodeState(s)
		list = append(list, RcptState{Rcpt: a, State: state, By: by, At: at, Due: dueOf(s)})
	}
	return list
}

// changed returns when the last state was asked for.
func (r *record) changed() time.Time {
	last := r.Time
	for _, s := range r.rcpts() {
		if s.At.After(last) {
			last = s.At
		}
	}
	return last
}

func notFor(id string, a mail.Address) error {
	return fmt.Errorf("%w: %s is not for %s", ErrNotFound, id, a)
}

// cleanBy makes a name fit for a header field and for a state.
func cleanBy(by string) string {
	by = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7E || r == '|' {
			return '?'
		}
		return r
	}, by)
	return by[:min(len(by), 100)]
}
