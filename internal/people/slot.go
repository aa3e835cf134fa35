package people

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// The states of a slot.
const (
	Claimed = "claimed" // a node makes the digest; it has not been handed over
	Handing = "handing" // it is being handed over, or was: only the node that did it can tell
	Sent    = "sent"    // it is safe in the node's queue, or there was nothing to tell
)

// Slot is one due time of one person's digest, and how far it has come. It moves only forward: Claimed, Handing, Sent, and to a
// later due time. The zero Slot is none.
type Slot struct {
	Due   int64     `json:"due"` // Unix seconds
	State string    `json:"state"`
	Node  string    `json:"node"`
	At    time.Time `json:"at"` // of the claim
}

func (s Slot) String() string {
	if s.State == "" {
		return ""
	}
	return fmt.Sprintf("%d|%s|%s|%d", s.Due, s.State, s.Node, s.At.UnixMilli())
}

func parseSlot(v string) Slot {
	parts := strings.SplitN(v, "|", 4)
	if len(parts) != 4 {
		return Slot{}
	}
	due, _ := strconv.ParseInt(parts[0], 10, 64)
	return Slot{Due: due, State: parts[1], Node: parts[2], At: parseMillis(parts[3])}
}

// with is the same claim in another state.
func (s Slot) with(state string) Slot { s.State = state; return s }

// Taken is the answer to a claim.
type Taken struct {
	Mine bool // the slot is claimed for this node
	Slot Slot // the claim, or, when it is not ours, what stands there
	// Before is the slot that stood there. When it was being handed over, IDs are the mails that its digest names.
	Before Slot
	IDs    []string
}

// Claim is a request for a slot.
type Claim struct {
	Person mail.Address
	Due    int64
	Node   string // the same after a restart
	Lapse  time.Duration
}

// Take claims slots for this node, in one round trip. A slot is given when the person's last one is earlier; or when it is the same
// one, was claimed by this node, or by another that has not begun to hand it over for Lapse. What is being handed over is never
// given to another node, nor to the same: it has to find out whether it was (Back). A later due time does not overtake it for ten minutes:
// what is just being told would be told twice.
func (s *Store) Take(ctx context.Context, claims []Claim) ([]Taken, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	pipe := s.c.Pipeline()
	cmds := make([]*store.Cmd, len(claims))
	now := s.now()
	for i, c := range claims {
		want := Slot{c.Due, Claimed, c.Node, now}
		cmds[i] = s.take.Eval(ctx, pipe, []string{personKey(c.Person)}, want.String(), c.Due, c.Node, now.Add(-c.Lapse).UnixMilli(), now.Add(-handLapse).UnixMilli())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	list := make([]Taken, len(claims))
	for i, cmd := range cmds {
		v, err := cmd.StringSlice()
		if err != nil || len(v) != 3 {
			return nil, fmt.Errorf("people: the claim of %s: %v: %w", claims[i].Person, v, err)
		}
		t := Taken{Mine: v[0] == "1", Before: parseSlot(v[1]), IDs: strings.Fields(v[2])}
		t.Slot = t.Before
		if t.Mine {
			t.Slot = Slot{claims[i].Due, Claimed, claims[i].Node, now.Truncate(time.Millisecond)}
		}
		list[i] = t
	}
	return list, nil
}

// handLapse is how long after its claim a slot that is being handed over may keep another node from a later one.
const handLapse = 10 * time.Minute

// takeLua. KEYS: person. ARGV: the claim, its due time, its node, claims before that (ms) have lapsed, what is being handed over since
// before that (ms) can be overtaken.
const takeLua = `
local cur = redis.call('HGET', KEYS[1], 'slot')
local ids = redis.call('HGET', KEYS[1], 'ids')
local before = {cur or '', ids or ''}
if cur then
  local due, state, node, at = string.match(cur, '^(%d+)|(%a+)|(.*)|(%d+)$')
  if due and tonumber(due) >= tonumber(ARGV[2]) then
    if tonumber(due) > tonumber(ARGV[2]) or state ~= 'claimed' then return {'0', before[1], before[2]} end
    if node ~= ARGV[3] and tonumber(at) > tonumber(ARGV[4]) then return {'0', before[1], before[2]} end
  end
  if due and state == 'handing' and node ~= ARGV[3] and tonumber(at) > tonumber(ARGV[5]) then return {'0', before[1], before[2]} end
end
redis.call('HSET', KEYS[1], 'slot', ARGV[1])
redis.call('HDEL', KEYS[1], 'ids')
return {'1', before[1], before[2]}`

// Hand says that the digest of a claim is about to be handed over, with the mails that it names. False when the claim is no longer
// ours: then it must not be.
func (s *Store) Hand(ctx context.Context, a mail.Address, claim Slot, ids []string) (Slot, bool, error) {
	next := claim.with(Handing)
	ok, err := s.swapSlot(ctx, a, claim, next, "ids", strings.Join(ids, " "))
	return next, ok, err
}

// Back returns a slot that was being handed over to its claim, when it is certain that it was not. Only its node can know.
func (s *Store) Back(ctx context.Context, a mail.Address, handing Slot) (Slot, bool, error) {
	next := handing.with(Claimed)
	next.At = s.now().Truncate(time.Millisecond)
	ok, err := s.swapSlot(ctx, a, handing, next)
	return next, ok, err
}

// Done ends a slot: the digest is safe in the queue, or there was nothing to tell.
func (s *Store) Done(ctx context.Context, a mail.Address, at Slot, count int) error {
	fields := []any{"ids", ""}
	if count > 0 {
		fields = append(fields, "sent", millis(s.now()), "count", count, "fail", "")
	}
	if _, err := s.swapSlot(ctx, a, at, at.with(Sent), fields...); err != nil {
		return err
	}
	if count == 0 {
		return nil
	}
	if err := s.c.ZAdd(ctx, allKey, store.Z{Score: float64(s.now().UnixMilli()), Member: a.Key()}).Err(); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}

// swapSlot changes the slot if it is still what it was; an empty value deletes a field.
func (s *Store) swapSlot(ctx context.Context, a mail.Address, from, to Slot, fields ...any) (bool, error) {
	args := append([]any{from.String(), to.String()}, fields...)
	n, err := s.swap.Run(ctx, s.c, []string{personKey(a)}, args...).Int()
	if err != nil {
		return false, fmt.Errorf("people: %w", err)
	}
	return n == 1, nil
}

// swapLua. KEYS: person. ARGV: the slot as it is, as it is to be, fields and values.
const swapLua = `
if redis.call('HGET', KEYS[1], 'slot') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'slot', ARGV[2])
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 1`

// Failed notes that the mail server did not take the last digest.
func (s *Store) Failed(ctx context.Context, a mail.Address, why string) error {
	if err := s.c.HSet(ctx, personKey(a), "fail", millis(s.now())+"|"+why).Err(); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}

func parseFail(v string) (time.Time, string) {
	ms, why, ok := strings.Cut(v, "|")
	if !ok {
		return time.Time{}, ""
	}
	return parseMillis(ms), why
}
