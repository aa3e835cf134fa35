package store

import (
	"strconv"
	"strings"
	"time"
)

// Volatile is the prefix of keys that the embedded store does not log: counters whose loss at a restart does no harm.
// A command is either about such keys only or about others only.
const Volatile = "v:"

type kind int

const (
	read    kind = iota
	grow         // it may need more memory
	shrink       // it frees memory or only changes expiries
	script       // EVAL, EVALSHA
	control      // about the connection or transaction
)

// keysAt says where a command's keys stand.
type keysAt int

const (
	noKey    keysAt = iota
	firstKey        // the first argument
	allKeys         // every argument
	pairKeys        // every second argument: MSET
)

type command struct {
	kind kind
	keys keysAt
}

// commandTable lists what the embedded store carries out: the commands of the design and their close relatives, on which
// miniredis and Redis agree and whose replay is deterministic.
func commandTable() map[string]command {
	t := map[string]command{}
	add := func(k kind, at keysAt, names string) {
		for name := range strings.FieldsSeq(names) {
			t[name] = command{k, at}
		}
	}
	add(read, firstKey, `GET STRLEN TYPE TTL PTTL HGET HMGET HGETALL HLEN HEXISTS HKEYS HVALS HSCAN ZSCORE ZMSCORE ZCARD
		ZCOUNT ZRANK ZREVRANK ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZSCAN SCARD SMEMBERS SISMEMBER SMISMEMBER SSCAN`)
	add(read, allKeys, `EXISTS MGET`)
	add(read, noKey, `SCAN DBSIZE`)
	add(grow, firstKey, `SET SETNX SETEX PSETEX GETSET APPEND INCR DECR INCRBY DECRBY INCRBYFLOAT HSET HSETNX HMSET HINCRBY
		HINCRBYFLOAT ZADD ZINCRBY SADD`)
	add(grow, pairKeys, `MSET`)
	add(shrink, firstKey, `EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST GETDEL HDEL ZREM ZREMRANGEBYSCORE ZREMRANGEBYRANK
		ZPOPMIN ZPOPMAX SREM`)
	add(shrink, allKeys, `DEL UNLINK`)
	add(shrink, noKey, `FLUSHDB FLUSHALL`)
	add(script, noKey, `EVAL EVALSHA`)
	add(control, noKey, `PING ECHO HELLO CLIENT COMMAND SELECT QUIT INFO SCRIPT MULTI EXEC DISCARD WATCH UNWATCH PUBLISH
		SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE`)
	return t
}

// keysOf returns the keys of a command whose args begin with its name.
func (c command) keysOf(args []string) []string {
	if len(args) < 2 {
		return nil
	}
	switch {
	case c.kind == script:
		if len(args) < 3 {
			return nil
		}
		n, err := strconv.Atoi(args[2])
		if err != nil || n < 0 || n > len(args)-3 {
			return nil
		}
		return args[3 : 3+n]
	case c.keys == firstKey:
		return args[1:2]
	case c.keys == allKeys:
		return args[1:]
	case c.keys == pairKeys:
		var keys []string
		for i := 1; i < len(args); i += 2 {
			keys = append(keys, args[i])
		}
		return keys
	}
	return nil
}

// isVolatile reports whether all keys are, and whether they are mixed with others, which is an error.
func isVolatile(keys []string) (volatile, mixed bool) {
	n := 0
	for _, k := range keys {
		if strings.HasPrefix(k, Volatile) {
			n++
		}
	}
	return n > 0 && n == len(keys), n > 0 && n < len(keys)
}

// absolute rewrites relative expiries into points in time. miniredis counts the time to live from the last tick; with its
// clock set to that tick, a point in time comes out exact, where a relative one would be up to a second short.
func absolute(args []string, now, tick time.Time) []string {
	switch strings.ToUpper(args[0]) {
	case "SET":
		return absoluteSet(args, now, tick)
	case "SETEX", "PSETEX":
		if len(args) != 4 {
			return args
		}
		unit := time.Second
		if strings.EqualFold(args[0], "PSETEX") {
			unit = time.Millisecond
		}
		if at, ok := later(args[2], unit, now); ok {
			return []string{"SET", args[1], args[3], "PXAT", at}
		}
	case "EXPIRE":
		return absoluteExpire(args, time.Second, now)
	case "PEXPIRE":
		return absoluteExpire(args, time.Millisecond, now)
	}
	return args
}

func absoluteSet(args []string, now, tick time.Time) []string {
	for i := 3; i+1 < len(args); i++ {
		var at string
		ok := false
		switch strings.ToUpper(args[i]) {
		case "EX":
			at, ok = later(args[i+1], time.Second, now)
		case "PX":
			at, ok = later(args[i+1], time.Millisecond, now)
		case "PXAT":
			// miniredis takes "expires this very moment" for "never expires".
			at, ok = strconv.FormatInt(tick.UnixMilli()-1, 10), args[i+1] == strconv.FormatInt(tick.UnixMilli(), 10)
		}
		if ok {
			out := append([]string(nil), args...)
			out[i], out[i+1] = "PXAT", at
			return out
		}
	}
	return args
}

func absoluteExpire(args []string, unit time.Duration, now time.Time) []string {
	if len(args) < 3 {
		return args
	}
	n, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil || n > maxTTL/int64(unit/time.Millisecond) || n < -maxTTL/int64(unit/time.Millisecond) {
		return args
	}
	at := now.UnixMilli() + n*int64(unit/time.Millisecond)
	return append([]string{"PEXPIREAT", args[1], strconv.FormatInt(at, 10)}, args[3:]...)
}

// maxTTL is a hundred years in milliseconds: beyond it durations overflow.
const maxTTL = 100 * 365 * 24 * 3600 * 1000

func later(s string, unit time.Duration, now time.Time) (string, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > maxTTL/int64(unit/time.Millisecond) {
		return "", false
	}
	return strconv.FormatInt(now.UnixMilli()+n*int64(unit/time.Millisecond), 10), true
}
