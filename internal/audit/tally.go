package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/store"
)

const (
	// tallyMost is how many people have a tally of their own for one act in one hour. Those beyond share one: a scanner that opens
	// the digests of a large organisation fills the log with so many entries at the most.
	tallyMost = 500
	// tallyMark begins the nonce of a tally; those of other entries are letters and digits.
	tallyMark = "t."
)

// tallyLua counts an act that happens too often for an entry each.
// KEYS: the day's entries, the day's tallies. ARGV: n, now (ms), end of both (ms), most, field of all tallies of the hour, nonce and entry,
// nonce and entry of the one for all beyond most.
// It returns when the tally's entry was written (ms), or 0 when the one for all others counted.
const tallyLua = `
local nonce, entry, own = ARGV[6], ARGV[7], true
if redis.call('HEXISTS', KEYS[2], nonce) == 0 then
  if redis.call('HINCRBY', KEYS[2], ARGV[5], 1) > tonumber(ARGV[4]) then
    nonce, entry, own = ARGV[8], ARGV[9], false
  end
end
if redis.call('HINCRBY', KEYS[2], nonce, ARGV[1]) == tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[2], nonce .. '@', ARGV[2])
  redis.call('ZADD', KEYS[1], ARGV[2], nonce .. ' ' .. entry)
end
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('PEXPIREAT', KEYS[2], ARGV[3])
if own then return redis.call('HGET', KEYS[2], nonce .. '@') end
return '0'`

func tallyKey(day string) string { return "audit:{" + day + "}:n" }

// Tally notes n times what machines do, such as opening links: all that has the act and the first recipient of e in one hour is one
// entry, with the details of the first time, and its Count grows. Every mail of e leads to it. The log is not told.
func (l *Log) Tally(ctx context.Context, e Entry, n int) error {
	if len(e.Rcpts) == 0 || n < 1 {
		return errors.New("audit: a tally needs a recipient and a number")
	}
	e.Time = l.o.Now().UTC().Truncate(time.Millisecond)
	e.Actor, e.Detail, e.Count = cut(e.Actor), cut(e.Detail), n
	ids := e.IDs[:min(len(e.IDs), refsMost)]
	e.IDs = ids
	own, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	hour := e.Act + e.Time.Format(" 15")
	rest := Entry{Time: e.Time, Actor: e.Actor, Role: e.Role, Act: e.Act, Via: e.Via, Count: n, Detail: "the rest of this hour: so many people have entries of their own"}
	shared, err := json.Marshal(rest)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	day, nonce := e.Time.Format(dayLayout), tallyNonce(hour+" "+e.Rcpts[0])
	begin, _ := time.Parse(dayLayout, day)
	gone := begin.Add(24*time.Hour + l.o.Retention)
	pipe := l.o.Client.Pipeline()
	counted := store.NewScript(tallyLua).Eval(ctx, pipe, []string{dayKey(day), tallyKey(day)}, n, e.Time.UnixMilli(), gone.UnixMilli(), tallyMost, hour,
		nonce, own, tallyNonce(hour), shared)
	pipe.ZAdd(ctx, daysKey, store.Z{Score: float64(begin.UnixMilli()), Member: day})
	if _, err = pipe.Exec(ctx); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	at, err := strconv.ParseInt(fmt.Sprint(counted.Val()), 10, 64)
	if err != nil || at == 0 || len(ids) == 0 {
		return err
	}
	pipe = l.o.Client.Pipeline()
	for _, id := range ids {
		pipe.ZAdd(ctx, mailKey(id), store.Z{Score: float64(at), Member: day + " " + nonce})
		pipe.PExpireAt(ctx, mailKey(id), gone)
	}
	if _, err = pipe.Exec(ctx); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

func tallyNonce(s string) string {
	sum := sha256.Sum256([]byte(s))
	return tallyMark + hex.EncodeToString(sum[:12])
}

// tallied is an entry of a page that is one.
type tallied struct {
	entry int
	day   string
	nonce string
}

// counts fills in how often what is tallied has happened by now.
func (l *Log) counts(ctx context.Context, w *walk) error {
	if len(w.tallies) == 0 {
		return nil
	}
	pipe := l.o.Client.Pipeline()
	got := make([]*store.StringCmd, len(w.tallies))
	for i, t := range w.tallies {
		got[i] = pipe.HGet(ctx, tallyKey(t.day), t.nonce)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return fmt.Errorf("audit: %w", err)
	}
	for i, t := range w.tallies {
		if n, err := got[i].Int(); err == nil {
			w.page.Entries[t.entry].Count = n
		}
	}
	return nil
}

// tally remembers that the entry taken last is one.
func (w *walk) tally(e *Entry, nonce string) {
	if strings.HasPrefix(nonce, tallyMark) {
		w.tallies = append(w.tallies, tallied{len(w.page.Entries) - 1, e.Time.UTC().Format(dayLayout), nonce})
	}
}
