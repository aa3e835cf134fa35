package reputation

import (
	"context"
	"errors"
	"strings"
	"time"

	"sekimori/internal/store"
)

// Grey is what greylisting knows of an attempt.
type Grey int

// The answers.
const (
	GreyNew    Grey = iota // it is the first attempt
	GreyEarly              // another one, before the delay was over
	GreyPassed             // it has waited
	GreyKnown              // the client has waited for mail of this sender domain often enough
)

// GreyRule says how long who waits.
type GreyRule struct {
	Delay    time.Duration // from the first attempt
	Window   time.Duration // in which another attempt must come
	Remember time.Duration // for how long what has waited need not again
	Known    int           // after so many mails that have waited the client need not wait for any of that sender domain; 0: never
}

// GreyTry is one attempt. Client is whoever sends: a network, or the domain of a confirmed name.
type GreyTry struct{ Client, Sender, SenderDomain, Rcpt string }

// greyLua: KEYS: attempt, client; both in one slot. ARGV: now, delay, window, remember in ms, known. It returns the answer and how
// many ms ago the first attempt was. An attempt that has waited is written as a negative time.
const greyLua = `
local now, delay, window, remember, known = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
if known > 0 and tonumber(redis.call('GET', KEYS[2]) or '0') >= known then
  redis.call('PEXPIRE', KEYS[2], remember)
  return {3, 0}
end
local first = tonumber(redis.call('GET', KEYS[1]) or '0')
if first == 0 or first > 0 and now - first > tonumber(window) then
  redis.call('SET', KEYS[1], string.format('%.0f', now), 'PX', window)
  return {0, 0}
end
if first < 0 then
  redis.call('PEXPIRE', KEYS[1], remember)
  return {2, math.max(0, now + first)}
end
if now - first < delay then return {1, math.max(0, now - first)} end
redis.call('SET', KEYS[1], string.format('%.0f', -first), 'PX', remember)
redis.call('INCRBY', KEYS[2], 1)
redis.call('PEXPIRE', KEYS[2], remember)
return {2, now - first}`

// Greylist remembers attempts in the store, so that a second one may come to another of our hosts. What is lost at a restart of the
// embedded store waits once more. Safe for concurrent use.
type Greylist struct {
	client store.Client
	now    func() time.Time
	script *store.Script
}

// NewGreylist makes it on a store's client.
func NewGreylist(client store.Client, now func() time.Time) *Greylist {
	return &Greylist{client: client, now: now, script: store.NewScript(greyLua)}
}

// Try notes an attempt and says what is known of it, and for how long: the time since the first attempt.
func (g *Greylist) Try(ctx context.Context, t GreyTry, r GreyRule) (Grey, time.Duration, error) {
	brace := strings.NewReplacer("{", "_", "}", "_").Replace
	head := store.Volatile + "grey:{" + brace(t.Client) + "}:"
	keys := []string{head + t.Sender + ":" + t.Rcpt, head + "@" + t.SenderDomain}
	v, err := g.script.Run(ctx, g.client, keys, g.now().UnixMilli(), r.Delay.Milliseconds(), r.Window.Milliseconds(), r.Remember.Milliseconds(), r.Known).Int64Slice()
	if err != nil {
		return 0, 0, err
	}
	if len(v) != 2 || v[0] < 0 || v[0] > int64(GreyKnown) {
		return 0, 0, errors.New("greylist: the store gave an answer of another form")
	}
	return Grey(v[0]), time.Duration(v[1]) * time.Millisecond, nil
}
