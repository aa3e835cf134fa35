package quarantine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Announcer knows whether those were told of a held mail whose it is. Expiry asks it: nothing disappears unannounced.
type Announcer interface {
	// Announced reports whether everybody to whom rcpt's copy of the mail belongs has had it in a digest, or is not to be told:
	// no digest is configured for the domain, or the person has switched it off. A store that does not answer is false.
	Announced(ctx context.Context, id string, rcpt mail.Address) bool
}

// newsKey has a member for every address with mail of which not everybody was told: the address -> when the oldest came.
const newsKey = "q:i:new"

// toldPrefix begins the fields of a mail's hash that say who was told of it: a:PERSON -> the number of what told (Told.By). In front of
// the number stands a mark when that came to nothing: then the person does not count as told.
const (
	toldPrefix  = "a:"
	markUnsure  = "?" // nobody knows whether it arrived: the mail is new for the person
	markRefused = "!" // the person's mail server did not take it
)

func isTold(mark string) bool {
	return mark != "" && !strings.HasPrefix(mark, markUnsure) && !strings.HasPrefix(mark, markRefused)
}

// isNews reports whether the person is to be told.
func isNews(mark string) bool { return mark == "" || strings.HasPrefix(mark, markUnsure) }

func newsIndex(a mail.Address) string { return "q:i:new:" + a.Key() }

// Readers returns whose the mail is: the recipients, or those for whom they stand. Each stands once.
func (h *Held) Readers() []mail.Address { return h.readers() }

// readers returns whose the mail is: the recipients, or those for whom they stand. Each stands once.
func (h *Held) readers() []mail.Address {
	var list []mail.Address
	seen := make(map[string]bool, len(h.Rcpts))
	for _, r := range h.Rcpts {
		for _, a := range h.ReadersOf(r) {
			if key := a.Key(); !seen[key] {
				seen[key] = true
				list = append(list, a)
			}
		}
	}
	return list
}

// ReadersOf returns to whom the copy of one recipient belongs.
func (h *Held) ReadersOf(rcpt mail.Address) []mail.Address {
	if o := h.Owners[rcpt.Key()]; len(o) > 0 {
		return o
	}
	return []mail.Address{rcpt}
}

// indexNews notes in the pipe that those were not told yet whose the mail is. It can be repeated: who was told has a mark at the
// mail, and what has one is taken away again when it is read.
func (q *Store) indexNews(ctx context.Context, pipe store.Pipeliner, h *Held, told map[string]string) {
	now := q.o.Now()
	for _, a := range h.readers() {
		if !isNews(told[a.Key()]) {
			continue
		}
		// The mail's own index first: whoever takes an address out of the list looks there once more.
		pipe.ZAddNX(ctx, newsIndex(a), store.Z{Score: float64(now.UnixMilli()), Member: h.ID})
		pipe.PExpireAt(ctx, newsIndex(a), now.Add(q.longest()+backstop))
		pipe.ZAddNX(ctx, newsKey, store.Z{Score: float64(now.UnixMilli()), Member: a.Key()})
	}
}

// ToldTo reports whether a person was told of the mail in a digest.
func (i *Item) ToldTo(person mail.Address) bool { return isTold(i.told[person.Key()]) }

// MaybeToldTo reports whether the person may have been told: in a digest of which nobody knows whether it arrived.
func (i *Item) MaybeToldTo(person mail.Address) bool {
	return strings.HasPrefix(i.told[person.Key()], markUnsure)
}

// News is an address that has mail of which not everybody was told, and since when.
type News struct {
	Addr  mail.Address
	Since time.Time
}

const newsStep = 5000

// News returns all such addresses, those that wait longest first.
func (q *Store) News(ctx context.Context) ([]News, error) {
	var all []News
	for from := int64(0); ; from += newsStep {
		list, err := q.o.Store.Client().ZRangeWithScores(ctx, newsKey, from, from+newsStep-1).Result()
		if err != nil {
			return nil, fmt.Errorf("quarantine: %w", err)
		}
		for _, z := range list {
			n := News{Since: time.UnixMilli(int64(z.Score))}
			key, _ := z.Member.(string)
			_ = n.Addr.UnmarshalText([]byte(key)) // never fails
			all = append(all, n)
		}
		if len(list) < newsStep {
			return all, nil
		}
	}
}

// NewIDs returns for each address the mails of which not everybody was told, newest first, at most so many.
func (q *Store) NewIDs(ctx context.Context, addrs []mail.Address, most int) ([][]string, error) {
	pipe := q.o.Store.Client().Pipeline()
	cmds := make([]*store.StringSliceCmd, len(addrs))
	for i, a := range addrs {
		cmds[i] = pipe.ZRevRange(ctx, newsIndex(a), 0, int64(most)-1)
	}
	if _, err := pipe.Exec(ctx); err != nil && len(addrs) > 0 {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	lists := make([][]string, len(addrs))
	for i, c := range cmds {
		lists[i] = c.Val()
	}
	return lists, nil
}

// Items returns the mails of these ids that are known, in order, in one round trip.
func (q *Store) Items(ctx context.Context, ids []string) ([]Item, error) {
	records, _, err := q.records(ctx, ids)
	if err != nil {
		return nil, err
	}
	items := make([]Item, len(records))
	for i, r := range records {
		items[i] = r.item()
	}
	return items, nil
}

// Told is what a digest said to a person of the mails of one address.
type Told struct {
	Person mail.Address
	Addr   mail.Address // the person's own, or that of a shared mailbox
	IDs    []string
	By     int64 // the number of what told, by which Untell knows it again; 0: the time
	// Drop are those of which nobody is left to be told.
	Drop []string
}

// Announce marks mails as told. It can be repeated. A mail that is gone gets no mark.
func (q *Store) Announce(ctx context.Context, told []Told) error {
	pipe := q.o.Store.Client().Pipeline()
	for _, t := range told {
		by := strconv.FormatInt(cmp.Or(t.By, q.o.Now().UnixMilli()), 10)
		for _, id := range t.IDs {
			q.scripts.tell.Eval(ctx, pipe, []string{mailKey(id)}, toldPrefix+t.Person.Key(), by)
		}
	}
	if pipe.Len() > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
	}
	return q.forgetNews(ctx, told)
}

// Untell takes back what was told under the numbers (Told.By): it did not arrive, or, unsure, may not have. Who was told since by
// something else stays told. It can be repeated. What may not have arrived is new again; what was refused is not, because it would be
// refused again. Neither counts as told.
func (q *Store) Untell(ctx context.Context, told []Told, unsure bool) error {
	pipe := q.o.Store.Client().Pipeline()
	now, mark := q.o.Now(), markRefused
	if unsure {
		mark = markUnsure
	}
	for _, t := range told {
		by := strconv.FormatInt(t.By, 10)
		for _, id := range t.IDs {
			if unsure { // first, so that a crash leaves too many: what was told, or is gone, is taken out when it is read
				pipe.ZAddNX(ctx, newsIndex(t.Addr), store.Z{Score: float64(now.UnixMilli()), Member: id})
			}
			q.scripts.untell.Eval(ctx, pipe, []string{mailKey(id)}, toldPrefix+t.Person.Key(), by, mark+by)
		}
		if unsure && len(t.IDs) > 0 {
			pipe.PExpireAt(ctx, newsIndex(t.Addr), now.Add(q.longest()+backstop))
			pipe.ZAddNX(ctx, newsKey, store.Z{Score: float64(now.UnixMilli()), Member: t.Addr.Key()})
		}
	}
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// untellLua. KEYS: mail. ARGV: field, as it must be unless it is not there yet, as it is to be.
const untellLua = `
local is = redis.call('HGET', KEYS[1], ARGV[1])
if is and is ~= ARGV[2] or redis.call('HEXISTS', KEYS[1], 'm') == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`

// forgetNews takes mails out of the indexes of what is new, and addresses that have nothing new out of the list.
func (q *Store) forgetNews(ctx context.Context, told []Told) error {
	c := q.o.Store.Client()
	pipe := c.Pipeline()
	left := make([]*store.IntCmd, len(told))
	for i, t := range told {
		if len(t.Drop) > 0 {
			pipe.ZRem(ctx, newsIndex(t.Addr), anys(t.Drop)...)
		}
		left[i] = pipe.ZCard(ctx, newsIndex(t.Addr))
	}
	if _, err := pipe.Exec(ctx); err != nil && len(told) > 0 {
		return fmt.Errorf("quarantine: %w", err)
	}
	var empty []mail.Address
	for i, t := range told {
		if left[i].Val() == 0 {
			empty = append(empty, t.Addr)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	// A mail that is held meanwhile writes its own index first: either the list gets its address after this, or it is seen here. On a
	// Cluster, where the two have no order, what falls in between is found by the repair.
	for _, a := range empty {
		pipe.ZRem(ctx, newsKey, a.Key())
	}
	again := make([]*store.IntCmd, len(empty))
	for i, a := range empty {
		again[i] = pipe.ZCard(ctx, newsIndex(a))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	var errs []error
	for i, a := range empty {
		if again[i].Val() > 0 {
			errs = append(errs, c.ZAddNX(ctx, newsKey, store.Z{Score: float64(q.o.Now().UnixMilli()), Member: a.Key()}).Err())
		}
	}
	return errors.Join(errs...)
}

// tellLua marks a mail that is there. KEYS: mail. ARGV: field, number.
const tellLua = `
if redis.call('HEXISTS', KEYS[1], 'm') == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1`

func anys(list []string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = s
	}
	return all
}
