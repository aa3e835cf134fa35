package store

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2/server"
)

// dumpChunk is how many members of a hash or set stand in one command of a snapshot.
const dumpChunk = 1000

// compact begins a new log and writes a snapshot of what came before it. Only the collecting of references to the values
// holds up commands.
func (e *embedded) compact() error {
	e.compacting.Lock()
	defer e.compacting.Unlock()
	f, err := listFiles(e.dir)
	if err != nil {
		return err
	}
	next := e.seq + 1
	file, err := createLog(f.log(next))
	if err != nil {
		return err
	}
	e.gate.mu.Lock()
	e.gate.log.rotate(file)
	e.seq = next
	e.gate.now = e.gate.millis()
	rec := record{now: e.gate.now, tick: e.gate.tick, commands: e.gate.dump(false)}
	if e.gate.written > renewAfter {
		err = e.gate.renew()
	}
	e.gate.mu.Unlock()
	if err != nil {
		return err
	}
	size, err := writeSnapshot(f.snap(next), rec)
	if err != nil {
		return err
	}
	e.gate.log.restore(size)
	return f.removeBefore(next)
}

// dump gives everything as commands that make it anew. The values are shared, not copied.
func (g *gate) dump(volatile bool) [][]string {
	var out [][]string
	for _, key := range g.m.Keys() {
		if !volatile && strings.HasPrefix(key, Volatile) {
			continue
		}
		out = g.dumpKey(out, key)
	}
	return out
}

func (g *gate) dumpKey(out [][]string, key string) [][]string {
	// What vanished in between has no type, and the gate is closed: errors cannot happen.
	switch g.m.Type(key) {
	case "string":
		v, _ := g.m.Get(key)
		out = append(out, []string{"SET", key, v})
	case "hash":
		fields, _ := g.m.HKeys(key)
		for part := range slices.Chunk(fields, dumpChunk) {
			c := []string{"HSET", key}
			for _, f := range part {
				c = append(c, f, g.m.HGet(key, f))
			}
			out = append(out, c)
		}
	case "set":
		members, _ := g.m.Members(key)
		for part := range slices.Chunk(members, dumpChunk) {
			out = append(out, append([]string{"SADD", key}, part...))
		}
	case "zset":
		out = g.dumpZset(out, key)
	default:
		return out
	}
	if ttl := g.m.TTL(key); ttl > 0 {
		at := g.tick.Add(ttl).UnixMilli()
		out = append(out, []string{"PEXPIREAT", key, strconv.FormatInt(at, 10)})
	}
	return out
}

func (g *gate) dumpZset(out [][]string, key string) [][]string {
	scores, _ := g.m.SortedSet(key)
	members := make([]string, 0, len(scores))
	for m := range scores {
		members = append(members, m)
	}
	for part := range slices.Chunk(members, dumpChunk) {
		c := []string{"ZADD", key}
		for _, m := range part {
			c = append(c, strconv.FormatFloat(scores[m], 'g', -1, 64), m)
		}
		out = append(out, c)
	}
	return out
}

// renew moves everything into a fresh miniredis, because it keeps a version number of every key that ever was. Sessions
// whose state hangs on the old one (WATCH, subscriptions) are closed; their clients connect again.
func (g *gate) renew() error {
	commands := g.dump(true)
	old := g.m
	if err := g.fresh(); err != nil {
		return err
	}
	old.Close()
	g.setTick(g.tick)
	p := server.NewPeer(bufio.NewWriter(io.Discard))
	for _, c := range commands {
		g.dispatch(p, c)
	}
	for s := range g.sessions {
		if s.watching || s.subscribed {
			s.subscribed = false
			_ = s.conn.Close()
		}
	}
	return nil
}
