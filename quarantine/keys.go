package quarantine

import (
	"strconv"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Keys of one message share its hash tag, keys of one body its own; README.md lists them.
func mailKey(id string) string  { return "q:{" + id + "}" }
func headKey(id string) string  { return "q:{" + id + "}:h" }
func claimKey(id string) string { return "q:{" + id + "}:c" }

func bodyKey(hash string) string  { return "q:{b." + hash + "}" }
func usersKey(hash string) string { return "q:{b." + hash + "}:u" }
func pieceKeys(hash, nonce string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "q:{b." + hash + "}:" + nonce + ":" + strconv.Itoa(i)
	}
	return keys
}

const (
	timeIndex   = "q:i:time"     // id -> when it was held
	dueIndex    = "q:i:due"      // id -> when the sweep looks at it
	requestsKey = "q:i:requests" // id -> when the earliest request is due
	intentsKey  = "q:i:intents"  // "id hash" -> when the hold began; there until the indexes are written
	usedKey     = "q:i:used"     // octets, corrected by the sweep
	lateKey     = "q:i:late"     // id -> when it expires at the latest; its retention is over, and not everybody was told
	versionKey  = "q:i:version"  // of the indexes, once they are complete
	reviewIndex = "q:i:reviews"  // id -> when the sender of a refused mail asked for a review that nobody has looked at
	repairKey   = "q:i:repair"   // the host that repairs
	forgetKey   = "q:i:forget"   // "id rcpt" -> when the state of somebody who was forgotten goes, which others share the mail with
	hintChannel = "q:hint"
)

func rcptIndex(a mail.Address) string { return "q:i:rcpt:" + a.Key() }

// scripts run atomically in one slot. They read no clock: now comes as an argument.
type scripts struct{ acquire, drop, commit, move, finish, unclaim, note, tell, untell, review, forget *store.Script }

func newScripts() scripts {
	return scripts{
		review:  store.NewScript(reviewLua),
		forget:  store.NewScript(forgetLua),
		acquire: store.NewScript(acquireLua),
		drop:    store.NewScript(dropLua),
		commit:  store.NewScript(commitLua),
		move:    store.NewScript(moveLua),
		finish:  store.NewScript(finishLua),
		unclaim: store.NewScript(unclaimLua),
		note:    store.NewScript(noteLua),
		tell:    store.NewScript(tellLua),
		untell:  store.NewScript(untellLua),
	}
}

// acquireLua makes a message a user of a body and lets the body live at least as long as the message. 0: it is not (wholly)
// there and must be written; 1: done; 2: another copy is in use, look again.
// KEYS: body, users, pieces. ARGV: id, until, now (ms), nonce, zsize, n.
const acquireLua = `
local cur = redis.call('HGET', KEYS[1], 'nonce')
if cur and cur ~= ARGV[4] then return 2 end
for i = 3, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('DEL', KEYS[1])
    return 0
  end
end
if not cur then
  redis.call('HSET', KEYS[1], 'nonce', ARGV[4], 'z', ARGV[5], 'n', ARGV[6])
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
local left = tonumber(ARGV[2]) - tonumber(ARGV[3])
for i = 2, #KEYS do
  if redis.call('PTTL', KEYS[i]) < left then redis.call('PEXPIREAT', KEYS[i], ARGV[2]) end
end
if redis.call('PTTL', KEYS[1]) < left then redis.call('PEXPIREAT', KEYS[1], ARGV[2]) end
return 1`

// dropLua ends the use of a body and deletes a body that nobody uses. 0: still used; 1: deleted; 2: another copy, look again.
// KEYS: body, users, pieces. ARGV: id, now (ms), nonce.
const dropLua = `
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[2])
if redis.call('ZCARD', KEYS[2]) > 0 then return 0 end
local cur = redis.call('HGET', KEYS[1], 'nonce')
if cur and cur ~= ARGV[3] then return 2 end
for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end
return 1`

// commitLua writes the metadata of a message once: who holds it again (a hold that was taken for lost) changes nothing.
// KEYS: mail, head. ARGV: until (ms), head, trace, then fields and values.
const commitLua = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[2], 'head', ARGV[2], 'trace', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[1])
redis.call('PEXPIREAT', KEYS[2], ARGV[1])
return 1`

// moveLua changes the state of those recipients whose state is ARGV[1], or begins with it when it is only a word ("held|"), and
// returns them. KEYS: mail. ARGV: old state, new state, recipients.
const moveLua = `
local done = {}
local word = string.find(ARGV[1], '|', 1, true) == string.len(ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'fin') == 1 then return done end
for i = 3, #ARGV do
  local f = 's:' .. ARGV[i]
  local v = redis.call('HGET', KEYS[1], f)
  if v and (v == ARGV[1] or word and string.sub(v, 1, string.len(ARGV[1])) == ARGV[1]) then
    redis.call('HSET', KEYS[1], f, ARGV[2])
    done[#done + 1] = ARGV[i]
  end
end
return done`

// finishLua marks a message as ended when every recipient is at an end state, and drops its head. 0: not yet.
// KEYS: mail, head. ARGV: now (ms), recipients.
const finishLua = `
for i = 2, #ARGV do
  local v = redis.call('HGET', KEYS[1], 's:' .. ARGV[i])
  if v and (string.sub(v, 1, 5) == 'held|' or string.sub(v, 1, 10) == 'releasing|') then return 0 end
end
redis.call('HSET', KEYS[1], 'fin', ARGV[1])
redis.call('DEL', KEYS[2])
return 1`

// noteLua notes a request, or that it is due earlier than was noted. KEYS: requests. ARGV: id, due (ms).
const noteLua = `
local s = redis.call('ZSCORE', KEYS[1], ARGV[1])
if s and tonumber(s) <= tonumber(ARGV[2]) then return 0 end
return redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])`

// unclaimLua gives up a claim that is still ours. KEYS: claim. ARGV: owner.
const unclaimLua = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`
