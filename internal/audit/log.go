package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sekimori/internal/store"
)

const (
	daysKey = "audit:days" // day -> its beginning in milliseconds
	// refsMost is how many mails of one entry lead to it; bulk acts write entries of fewer.
	refsMost    = 500
	detailMost  = 500 // octets of Detail, and of each name
	scanStep    = 500
	scanMost    = 5000 // entries that one List reads
	dayLayout   = "2006-01-02"
	minRetained = 24 * time.Hour
)

func dayKey(day string) string { return "audit:{" + day + "}" }
func mailKey(id string) string { return "audit:m:{" + id + "}" }

// Options of New.
type Options struct {
	Client    store.Client
	Retention time.Duration // how long entries are kept; default 400 days
	Now       func() time.Time
	NewID     func() string // of an entry: letters and digits, never the same twice
	Log       *slog.Logger  // is told of every entry as well; nil: nobody
}

// Log is the audit log. Safe for concurrent use, by several hosts at once.
type Log struct{ o Options }

// New returns a Log. It does not talk to the store.
func New(o Options) *Log {
	if o.Retention < minRetained {
		o.Retention = 400 * 24 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Log{o}
}

// Append implements Appender.
func (l *Log) Append(ctx context.Context, e Entry) error {
	if e.Time.IsZero() {
		e.Time = l.o.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	e.Actor, e.Detail = cut(e.Actor), cut(e.Detail)
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	day, nonce := e.Time.Format(dayLayout), l.o.NewID()
	begin, _ := time.Parse(dayLayout, day)
	gone := begin.Add(24*time.Hour + l.o.Retention)
	score := float64(e.Time.UnixMilli())
	pipe := l.o.Client.Pipeline()
	written := pipe.ZAdd(ctx, dayKey(day), store.Z{Score: score, Member: nonce + " " + string(b)})
	pipe.PExpireAt(ctx, dayKey(day), gone)
	pipe.ZAdd(ctx, daysKey, store.Z{Score: float64(begin.UnixMilli()), Member: day})
	for _, id := range e.IDs[:min(len(e.IDs), refsMost)] {
		pipe.ZAdd(ctx, mailKey(id), store.Z{Score: score, Member: day + " " + nonce})
		pipe.PExpireAt(ctx, mailKey(id), gone)
	}
	_, err = pipe.Exec(ctx)
	if werr := written.Err(); werr != nil {
		return fmt.Errorf("audit: %w", werr)
	}
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.o.Log.Info("audit", "act", e.Act, "actor", e.Actor, "role", e.Role, "via", e.Via, "peer", e.Peer, "ids", strings.Join(e.IDs[:min(len(e.IDs), 20)], " "),
		"rcpts", strings.Join(e.Rcpts[:min(len(e.Rcpts), 20)], " "), "detail", e.Detail)
	return nil
}

func cut(s string) string {
	if len(s) <= detailMost {
		return s
	}
	n := detailMost
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// cursor is a place in the log; the next page begins below it.
type cursor struct {
	ms    int64
	nonce string
}

func parseCursor(s string) (cursor, error) {
	ms, nonce, ok := strings.Cut(s, ".")
	n, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil {
		return cursor{}, fmt.Errorf("audit: %q is not where a page begins", s)
	}
	return cursor{n, nonce}, nil
}

func (c cursor) String() string { return strconv.FormatInt(c.ms, 10) + "." + c.nonce }

// List returns the entries that match, newest first.
func (l *Log) List(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	pos := cursor{ms: l.o.Now().Add(time.Hour).UnixMilli()}
	if !q.Until.IsZero() {
		pos.ms = q.Until.UnixMilli() - 1
	}
	if q.Cursor != "" {
		var err error
		if pos, err = parseCursor(q.Cursor); err != nil {
			return Page{}, err
		}
	}
	if q.ID != "" {
		return l.listMail(ctx, q, pos)
	}
	w := &walk{q: newFilter(q), pos: pos}
	oldest := l.o.Now().Add(-l.o.Retention - 24*time.Hour)
	if q.Since.After(oldest) {
		oldest = q.Since
	}
	days, err := l.o.Client.ZRevRangeByScore(ctx, daysKey, &store.ZRangeBy{
		Min: strconv.FormatInt(oldest.Add(-24*time.Hour).UnixMilli(), 10), Max: strconv.FormatInt(pos.ms, 10),
	}).Result()
	if err != nil {
		return Page{}, fmt.Errorf("audit: %w", err)
	}
	for _, day := range days {
		full, err := l.walkDay(ctx, w, day)
		if err != nil {
			return w.page, err
		}
		if full {
			w.page.Next = w.pos.String()
			break
		}
	}
	err = l.counts(ctx, w)
	return w.page, err
}

// walk is the state of one List.
type walk struct {
	q       *filter
	pos     cursor
	page    Page
	tallies []tallied
	read    int
}

// walkDay reads a day from the position on; full says that the page is, or that enough was read.
func (l *Log) walkDay(ctx context.Context, w *walk, day string) (full bool, err error) {
	by := store.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(w.pos.ms, 10), Count: scanStep}
	if !w.q.Since.IsZero() {
		by.Min = strconv.FormatInt(w.q.Since.UnixMilli(), 10)
	}
	for {
		members, err := l.o.Client.ZRevRangeByScore(ctx, dayKey(day), &by).Result()
		if err != nil {
			return false, fmt.Errorf("audit: %w", err)
		}
		for _, m := range members {
			if w.take(m) {
				return true, nil
			}
		}
		if len(members) < scanStep {
			return false, nil
		}
		by.Offset += scanStep
	}
}

// take looks at one entry and reports whether the walk ends with it.
func (w *walk) take(member string) bool {
	e, nonce, err := decode(member)
	if err != nil {
		return false // written by a newer version
	}
	at := cursor{e.Time.UnixMilli(), nonce}
	if at.ms > w.pos.ms || at.ms == w.pos.ms && w.pos.nonce != "" && at.nonce >= w.pos.nonce {
		return false
	}
	w.read++
	if w.q.match(&e) {
		w.page.Entries = append(w.page.Entries, e)
		w.tally(&e, nonce)
	}
	w.pos = at
	return len(w.page.Entries) >= w.q.Limit || w.read >= scanMost
}

func decode(member string) (e Entry, nonce string, err error) {
	nonce, text, ok := strings.Cut(member, " ")
	if !ok {
		return e, "", errors.New("not an entry")
	}
	err = json.Unmarshal([]byte(text), &e)
	return e, nonce, err
}

// listMail reads the entries of one mail by its references.
func (l *Log) listMail(ctx context.Context, q Query, pos cursor) (Page, error) {
	refs, err := l.o.Client.ZRevRangeByScore(ctx, mailKey(q.ID), &store.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(pos.ms, 10), Count: scanMost}).Result()
	if err != nil {
		return Page{}, fmt.Errorf("audit: %w", err)
	}
	w := &walk{q: newFilter(q), pos: pos}
	for _, ref := range refs {
		day, nonce, _ := strings.Cut(ref, " ")
		ms, err := l.o.Client.ZScore(ctx, mailKey(q.ID), ref).Result()
		if errors.Is(err, store.Nil) {
			continue
		}
		if err != nil {
			return w.page, fmt.Errorf("audit: %w", err)
		}
		at := strconv.FormatInt(int64(ms), 10)
		members, err := l.o.Client.ZRangeByScore(ctx, dayKey(day), &store.ZRangeBy{Min: at, Max: at}).Result()
		if err != nil {
			return w.page, fmt.Errorf("audit: %w", err)
		}
		for _, m := range members {
			if strings.HasPrefix(m, nonce+" ") && w.take(m) {
				w.page.Next = w.pos.String()
				err = l.counts(ctx, w)
				return w.page, err
			}
		}
	}
	err = l.counts(ctx, w)
	return w.page, err
}

// filter is a Query made ready for comparing.
type filter struct {
	Query
	actor, rcpt string
}

func newFilter(q Query) *filter {
	return &filter{Query: q, actor: strings.ToLower(q.Actor), rcpt: strings.ToLower(q.Rcpt)}
}

func (f *filter) match(e *Entry) bool {
	switch {
	case !f.Since.IsZero() && e.Time.Before(f.Since), !f.Until.IsZero() && !e.Time.Before(f.Until):
		return false
	case f.Act != "" && e.Act != f.Act:
		return false
	case f.actor != "" && !strings.Contains(strings.ToLower(e.Actor), f.actor):
		return false
	}
	if f.rcpt == "" {
		return true
	}
	for _, r := range e.Rcpts {
		if strings.Contains(strings.ToLower(r), f.rcpt) {
			return true
		}
	}
	return false
}
