package quarantine

import (
	"context"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// indexVersion names the set of indexes that a whole round of repair has seen to be complete. While the store has another,
// listings go by the indexes that were always there.
const indexVersion = "2"

func classIndex(class string) string   { return "q:i:class:" + class }
func ruleIndex(rule string) string     { return "q:i:rule:" + ruleID(rule) }
func domainIndex(domain string) string { return "q:i:from:" + domain }

// ruleID is Held.Rule without where it stands: it stays when the file is edited.
func ruleID(rule string) string {
	id, _, _ := strings.Cut(rule, " (")
	return id
}

// domainOf returns the domain of what stands in a From field, in small letters; "" when there is none.
func domainOf(from string) string {
	at := strings.LastIndexByte(from, '@')
	if at < 0 {
		return ""
	}
	domain := from[at+1:]
	if end := strings.IndexAny(domain, "> \t,;()\"<"); end >= 0 {
		domain = domain[:end]
	}
	return strings.ToLower(domain)
}

// domains returns the sender's domains, in the envelope and in the header.
func (h *Held) domains() []string {
	var list []string
	if d := strings.ToLower(h.From.Domain); d != "" {
		list = append(list, d)
	}
	if d := domainOf(h.HeaderFrom); d != "" && (len(list) == 0 || list[0] != d) {
		list = append(list, d)
	}
	return list
}

// indexes returns the keys of all indexes by time in which a mail stands.
func (h *Held) indexes() []string {
	list := []string{timeIndex}
	for _, a := range h.everybody() {
		list = append(list, rcptIndex(a))
	}
	if h.Class != "" {
		list = append(list, classIndex(h.Class))
	}
	if ruleID(h.Rule) != "" {
		list = append(list, ruleIndex(h.Rule))
	}
	for _, d := range h.domains() {
		list = append(list, domainIndex(d))
	}
	return list
}

// index adds to the pipe what writes the indexes of one mail; all of it can be repeated.
func (q *Store) index(ctx context.Context, pipe store.Pipeliner, h *Held, due time.Time) {
	score, end := float64(h.Time.UnixMilli()), q.o.Now().Add(q.longest()+backstop)
	pipe.ZAddNX(ctx, dueIndex, store.Z{Score: float64(due.UnixMilli()), Member: h.ID})
	for _, key := range h.indexes() {
		pipe.ZAdd(ctx, key, store.Z{Score: score, Member: h.ID})
		if key != timeIndex {
			pipe.PExpireAt(ctx, key, end)
		}
	}
}

func (q *Store) reindex(ctx context.Context, r *record) error {
	pipe := q.o.Store.Client().Pipeline()
	q.index(ctx, pipe, &r.Held, r.Until)
	q.indexNews(ctx, pipe, &r.Held, r.told)
	_, err := pipe.Exec(ctx)
	return err
}

// unindex takes a mail out of the indexes; h is nil when nothing is known of it but its id. The time index comes last, so that
// what a crash leaves is found again.
func (q *Store) unindex(ctx context.Context, id string, h *Held) error {
	pipe := q.o.Store.Client().Pipeline()
	if h != nil {
		for _, key := range h.indexes()[1:] {
			pipe.ZRem(ctx, key, id)
		}
		for _, a := range h.everybody() {
			pipe.ZRem(ctx, newsIndex(a), id)
		}
	}
	pipe.ZRem(ctx, timeIndex, id)
	pipe.ZRem(ctx, dueIndex, id)
	pipe.ZRem(ctx, lateKey, id)
	_, err := pipe.Exec(ctx)
	return err
}

// cursor is a place in an index by time.
type cursor struct {
	ms int64
	id string
}

func (c cursor) String() string { return strconv.FormatInt(c.ms, 10) + "." + c.id }

// span is a part of an index by time, in milliseconds, ends included.
type span struct{ from, to int64 }

const forever = 1 << 52 // the last millisecond that a score holds exactly, and then some

// entries returns up to n entries of an index beyond pos (nil: from the beginning), newest or oldest first, and whether these
// were the last.
func (q *Store) entries(ctx context.Context, index string, s span, pos *cursor, newest bool, n int64) (list []cursor, end bool, err error) {
	if pos != nil && newest {
		s.to = min(s.to, pos.ms)
	} else if pos != nil {
		s.from = max(s.from, pos.ms)
	}
	c := q.o.Store.Client()
	by := store.ZRangeBy{Min: strconv.FormatInt(s.from, 10), Max: strconv.FormatInt(s.to, 10), Count: n}
	for ; ; by.Offset += n {
		var found []store.Z
		if newest {
			found, err = c.ZRevRangeByScoreWithScores(ctx, index, &by).Result()
		} else {
			found, err = c.ZRangeByScoreWithScores(ctx, index, &by).Result()
		}
		if err != nil {
			return nil, false, err
		}
		for _, z := range found {
			id, _ := z.Member.(string)
			at := cursor{int64(z.Score), id}
			if pos == nil || (newestFirst(at, *pos) > 0) == newest && at != *pos {
				list = append(list, at)
			}
		}
		if end = int64(len(found)) < n; end || len(list) > 0 {
			return list, end, nil
		}
	}
}

func idsOf(list []cursor) []string {
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.id
	}
	return ids
}

// indexesComplete reports whether the indexes by class, rule and domain are complete.
func (q *Store) indexesComplete(ctx context.Context) bool {
	if q.complete.Load() {
		return true
	}
	v, err := q.o.Store.Client().Get(ctx, versionKey).Result()
	if err == nil && v == indexVersion {
		q.complete.Store(true)
	}
	return q.complete.Load()
}

// plan chooses the index with the fewest entries among those that every match stands in.
func (q *Store) plan(ctx context.Context, f *filter, s span) (string, error) {
	var keys []string
	if a, err := mail.ParseAddress(f.Rcpt, true); err == nil {
		keys = append(keys, rcptIndex(a))
	}
	if (f.Class != "" || f.Rule != "" || f.domain != "") && q.indexesComplete(ctx) {
		if f.Class != "" {
			keys = append(keys, classIndex(f.Class))
		}
		if f.Rule != "" {
			keys = append(keys, ruleIndex(f.Rule))
		}
		if f.domain != "" {
			keys = append(keys, domainIndex(f.domain))
		}
	}
	switch len(keys) {
	case 0:
		return timeIndex, nil
	case 1:
		return keys[0], nil
	}
	pipe := q.o.Store.Client().Pipeline()
	counts := make([]*store.IntCmd, len(keys))
	for i, k := range keys {
		counts[i] = pipe.ZCount(ctx, k, strconv.FormatInt(s.from, 10), strconv.FormatInt(s.to, 10))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return "", err
	}
	best := 0
	for i := range counts {
		if counts[i].Val() < counts[best].Val() {
			best = i
		}
	}
	return keys[best], nil
}
