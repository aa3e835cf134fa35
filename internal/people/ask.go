package people

import (
	"context"
	"fmt"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// Ask notes that a person is to get a digest now, whatever the schedule says. A server that sends digests does it; the request stands
// (State.Asked) until it is done.
func (s *Store) Ask(ctx context.Context, a mail.Address) error {
	now := s.now()
	// The person first: a request that is found in the list knows then since when it is one.
	if err := s.c.HSet(ctx, personKey(a), "asked", millis(now)).Err(); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	if err := s.c.ZAdd(ctx, askedKey, store.Z{Score: float64(now.UnixMilli()), Member: a.Key()}).Err(); err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}

// Request is a digest that was asked for.
type Request struct {
	Person mail.Address
	At     time.Time // when it was asked for, which is its due time at every node
	value  string    // of the person's field; empty: of an earlier version of the program
	until  int64     // of the lease
}

// Asked takes up to n requests. For the lease no node is given them again; who carried one out says so (Answered). A request
// that is not answered, because its node died, is given to the next who asks after that.
func (s *Store) Asked(ctx context.Context, n int, lease time.Duration) ([]Request, error) {
	now := s.now()
	until := now.Add(lease).UnixMilli()
	keys, err := s.lease.Run(ctx, s.c, []string{askedKey}, now.UnixMilli(), until, n).StringSlice()
	if err != nil || len(keys) == 0 {
		return nil, wrap(err)
	}
	list := make([]Request, len(keys))
	pipe := s.c.Pipeline()
	fields := make([]*store.SliceCmd, len(keys))
	for i, k := range keys {
		_ = list[i].Person.UnmarshalText([]byte(k)) // never fails
		fields[i] = pipe.HMGet(ctx, personKey(list[i].Person), "asked")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, wrap(err)
	}
	for i := range list {
		r := &list[i]
		r.value, _ = fields[i].Val()[0].(string)
		if r.At, r.until = parseMillis(r.value), until; r.At.IsZero() {
			r.At = now
		}
	}
	return list, nil
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("people: %w", err)
	}
	return nil
}

// Answered ends requests. One that was asked again meanwhile stands.
func (s *Store) Answered(ctx context.Context, list []Request) error {
	if len(list) == 0 {
		return nil
	}
	pipe := s.c.Pipeline()
	for _, r := range list {
		s.same.Eval(ctx, pipe, []string{personKey(r.Person)}, "asked", r.value)
	}
	for _, r := range list {
		s.drop.Eval(ctx, pipe, []string{askedKey}, r.Person.Key(), r.until)
	}
	_, err := pipe.Exec(ctx)
	return wrap(err)
}

// leaseLua. KEYS: asked. ARGV: now, the end of the lease (ms), how many.
const leaseLua = `
local list = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, m in ipairs(list) do redis.call('ZADD', KEYS[1], ARGV[2], m) end
return list`

// dropLua takes a request away unless it was made again. KEYS: asked. ARGV: member, the end of its lease.
const dropLua = `
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not at or tonumber(at) ~= tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])`

// sameLua deletes a field that is still what it was. KEYS: person. ARGV: field, value.
const sameLua = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])`
