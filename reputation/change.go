package reputation

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/store"
)

// In the store there is one hash for each scope, class and month, whose fields are tokens and whose values are counts, and one key for
// each mail that was shown. All share a hash tag, because learning a mail is one script, which on a Redis Cluster reaches one slot only.
// The model is the sum of the last months; ageing is the deletion of a hash.
const (
	keyPrefix  = "{bayes}:"
	channel    = keyPrefix + "delta"
	tokenShown = "\x00shown"
	tokenAuto  = "\x00auto" // of those shown, the ones that other checks labelled
	months     = 12
	recordTTL  = 400 * 24 * time.Hour
	// maxDelta is the longest delta that is published; after more the others load anew.
	maxDelta = 1 << 20
)

func monthOf(t time.Time) string { return t.UTC().Format("200601") }

// oldest is the first month that counts.
func oldest(now time.Time) string { return monthBefore(now, months-1) }

// monthBefore is the month n months before now, whatever the day of the month.
func monthBefore(now time.Time, n int) string {
	y, m, _ := now.UTC().Date()
	return monthOf(time.Date(y, m-time.Month(n), 1, 0, 0, 0, 0, time.UTC))
}

func hashKey(s Scope, c Class, month string) string {
	key := keyPrefix + string(c) + ":" + month
	if s != Everybody {
		key += ":" + string(s)
	}
	return key
}

func recordKey(fingerprint string) string { return keyPrefix + "seen:" + fingerprint }

// scopesKey counts, by scope and class, the mails that were learned for fewer than everybody.
func scopesKey(month string) string         { return keyPrefix + "scopes:" + month }
func scopeField(s Scope, c Class) string    { return string(c) + " " + string(s) }
func taughtKey(month string) string         { return keyPrefix + "taught:" + month } // by person and class: what reached others
func taughtField(by string, c Class) string { return string(c) + " " + by }
func campaignKey(c Class, month string) string {
	return keyPrefix + "campaign:" + string(c) + ":" + month
}

// membersKey is the set of the mails that were shown in a scope and month.
func membersKey(s Scope, month string) string { return keyPrefix + "of:" + month + ":" + string(s) }

// learnLua does a change, or nothing when a record is not what it was. KEYS: records, then hashes and sets. ARGV: life of the keys in
// milliseconds, number of records; for each its present value, since what it counted may differ under the same head, and the new one ("": delete); then for each other key what to do with it,
// with how many arguments, and these: h adds numbers to fields and deletes those that come to nothing, a adds members, r removes them.
const learnLua = `
local n = tonumber(ARGV[2])
for i = 1, n do
  if (redis.call('GET', KEYS[i]) or '') ~= ARGV[1+2*i] then return 0 end
end
for i = 1, n do
  local v = ARGV[2+2*i]
  if v == '' then redis.call('DEL', KEYS[i]) else redis.call('SET', KEYS[i], v, 'PX', ARGV[1]) end
end
local at = 3 + 2*n
for i = n+1, #KEYS do
  local op, count = ARGV[at], tonumber(ARGV[at+1])
  local last = at + 1 + count
  if op == 'h' then
    for j = at+2, last, 2 do
      if redis.call('HINCRBY', KEYS[i], ARGV[j], ARGV[j+1]) <= 0 then redis.call('HDEL', KEYS[i], ARGV[j]) end
    end
  else
    for j = at+2, last do redis.call(op == 'a' and 'SADD' or 'SREM', KEYS[i], ARGV[j]) end
  end
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
  at = last + 1
end
return 1`

// errChanged says that a record was changed by another process meanwhile.
var errChanged = errors.New("what is known of the mail was changed meanwhile")

// change is what a script adds to the store, and to the models at once.
type change struct {
	node    string
	models  map[Scope]*Model
	hashes  map[string]map[string]int // by key
	records map[string]*record        // by key, with the heads that the store has
	add     map[string][]string       // members of sets
	drop    map[string][]string
	delta   delta
}

// delta tells the other processes what was added.
type delta struct {
	Node   string                             `json:"node"`
	Reload bool                               `json:"reload,omitempty"`
	Counts map[Class]map[string]int           `json:"counts,omitempty"` // for everybody
	Scoped map[Scope]map[Class]map[string]int `json:"scoped,omitempty"`
}

func newChange(node string) *change {
	return &change{
		node: node, models: map[Scope]*Model{}, hashes: map[string]map[string]int{}, records: map[string]*record{},
		add: map[string][]string{}, drop: map[string][]string{},
		delta: delta{Node: node, Counts: map[Class]map[string]int{}, Scoped: map[Scope]map[Class]map[string]int{}},
	}
}

// contribute counts what a mail contributes to a scope (sign 1) or takes it back (sign -1), here and in the model of that scope, which
// must stand in models.
func (ch *change) contribute(e entry, fingerprint string, tokens []string, sign int) {
	m := ch.models[e.Scope]
	m.addShown(e.Class, sign)
	ch.count(e, tokenShown, sign)
	if e.Source == Auto {
		ch.countAuto(e, fingerprint, sign)
	}
	ch.countWay(e, sign)
	ch.member(membersKey(e.Scope, e.Month), fingerprint, sign)
	if e.Quota {
		ch.plus(taughtKey(e.Month), taughtField(e.By, e.Class), sign)
	}
	if !e.Learned {
		return
	}
	m.learn(e.Class, tokens, sign)
	ch.count(e, tokenMail, sign)
	for _, t := range tokens {
		ch.count(e, t, sign)
	}
	if e.Scope != Everybody {
		ch.plus(scopesKey(e.Month), scopeField(e.Scope, e.Class), sign)
		return
	}
	for _, b := range campaignOf(tokens) {
		ch.plus(campaignKey(e.Class, e.Month), b, sign)
	}
}

// member puts a mail into a set (sign 1) or takes it out.
func (ch *change) member(key, fingerprint string, sign int) {
	sets := ch.add
	if sign < 0 {
		sets = ch.drop
	}
	sets[key] = append(sets[key], fingerprint)
}

// countAuto counts that a mail was shown by other checks.
func (ch *change) countAuto(e entry, fingerprint string, sign int) {
	ch.models[e.Scope].addAuto(e.Class, sign)
	ch.count(e, tokenAuto, sign)
	if e.Learned {
		ch.member(autoMembersKey(e.Month), fingerprint, sign)
	}
}

func (ch *change) plus(key, field string, n int) int {
	h := ch.hashes[key]
	if h == nil {
		h = map[string]int{}
		ch.hashes[key] = h
	}
	h[field] += n
	return h[field]
}

func (ch *change) count(e entry, token string, sign int) {
	ch.plus(hashKey(e.Scope, e.Class, e.Month), token, sign)
	byClass := ch.delta.Counts
	if e.Scope != Everybody {
		if byClass = ch.delta.Scoped[e.Scope]; byClass == nil {
			byClass = map[Class]map[string]int{}
			ch.delta.Scoped[e.Scope] = byClass
		}
	}
	if byClass[e.Class] == nil {
		byClass[e.Class] = map[string]int{}
	}
	byClass[e.Class][token] += sign
}

// undo takes the change out of the models again.
func (ch *change) undo() {
	for s, m := range ch.models {
		if s == Everybody {
			addCounts(m, ch.delta.Counts, -1)
		} else {
			addCounts(m, ch.delta.Scoped[s], -1)
		}
	}
}

func addCounts(m *Model, byClass map[Class]map[string]int, sign int) {
	for c, tokens := range byClass {
		for t, n := range tokens {
			m.put(c, strings.Clone(t), sign*n)
		}
	}
}

// write does the change in the store and publishes it. errChanged: another process was faster, nothing was done.
func (ch *change) write(ctx context.Context, client store.Client, script *store.Script) error {
	var keys []string
	args := []any{recordTTL.Milliseconds(), 0}
	for key, r := range ch.records {
		if r.headline() != r.head {
			keys = append(keys, key)
			args = append(args, r.raw, r.value())
		}
	}
	if len(keys) == 0 {
		return nil
	}
	args[1] = len(keys)
	for key, h := range ch.hashes {
		at, n := len(args)+1, 0
		args = append(args, "h", 0)
		for field, by := range h {
			if by != 0 {
				args = append(args, field, by)
				n += 2
			}
		}
		args[at] = n
		keys = append(keys, key)
	}
	for op, sets := range map[string]map[string][]string{"a": ch.add, "r": ch.drop} {
		for key, members := range sets {
			if op == "r" {
				members = slices.DeleteFunc(members, func(m string) bool { return slices.Contains(ch.add[key], m) })
			}
			args = append(args, op, len(members))
			for _, m := range members {
				args = append(args, m)
			}
			keys = append(keys, key)
		}
	}
	done, err := script.Run(ctx, client, keys, args...).Int()
	switch {
	case err != nil:
		return err
	case done == 0:
		return errChanged
	}
	ch.publish(ctx, client)
	return nil
}

// publish is a hint: whom it does not reach loads within the hour.
func (ch *change) publish(ctx context.Context, client store.Client) {
	message, err := json.Marshal(ch.delta)
	if err != nil || len(message) > maxDelta {
		message, _ = json.Marshal(delta{Node: ch.node, Reload: true})
	}
	client.Publish(ctx, channel, message)
}

// parseCount reads a field's value.
func parseCount(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// cutField splits a field of scopesKey or taughtKey.
func cutField(field string) (Class, string, bool) {
	c, rest, ok := strings.Cut(field, " ")
	class, known := ParseClass(c)
	return class, rest, ok && known
}
