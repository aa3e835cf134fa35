package store

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// gate is the one way to miniredis: it carries out one command at a time, in the order in which they stand in the log.
type gate struct {
	mu    sync.Mutex
	table map[string]command
	m     *miniredis.Miniredis
	log   *journal // nil: memory only
	clock func() time.Time
	limit int64 // octets of live data
	want  chan struct{}

	now      time.Time // of the running command
	tick     time.Time // up to when keys have been expired; miniredis's own clock stands there
	top      *server.Peer
	effects  [][]string // what the running script has changed and is to be logged
	written  int        // keys written since this miniredis was made: it keeps a version of each forever
	sessions map[*session]struct{}
}

func newGate(clock func() time.Time, limit int64) (*gate, error) {
	g := &gate{
		table: commandTable(), clock: clock, limit: limit,
		want: make(chan struct{}, 1), sessions: map[*session]struct{}{},
	}
	if err := g.fresh(); err != nil {
		return nil, err
	}
	g.setTick(g.millis())
	return g, nil
}

// fresh puts an empty miniredis in place.
func (g *gate) fresh() error {
	m := miniredis.NewMiniRedis()
	// Dial is the only way to start one without a port; its connection is not needed.
	c, err := m.Dial()
	if err != nil {
		return fmt.Errorf("embedded store: %w", err)
	}
	_ = c.Close()
	m.Server().SetPreHook(g.hook)
	g.m, g.written = m, 0
	return nil
}

func (g *gate) millis() time.Time { return time.UnixMilli(g.clock().UnixMilli()) }

func (g *gate) setTick(t time.Time) {
	g.tick = t
	g.m.SetTime(t)
}

// expire removes what has expired by now. When the clock was set back, times to live go on from there.
func (g *gate) expire(now time.Time) {
	if d := now.Sub(g.tick); d > 0 {
		g.m.FastForward(d)
	}
	g.setTick(now)
}

// do carries out a command and says which batch has to be synced before its reply, which stands in s.out, may be sent;
// nil: at once.
func (g *gate) do(s *session, args []string) *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.millis()
	name := strings.ToUpper(args[0])
	cmd, known := g.table[name]
	if why := g.refuse(s, name, cmd, known, args); why != "" {
		s.dirty = s.dirty || s.multi
		s.peer.WriteError(why)
		return nil
	}
	// PUBLISH goes with the transaction: a subscriber hears of what was done, and of nothing else.
	if s.multi && (cmd.kind != control || name == "PUBLISH") {
		s.queue = append(s.queue, args)
		s.peer.WriteInline("QUEUED")
		return nil
	}
	if cmd.kind == control {
		return g.control(s, name, args)
	}
	return g.run(s, cmd, args)
}

// refuse says why a command is not carried out, in the words of Redis where it has any; "" when it is.
func (g *gate) refuse(s *session, name string, cmd command, known bool, args []string) string {
	if !known {
		return fmt.Sprintf("ERR the embedded store does not have the command '%.40s'", name)
	}
	if cmd.kind == script && s.multi {
		return "ERR the embedded store does not run scripts inside MULTI"
	}
	volatile, mixed := isVolatile(cmd.keysOf(args))
	if mixed && cmd.kind != read {
		return "ERR volatile keys and others cannot be changed by one command"
	}
	if g.log == nil || volatile || cmd.kind == read || cmd.kind == control {
		return ""
	}
	if err := g.log.failed(); err != nil {
		return "MISCONF the embedded store cannot write its log: " + err.Error()
	}
	if cmd.kind != shrink && g.log.used() > g.limit {
		g.ask()
		return fmt.Sprintf("OOM the embedded store is full (%d MiB); use Redis for more", g.limit>>20)
	}
	return ""
}

// run carries out a command that is not part of a transaction.
func (g *gate) run(s *session, cmd command, args []string) *batch {
	volatile, _ := isVolatile(cmd.keysOf(args))
	args = absolute(args, g.now, g.tick)
	mark := s.out.mark()
	g.dispatch(s.peer, args)
	if cmd.kind == grow || cmd.kind == shrink {
		g.written++
	}
	switch {
	case volatile || g.log == nil:
		return nil
	case cmd.kind == script:
		if len(g.effects) > 0 {
			return g.append(g.effects)
		}
	case cmd.kind == grow, cmd.kind == shrink:
		reply := s.out.since(mark)
		if !strings.HasPrefix(reply, "-") && (cmd.kind == grow || reply != ":0\r\n") {
			return g.append([][]string{args})
		}
	}
	return g.log.pending()
}

func (g *gate) append(commands [][]string) *batch {
	b := g.log.append(record{now: g.now, tick: g.tick, commands: commands})
	if g.log.outgrown() {
		g.ask()
	}
	return b
}

// ask asks for a compaction.
func (g *gate) ask() {
	select {
	case g.want <- struct{}{}:
	default:
	}
}

func (g *gate) dispatch(p *server.Peer, args []string) {
	g.top, g.effects = p, nil
	g.m.Server().Dispatch(p, args)
	p.Flush()
	g.top = nil
}

// hook sees every command before miniredis does. Those that a script calls pass the same table, get points in time for
// expiries, and are noted as the script's effects.
func (g *gate) hook(p *server.Peer, name string, args ...string) bool {
	if p == g.top {
		return false
	}
	full := append([]string{name}, args...)
	cmd, known := g.table[name]
	if !known || cmd.kind == control || cmd.kind == script {
		p.WriteError("ERR the embedded store does not run this command in scripts: " + name)
		return true
	}
	if abs := absolute(full, g.now, g.tick); &abs[0] != &full[0] {
		g.m.Server().Dispatch(p, abs)
		return true
	}
	if cmd.kind != read {
		g.written++
		volatile, mixed := isVolatile(cmd.keysOf(full))
		if mixed {
			p.WriteError("ERR volatile keys and others cannot be changed by one command")
			return true
		}
		if !volatile {
			g.effects = append(g.effects, full)
		}
	}
	return false
}

// apply replays a record, without any session.
func (g *gate) apply(rec record) {
	if rec.tick != g.tick {
		g.expire(rec.tick)
	}
	g.now = rec.now
	p := server.NewPeer(bufio.NewWriter(io.Discard))
	for _, args := range rec.commands {
		g.dispatch(p, args)
		g.written++
	}
}
