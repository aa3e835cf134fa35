package reputation

import (
	"context"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Past is what is remembered of a sender, in all or with one recipient.
type Past struct {
	First    time.Time // of the first mail that was delivered or released; zero: there was none
	Mails    int       // delivered
	Weeks    int       // different weeks in which mail was delivered
	Released int       // held, and released by somebody
	Reported int       // reported as spam
}

// Event is what becomes of a mail and is remembered of its sender.
type Event string

// The events.
const (
	Delivered Event = "n"
	Released  Event = "r"
	Reported  Event = "p"
)

const (
	pastLife   = 180 * 24 * time.Hour // after the last event
	pastPrefix = "hist:"
	pastMost   = 100 // recipients of one mail that are looked up and written
	pastWeek   = 7 * 24 * time.Hour
)

// pastLua counts an event, keeps the time of the first delivery or release, and counts the weeks with deliveries. KEYS: one record.
// ARGV: event, now and life in milliseconds, how many, the number of the week.
const pastLua = `
if tonumber(redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[4])) < 0 then redis.call('HSET', KEYS[1], ARGV[1], 0) end
if ARGV[1] ~= 'p' and tonumber(ARGV[4]) > 0 and redis.call('HEXISTS', KEYS[1], 'f') == 0 then redis.call('HSET', KEYS[1], 'f', ARGV[2]) end
if ARGV[1] == 'n' and tonumber(ARGV[4]) > 0 and redis.call('HGET', KEYS[1], 'l') ~= ARGV[5] then
  redis.call('HINCRBY', KEYS[1], 'w', 1)
  redis.call('HSET', KEYS[1], 'l', ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

// History remembers senders by mail.Proof.Sender. A sender of whom nothing is heard for half a year is forgotten. Safe for concurrent
// use.
type History struct {
	client store.Client
	now    func() time.Time
	script *store.Script
}

// NewHistory makes the history on a store's client.
func NewHistory(client store.Client, now func() time.Time) *History {
	return &History{client: client, now: now, script: store.NewScript(pastLua)}
}

// pastKey is the record of a sender, with a recipient's key or "" for all. All of a sender are in one slot of a Cluster.
func pastKey(sender, rcpt string) string {
	return pastPrefix + "{" + strings.NewReplacer("{", "_", "}", "_").Replace(sender) + "}:" + rcpt
}

// Past returns what is remembered of a sender in all, and with each of at most 100 recipients by Address.Key, in one round trip.
func (h *History) Past(ctx context.Context, sender string, rcpts []mail.Address) (Past, map[string]Past, error) {
	rcpts = rcpts[:min(len(rcpts), pastMost)]
	pipe := h.client.Pipeline()
	ask := func(rcpt string) *store.SliceCmd {
		return pipe.HMGet(ctx, pastKey(sender, rcpt), "f", "n", "r", "p", "w")
	}
	all := ask("")
	each := make([]*store.SliceCmd, len(rcpts))
	for i, r := range rcpts {
		each[i] = ask(r.Key())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return Past{}, nil, err
	}
	with := make(map[string]Past, len(rcpts))
	for i, r := range rcpts {
		with[r.Key()] = readPast(each[i].Val())
	}
	return readPast(all.Val()), with, nil
}

func readPast(fields []any) (p Past) {
	number := func(i int) int64 {
		if i >= len(fields) {
			return 0
		}
		s, _ := fields[i].(string)
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	if ms := number(0); ms > 0 {
		p.First = time.UnixMilli(ms).UTC()
	}
	p.Mails, p.Released, p.Reported, p.Weeks = int(number(1)), int(number(2)), int(number(3)), int(number(4))
	return p
}

// Note remembers an event of one mail of a sender, for at most 100 of its recipients. The sender "" is nobody.
func (h *History) Note(ctx context.Context, sender string, rcpts []mail.Address, e Event) error {
	return h.count(ctx, sender, rcpts, e, 1)
}

// Forget takes back what Note remembered of a mail.
func (h *History) Forget(ctx context.Context, sender string, rcpts []mail.Address, e Event) error {
	return h.count(ctx, sender, rcpts, e, -1)
}

func (h *History) count(ctx context.Context, sender string, rcpts []mail.Address, e Event, by int) error {
	if sender == "" {
		return nil
	}
	keys := []string{""}
	for _, r := range rcpts[:min(len(rcpts), pastMost)] {
		keys = append(keys, r.Key())
	}
	now := h.now().UnixMilli()
	week := now / pastWeek.Milliseconds()
	for _, k := range keys {
		if err := h.script.Run(ctx, h.client, []string{pastKey(sender, k)}, string(e), now, pastLife.Milliseconds(), by, week).Err(); err != nil {
			return err
		}
	}
	return nil
}
