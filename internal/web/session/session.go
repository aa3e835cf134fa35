// Package session keeps who is signed in, in the shared store, so that any node can answer the next request.
//
// The browser holds a random id; the store holds its SHA-256 only, so that whoever reads the store cannot take part in a
// session:
//
//	sess:{HASH}        hash: who, what may be seen, since when; expires with the session
//	sess:{HASH}:n:ID   a form that was sent, and what came of it
//
// A form carries a nonce that is made from the session's id and the form's address, and works once.
package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/internal/text"
)

// Kind divides the sessions of persons from those of administrators; each has a cookie of its own.
type Kind string

// The kinds.
const (
	Person  Kind = "person"
	Console Kind = "console"
)

// Session is one browser that is signed in. A copy is handed out; changing it changes nothing in the store.
type Session struct {
	ID     string // what the cookie holds
	Kind   Kind
	Name   string       // an administrator's login; of a person the address
	Role   string       // person | helpdesk | admin | auditor
	Person mail.Address // of a person
	Lang   text.Lang    // "": as the browser asks
	Via    string       // how it began: link | oidc | ldap | file
	All    bool         // of a person: the whole list; else only Mails
	Mails  []string     // ids that links have opened
	Issued time.Time    // when the last link that was opened was made
	Peer   string       // where it began
	Begun  time.Time
	Seen   time.Time // to a minute
}

// Opens reports whether the session may see a mail at all; whether the mail is the person's is another question.
func (s *Session) Opens(id string) bool {
	return s.Kind == Console || s.All || slices.Contains(s.Mails, id)
}

// ErrNone says that there is no such session (any more).
var ErrNone = errors.New("session: there is none, or it has ended")

// Options of New.
type Options struct {
	Client   store.Client
	Idle     time.Duration // without a request
	Lifetime time.Duration // in all
	Now      func() time.Time
	Rand     io.Reader // nil: crypto/rand
}

// Store keeps sessions. Safe for concurrent use.
type Store struct{ o Options }

const (
	idLen     = 32
	touch     = time.Minute
	maxMails  = 500 // that one session may have opened by links
	fieldMail = "m:"
)

// New makes a Store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Store{o}
}

func hashOf(id string) string {
	sum := sha256.Sum256([]byte("sekimori session\x00" + id))
	return hex.EncodeToString(sum[:])
}

func key(id string) string { return "sess:{" + hashOf(id) + "}" }

// Begin makes a session with a new id, also for somebody who has one already, so that an id that was foisted on a browser
// before it signed in is worth nothing. idle bounds the time until the first further request; 0: as for every other.
func (s *Store) Begin(ctx context.Context, n Session, idle time.Duration) (Session, error) {
	b := make([]byte, idLen)
	if _, err := io.ReadFull(s.o.Rand, b); err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	n.ID = base64.RawURLEncoding.EncodeToString(b)
	n.Begun = s.o.Now().Truncate(time.Millisecond)
	n.Seen = n.Begun
	if idle <= 0 || idle > s.o.Idle {
		idle = s.o.Idle
	}
	fields := []any{
		"kind", string(n.Kind), "name", n.Name, "role", n.Role, "person", n.Person.String(), "lang", string(n.Lang), "via", n.Via,
		"all", strconv.FormatBool(n.All), "begun", n.Begun.UnixMilli(), "seen", n.Seen.UnixMilli(), "issued", n.Issued.Unix(), "peer", n.Peer,
	}
	for _, id := range n.Mails {
		fields = append(fields, fieldMail+id, "1")
	}
	_, err := s.o.Client.TxPipelined(ctx, func(p store.Pipeliner) error {
		p.HSet(ctx, key(n.ID), fields...)
		p.PExpireAt(ctx, key(n.ID), n.Begun.Add(idle))
		return nil
	})
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	return n, nil
}

// Get returns the session of an id. ErrNone when there is none, it was idle for too long, or its lifetime is over; every
// other error means that the store did not say.
func (s *Store) Get(ctx context.Context, id string) (Session, error) {
	if len(id) != base64.RawURLEncoding.EncodedLen(idLen) {
		return Session{}, ErrNone
	}
	f, err := s.o.Client.HGetAll(ctx, key(id)).Result()
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	n, err := decode(id, f)
	if err != nil {
		return Session{}, err
	}
	now := s.o.Now()
	if now.Sub(n.Begun) >= s.o.Lifetime || now.Sub(n.Seen) >= s.o.Idle+touch {
		return Session{}, ErrNone
	}
	if now.Sub(n.Seen) >= touch {
		if err := s.seen(ctx, n, now); err != nil {
			return Session{}, err
		}
	}
	return n, nil
}

// seenLua notes a request, unless the session has ended meanwhile. KEYS: session. ARGV: now (ms), until (ms).
const seenLua = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'seen', ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1`

func (s *Store) seen(ctx context.Context, n Session, now time.Time) error {
	until := now.Add(s.o.Idle)
	if end := n.Begun.Add(s.o.Lifetime); until.After(end) {
		until = end
	}
	alive, err := store.NewScript(seenLua).Run(ctx, s.o.Client, []string{key(n.ID)}, now.UnixMilli(), until.UnixMilli()).Int()
	switch {
	case err != nil:
		return fmt.Errorf("session: %w", err)
	case alive == 0:
		return ErrNone
	}
	return nil
}

func decode(id string, f map[string]string) (Session, error) {
	if len(f) == 0 {
		return Session{}, ErrNone
	}
	n := Session{
		ID: id, Kind: Kind(f["kind"]), Name: f["name"], Role: f["role"], Lang: text.Lang(f["lang"]), Via: f["via"],
		All: f["all"] == "true", Peer: f["peer"],
	}
	begun, err1 := strconv.ParseInt(f["begun"], 10, 64)
	seen, err2 := strconv.ParseInt(f["seen"], 10, 64)
	issued, err3 := strconv.ParseInt(f["issued"], 10, 64)
	if err := errors.Join(err1, err2, err3, n.Person.UnmarshalText([]byte(f["person"]))); err != nil {
		return Session{}, ErrNone // half of it is gone, or somebody else wrote it
	}
	n.Begun, n.Seen, n.Issued = time.UnixMilli(begun), time.UnixMilli(seen), time.Unix(issued, 0)
	for field := range f {
		if m, ok := strings.CutPrefix(field, fieldMail); ok {
			n.Mails = append(n.Mails, m)
		}
	}
	slices.Sort(n.Mails)
	return n, nil
}

// openLua lets a session see more. KEYS: session. ARGV: most fields, all ("true" or ""), issued, mail or "".
const openLua = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'all', ARGV[2]) end
redis.call('HSET', KEYS[1], 'issued', ARGV[3])
if ARGV[4] ~= '' and #redis.call('HGETALL', KEYS[1]) < 2 * tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], ARGV[4], '1') end
return 1`

// Open adds to what a person's session may see: a mail, or with "" the whole list. ErrNone when it has ended.
func (s *Store) Open(ctx context.Context, n Session, id string, issued time.Time) error {
	all, field := "true", ""
	if id != "" {
		all, field = "", fieldMail+id
	}
	alive, err := store.NewScript(openLua).Run(ctx, s.o.Client, []string{key(n.ID)}, maxMails, all, issued.Unix(), field).Int()
	switch {
	case err != nil:
		return fmt.Errorf("session: %w", err)
	case alive == 0:
		return ErrNone
	}
	return nil
}

// SetLang changes the language of a session that has not ended.
func (s *Store) SetLang(ctx context.Context, n Session, lang text.Lang) error {
	const lua = `if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'lang', ARGV[1]) end return 1`
	return store.NewScript(lua).Run(ctx, s.o.Client, []string{key(n.ID)}, string(lang)).Err()
}

// End ends a session for all nodes.
func (s *Store) End(ctx context.Context, n Session) error {
	return s.o.Client.Del(ctx, key(n.ID)).Err()
}
