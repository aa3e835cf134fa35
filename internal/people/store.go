package people

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/internal/text"
)

// Keys. Everything of a person stands in one hash.
const (
	allKey     = "p:i:all"     // every person of whom something is known -> when it was last changed by a digest or by the person
	changedKey = "p:i:changed" // who chose something -> number of the change
	versionKey = "p:i:version" // number of the last change
	askedKey   = "p:i:asked"   // who wants a digest now -> from when on (ms) a node may take the request
)

func personKey(a mail.Address) string { return "p:{" + a.Key() + "}" }

// Store keeps what people chose and where their digests are. Safe for concurrent use.
type Store struct {
	c      store.Client
	now    func() time.Time
	random io.Reader
	take   *store.Script
	swap   *store.Script
	lease  *store.Script
	drop   *store.Script
	same   *store.Script
}

// NewStore makes a Store; nil for random is the system's.
func NewStore(c store.Client, now func() time.Time, random io.Reader) *Store {
	return &Store{
		c: c, now: now, random: random, take: store.NewScript(takeLua), swap: store.NewScript(swapLua),
		lease: store.NewScript(leaseLua), drop: store.NewScript(dropLua), same: store.NewScript(sameLua),
	}
}

// State is what is kept of a person.
type State struct {
	Lang     text.Lang       `json:"lang,omitempty"`     // chosen; empty: not
	Schedule config.Schedule `json:"schedule,omitzero"`  // chosen; zero: not
	Mark     Mark            `json:"-"`                  // zero: none yet
	Slot     Slot            `json:"slot,omitzero"`      // of the last digest that was begun
	Sent     time.Time       `json:"sent,omitzero"`      // when the last digest was handed over
	Count    int             `json:"count,omitempty"`    // how many mails it named
	Fail     string          `json:"fail,omitempty"`     // what the mail server said when it refused the last one
	FailedAt time.Time       `json:"failed_at,omitzero"` // when
	Asked    time.Time       `json:"asked,omitzero"`     // since when a digest is asked for that is not told yet; zero: none is
}

var stateFields = []string{"lang", "schedule", "mark", "slot", "sent", "count", "fail", "asked"}

// Get returns what is known of persons, in order, in one round trip. Of whom nothing is known it is the zero State.
func (s *Store) Get(ctx context.Context, persons []mail.Address) ([]State, error) {
	if len(persons) == 0 {
		return nil, nil
	}
	pipe := s.c.Pipeline()
	cmds := make([]*store.SliceCmd, len(persons))
	for i, a := range persons {
		cmds[i] = pipe.HMGet(ctx, personKey(a), stateFields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	list := make([]State, len(persons))
	for i, c := range cmds {
		list[i] = decodeState(c.Val())
	}
	return list, nil
}

// decodeState reads the fields; what cannot be read is as if it were not there.
func decodeState(fields []any) State {
	var v [8]string
	for i := range min(len(v), len(fields)) {
		v[i], _ = fields[i].(string)
	}
	st := State{Mark: ParseMark(v[2]), Slot: parseSlot(v[3])}
	if v[0] == string(text.Ja) || v[0] == string(text.En) {
		st.Lang = text.Lang(v[0])
	}
	if z, err := config.ParseSchedule(v[1]); err == nil {
		st.Schedule = z
	}
	st.Sent = parseMillis(v[4])
	st.Count, _ = strconv.Atoi(v[5])
	st.FailedAt, st.Fail = parseFail(v[6])
	st.Asked = parseMillis(v[7])
	return st
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// SetLang keeps the language that a person chose; empty takes the choice back.
func (s *Store) SetLang(ctx context.Context, a mail.Address, lang text.Lang) error {
	if lang != "" && lang != text.Ja && lang != text.En {
		return fmt.Errorf("people: %q is no language of ours: ja or en", lang)
	}
	return s.choose(ctx, a, "lang", string(lang))
}

// SetSchedule keeps when a person wants to be told; the zero Schedule takes the choice back.
func (s *Store) SetSchedule(ctx context.Context, a mail.Address, z config.Schedule) error {
	return s.choose(ctx, a, "schedule", z.String())
}

func (s *Store) choose(ctx context.Context, a mail.Address, field, value string) error {
	var err error
	if value == "" {
		err = s.c.HDel(ctx, personKey(a), field).Err()
	} else {
		err = s.c.HSet(ctx, personKey(a), field, value).Err()
	}
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return s.changed(ctx, a)
}

// changed lets the running servers know.
func (s *Store) changed(ctx context.Context, a mail.Address) error {
	v, err := s.c.IncrBy(ctx, versionKey, 1).Result()
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	pipe := s.c.Pipeline()
	pipe.ZAdd(ctx, changedKey, store.Z{Score: float64(v), Member: a.Key()})
	pipe.ZAdd(ctx, allKey, store.Z{Score: float64(s.now().UnixMilli()), Member: a.Key()})
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}

// Changed returns who chose something after a change, and the number of the last change.
func (s *Store) Changed(ctx context.Context, after int64) ([]mail.Address, int64, error) {
	by := &store.ZRangeBy{Min: "(" + strconv.FormatInt(after, 10), Max: "+inf"}
	list, err := s.c.ZRangeByScore(ctx, changedKey, by).Result()
	if err != nil || len(list) == 0 {
		return nil, after, err
	}
	last, err := s.c.ZScore(ctx, changedKey, list[len(list)-1]).Result()
	return addresses(list), max(after, int64(last)), err
}

func addresses(keys []string) []mail.Address {
	list := make([]mail.Address, len(keys))
	for i, k := range keys {
		_ = list[i].UnmarshalText([]byte(k)) // never fails
	}
	return list
}

// Marks returns the recognition marks of persons, and draws one for who has none: the same at every host that asks.
func (s *Store) Marks(ctx context.Context, persons []mail.Address) ([]Mark, error) {
	pipe := s.c.Pipeline()
	got := make([]*store.StringCmd, len(persons))
	for i, a := range persons {
		m, err := NewMark(s.random)
		if err != nil {
			return nil, err
		}
		pipe.HSetNX(ctx, personKey(a), "mark", m.String())
		got[i] = pipe.HGet(ctx, personKey(a), "mark")
	}
	if _, err := pipe.Exec(ctx); err != nil && len(persons) > 0 {
		return nil, fmt.Errorf("people: %w", err)
	}
	list := make([]Mark, len(persons))
	for i, c := range got {
		list[i] = ParseMark(c.Val())
		if list[i].IsZero() { // damaged
			m, err := s.RenewMark(ctx, persons[i])
			if err != nil {
				return nil, err
			}
			list[i] = m
		}
	}
	return list, nil
}

// RenewMark draws a new mark, for a person whose mark has become known to somebody else.
func (s *Store) RenewMark(ctx context.Context, a mail.Address) (Mark, error) {
	m, err := NewMark(s.random)
	if err != nil {
		return Mark{}, err
	}
	if err := s.c.HSet(ctx, personKey(a), "mark", m.String()).Err(); err != nil {
		return Mark{}, fmt.Errorf("people: %w", err)
	}
	return m, s.changed(ctx, a)
}

// All returns every person of whom something is kept, sorted by address.
func (s *Store) All(ctx context.Context) ([]mail.Address, error) {
	const step = 5000
	var keys []string
	for from := int64(0); ; from += step {
		list, err := s.c.ZRange(ctx, allKey, from, from+step-1).Result()
		if err != nil {
			return nil, fmt.Errorf("people: %w", err)
		}
		keys = append(keys, list...)
		if len(list) < step {
			return addresses(keys), nil
		}
	}
}

// Forget deletes all that is kept of a person.
func (s *Store) Forget(ctx context.Context, a mail.Address) error {
	pipe := s.c.Pipeline()
	pipe.Del(ctx, personKey(a))
	for _, key := range []string{allKey, changedKey, askedKey} {
		pipe.ZRem(ctx, key, a.Key())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}
