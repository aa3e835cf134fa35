package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// conformance is what both stores must do alike. Each case gets a client and a prefix of its own for keys.
var conformance = map[string]func(t *testing.T, c Client, k string){
	"strings":      conformStrings,
	"expiry":       conformExpiry,
	"hashes":       conformHashes,
	"sorted sets":  conformZsets,
	"sets":         conformSets,
	"scan":         conformScan,
	"transactions": conformTx,
	"watch":        conformWatch,
	"scripts":      conformScripts,
	"pipeline":     conformPipeline,
	"publish":      conformPublish,
	"errors":       conformErrors,
	"binary":       conformBinary,
}

func TestConformanceEmbedded(t *testing.T) {
	s := openTest(t, t.TempDir(), &clock{t: time.Now()})
	runConformance(t, s)
}

func TestConformanceMemoryOnly(t *testing.T) {
	runConformance(t, openTest(t, "", &clock{t: time.Now()}))
}

func TestConformanceSocket(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d, err := Dial(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if !d.Embedded() || !d.Durable(t.Context()) {
		t.Error("the store of a running serve is embedded and durable")
	}
	runConformance(t, d)
}

func TestConformanceRedis(t *testing.T) {
	runConformance(t, openReal(t, startRedis(t, "--appendonly", "yes").config()))
}

func runConformance(t *testing.T, s *Store) {
	for _, name := range slices.Sorted(maps.Keys(conformance)) {
		t.Run(name, func(t *testing.T) { conformance[name](t, s.Client(), strings.ReplaceAll(name, " ", "_")+":") })
	}
}

// is checks a command's result.
func is[T any](t *testing.T, want T, got T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%v", err)
	} else if w, g := fmt.Sprintf("%#v", want), fmt.Sprintf("%#v", got); w != g {
		t.Errorf("got %s, want %s", g, w)
	}
}

func conformStrings(t *testing.T, c Client, k string) {
	ctx := t.Context()
	if err := c.Get(ctx, k+"none").Err(); !errors.Is(err, Nil) {
		t.Errorf("GET of nothing: %v", err)
	}
	is(t, "OK", c.Set(ctx, k+"a", "1", 0).Val(), nil)
	v, err := c.Get(ctx, k+"a").Result()
	is(t, "1", v, err)
	ok, err := c.SetNX(ctx, k+"a", "2", time.Minute).Result()
	is(t, false, ok, err)
	ok, err = c.SetNX(ctx, k+"b", "2", time.Minute).Result()
	is(t, true, ok, err)
	n, err := c.IncrBy(ctx, k+"a", 41).Result()
	is(t, 42, n, err)
	all, err := c.MGet(ctx, k+"a", k+"none", k+"b").Result()
	is(t, []any{"42", nil, "2"}, all, err)
	n, err = c.Exists(ctx, k+"a", k+"b", k+"none").Result()
	is(t, 2, n, err)
	n, err = c.Del(ctx, k+"a", k+"none").Result()
	is(t, 1, n, err)
	n, err = c.Unlink(ctx, k+"b").Result()
	is(t, 1, n, err)
}

func conformExpiry(t *testing.T, c Client, k string) {
	ctx := t.Context()
	c.Set(ctx, k+"px", "v", 90*time.Second)
	c.Set(ctx, k+"none", "v", 0)
	ttl := c.PTTL(ctx, k+"px").Val()
	if ttl < 88*time.Second || ttl > 92*time.Second {
		t.Errorf("PTTL %s, want about 90s", ttl)
	}
	is(t, -1, c.PTTL(ctx, k+"none").Val(), nil)
	is(t, -2, c.PTTL(ctx, k+"absent").Val(), nil)
	is(t, true, c.Expire(ctx, k+"none", time.Hour).Val(), nil)
	is(t, false, c.Expire(ctx, k+"absent", time.Hour).Val(), nil)
	is(t, true, c.PExpire(ctx, k+"none", 2*time.Hour).Val(), nil)
	at := time.Now().Add(3 * time.Hour)
	is(t, true, c.PExpireAt(ctx, k+"none", at).Val(), nil)
	if ttl := c.PTTL(ctx, k+"none").Val(); ttl < 3*time.Hour-3*time.Second || ttl > 3*time.Hour+3*time.Second {
		t.Errorf("PTTL %s, want about 3h", ttl)
	}
	is(t, true, c.PExpireAt(ctx, k+"none", time.Now().Add(-time.Hour)).Val(), nil)
	is(t, 0, c.Exists(ctx, k+"none").Val(), nil)
	err := c.SetArgs(ctx, k+"pxat", "v", SetArgs{ExpireAt: time.Now().Add(time.Hour)}).Err()
	is(t, true, c.PTTL(ctx, k+"pxat").Val() > 59*time.Minute, err)
	c.Set(ctx, k+"px", "w", 0)
	is(t, -1, c.PTTL(ctx, k+"px").Val(), nil)
}

func conformHashes(t *testing.T, c Client, k string) {
	ctx := t.Context()
	n, err := c.HSet(ctx, k+"h", "a", "1", "b", "2").Result()
	is(t, 2, n, err)
	v, err := c.HGet(ctx, k+"h", "a").Result()
	is(t, "1", v, err)
	if err := c.HGet(ctx, k+"h", "none").Err(); !errors.Is(err, Nil) {
		t.Errorf("HGET of nothing: %v", err)
	}
	some, err := c.HMGet(ctx, k+"h", "b", "none").Result()
	is(t, []any{"2", nil}, some, err)
	n, err = c.HIncrBy(ctx, k+"h", "a", 5).Result()
	is(t, 6, n, err)
	f, err := c.HIncrByFloat(ctx, k+"h", "f", 2.5).Result()
	is(t, 2.5, f, err)
	all, err := c.HGetAll(ctx, k+"h").Result()
	is(t, map[string]string{"a": "6", "b": "2", "f": "2.5"}, all, err)
	is(t, map[string]string{}, c.HGetAll(ctx, k+"none").Val(), nil)
	var fields []string
	it := c.HScan(ctx, k+"h", 0, "", 100).Iterator()
	for it.Next(ctx) {
		fields = append(fields, it.Val())
	}
	is(t, 6, len(fields), it.Err())
	n, err = c.HDel(ctx, k+"h", "a", "b", "f").Result()
	is(t, 3, n, err)
	is(t, 0, c.Exists(ctx, k+"h").Val(), nil)
}

func conformZsets(t *testing.T, c Client, k string) {
	ctx := t.Context()
	n, err := c.ZAdd(ctx, k+"z", Z{Score: 1, Member: "a"}, Z{Score: 2.5, Member: "b"}, Z{Score: 1763616720123, Member: "c"}).Result()
	is(t, 3, n, err)
	n, err = c.ZAddNX(ctx, k+"z", Z{Score: 9, Member: "a"}, Z{Score: 3, Member: "d"}).Result()
	is(t, 1, n, err)
	sc, err := c.ZScore(ctx, k+"z", "c").Result()
	is(t, 1763616720123, sc, err)
	if err := c.ZScore(ctx, k+"z", "none").Err(); !errors.Is(err, Nil) {
		t.Errorf("ZSCORE of nothing: %v", err)
	}
	is(t, 4, c.ZCard(ctx, k+"z").Val(), nil)
	is(t, 2, c.ZCount(ctx, k+"z", "(1", "3").Val(), nil)
	is(t, []string{"a", "b", "d", "c"}, c.ZRange(ctx, k+"z", 0, -1).Val(), nil)
	is(t, []string{"b", "d"}, c.ZRangeByScore(ctx, k+"z", &ZRangeBy{Min: "-inf", Max: "+inf", Offset: 1, Count: 2}).Val(), nil)
	is(t, []string{"c", "d"}, c.ZRevRangeByScore(ctx, k+"z", &ZRangeBy{Min: "-inf", Max: "+inf", Count: 2}).Val(), nil)
	with := c.ZRangeByScoreWithScores(ctx, k+"z", &ZRangeBy{Min: "2", Max: "2.5"}).Val()
	is(t, []Z{{Score: 2.5, Member: "b"}}, with, nil)
	is(t, 1, c.ZRemRangeByScore(ctx, k+"z", "-inf", "1").Val(), nil)
	popped, err := c.ZPopMin(ctx, k+"z", 1).Result()
	is(t, []Z{{Score: 2.5, Member: "b"}}, popped, err)
	is(t, 2, c.ZRem(ctx, k+"z", "c", "d", "none").Val(), nil)
	is(t, 0, c.Exists(ctx, k+"z").Val(), nil)
}

func conformSets(t *testing.T, c Client, k string) {
	ctx := t.Context()
	is(t, 2, c.SAdd(ctx, k+"s", "a", "b", "a").Val(), nil)
	is(t, true, c.SIsMember(ctx, k+"s", "a").Val(), nil)
	m := c.SMembers(ctx, k+"s").Val()
	slices.Sort(m)
	is(t, []string{"a", "b"}, m, nil)
	is(t, 1, c.SRem(ctx, k+"s", "a", "none").Val(), nil)
	is(t, false, c.SIsMember(ctx, k+"s", "a").Val(), nil)
}

func conformScan(t *testing.T, c Client, k string) {
	ctx := t.Context()
	for i := range 50 {
		c.Set(ctx, fmt.Sprintf("%s{%d}:m", k, i), "v", 0)
	}
	seen := map[string]bool{}
	err := ForEachMaster(ctx, c, func(ctx context.Context, c Client) error {
		it := c.Scan(ctx, 0, k+"{*}:m", 10).Iterator()
		for it.Next(ctx) {
			seen[it.Val()] = true
		}
		return it.Err()
	})
	is(t, 50, len(seen), err)
}

func conformTx(t *testing.T, c Client, k string) {
	ctx := t.Context()
	cmds, err := c.TxPipelined(ctx, func(p Pipeliner) error {
		p.HSet(ctx, k+"{m}h", "a", "1")
		p.Set(ctx, k+"{m}s", "v", time.Hour)
		p.ZAdd(ctx, k+"{m}z", Z{Score: 1, Member: "x"})
		p.Get(ctx, k+"{m}s")
		return nil
	})
	is(t, 4, len(cmds), err)
	is(t, "v", cmds[3].(*StringCmd).Val(), nil)
	// A command that fails while it runs does not stop the others.
	_, err = c.TxPipelined(ctx, func(p Pipeliner) error {
		p.HSet(ctx, k+"{m}s", "a", "1")
		p.Set(ctx, k+"{m}t", "after", 0)
		return nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE") {
		t.Errorf("HSET of a string: %v", err)
	}
	is(t, "after", c.Get(ctx, k+"{m}t").Val(), nil)
}

func conformWatch(t *testing.T, c Client, k string) {
	ctx := t.Context()
	c.Set(ctx, k+"w", "1", 0)
	err := c.Watch(ctx, func(tx *Tx) error {
		is(t, "1", tx.Get(ctx, k+"w").Val(), nil)
		c.Set(ctx, k+"w", "other", 0)
		_, err := tx.TxPipelined(ctx, func(p Pipeliner) error { p.Set(ctx, k+"w", "mine", 0); return nil })
		return err
	}, k+"w")
	if !errors.Is(err, TxFailed) {
		t.Errorf("a watched key was changed: %v", err)
	}
	is(t, "other", c.Get(ctx, k+"w").Val(), nil)
	err = c.Watch(ctx, func(tx *Tx) error {
		_, err := tx.TxPipelined(ctx, func(p Pipeliner) error { p.Set(ctx, k+"w", "mine", 0); return nil })
		return err
	}, k+"w")
	is(t, "mine", c.Get(ctx, k+"w").Val(), err)
}

func conformScripts(t *testing.T, c Client, k string) {
	ctx := t.Context()
	claim := NewScript(`
		if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
		redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
		redis.call('HSET', KEYS[2], 'owner', ARGV[1])
		return {1, ARGV[1], redis.call('PTTL', KEYS[1])}`)
	v, err := claim.Run(ctx, c, []string{k + "{c}l", k + "{c}h"}, "me", 60000).Slice()
	is(t, 3, len(v), err)
	is(t, any("me"), v[1], nil)
	if ms := v[2].(int64); ms < 59000 || ms > 61001 {
		t.Errorf("PTTL in a script: %d", ms)
	}
	n, err := claim.Run(ctx, c, []string{k + "{c}l", k + "{c}h"}, "you", 60000).Int()
	is(t, 0, n, err)
	is(t, "me", c.HGet(ctx, k+"{c}h", "owner").Val(), nil)
	if err := NewScript(`return redis.error_reply('NO not now')`).Run(ctx, c, []string{k + "x"}).Err(); err == nil || err.Error() != "NO not now" {
		t.Errorf("error_reply: %v", err)
	}
	if err := NewScript(`return redis.call('GET', KEYS[1])`).Run(ctx, c, []string{k + "none"}).Err(); !errors.Is(err, Nil) {
		t.Errorf("nil of a script: %v", err)
	}
}

func conformPipeline(t *testing.T, c Client, k string) {
	ctx := t.Context()
	big := strings.Repeat("x", 100<<10)
	cmds, err := c.Pipelined(ctx, func(p Pipeliner) error {
		for i := range 40 {
			p.Set(ctx, fmt.Sprint(k, i), big, time.Hour)
			p.Get(ctx, fmt.Sprint(k, i))
		}
		return nil
	})
	is(t, 80, len(cmds), err)
	for _, cmd := range cmds {
		if g, ok := cmd.(*StringCmd); ok && g.Val() != big {
			t.Fatal("a value came back changed")
		}
	}
}

func conformPublish(t *testing.T, c Client, k string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	sub := c.Subscribe(ctx, k+"ch")
	defer func() { _ = sub.Close() }()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	n, err := c.Publish(ctx, k+"ch", "hint").Result()
	is(t, 1, n, err)
	m, err := sub.ReceiveMessage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	is(t, "hint", m.Payload, nil)
}

func conformErrors(t *testing.T, c Client, k string) {
	ctx := t.Context()
	c.Set(ctx, k+"s", "v", 0)
	for name, err := range map[string]error{
		"WRONGTYPE": c.HGet(ctx, k+"s", "f").Err(),
		"ERR":       c.IncrBy(ctx, k+"s", 1).Err(),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	is(t, "v", c.Get(ctx, k+"s").Val(), nil)
}

func conformBinary(t *testing.T, c Client, k string) {
	ctx := t.Context()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	key := k + string(all)
	c.Set(ctx, key, all, 0)
	got, err := c.Get(ctx, key).Bytes()
	is(t, all, got, err)
	c.Set(ctx, k+"empty", "", 0)
	is(t, "", c.Get(ctx, k+"empty").Val(), nil)
}
