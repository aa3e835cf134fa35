package store

import (
	"bytes"
	"fmt"
	"strings"
)

// control carries out the commands about the connection and about transactions. Transactions are collected in the
// session and given to miniredis in one go at EXEC, so that nothing comes between.
func (g *gate) control(s *session, name string, args []string) *batch {
	switch name {
	case "MULTI":
		if s.multi {
			s.peer.WriteError("ERR MULTI calls can not be nested")
			return nil
		}
		s.multi, s.dirty, s.queue = true, false, nil
		s.peer.WriteOK()
	case "EXEC":
		return g.exec(s)
	case "DISCARD":
		if !s.multi {
			s.peer.WriteError("ERR DISCARD without MULTI")
			return nil
		}
		s.multi, s.queue = false, nil
		g.unwatch(s)
		s.peer.WriteOK()
	case "WATCH":
		if s.multi {
			s.peer.WriteError("ERR WATCH inside MULTI is not allowed")
			return nil
		}
		s.watching = true
		g.dispatch(s.peer, args)
	case "UNWATCH":
		s.watching = false
		g.dispatch(s.peer, args)
	default:
		g.connection(s, name, args)
	}
	return nil
}

func (g *gate) connection(s *session, name string, args []string) {
	if s.multi {
		s.dirty = true
		s.peer.WriteError("ERR the embedded store does not have this command in MULTI: " + name)
		return
	}
	switch name {
	case "SELECT":
		if len(args) != 2 || args[1] != "0" {
			s.peer.WriteError("ERR the embedded store has only database 0")
			return
		}
		s.peer.WriteOK()
	case "INFO":
		s.peer.WriteBulk(g.info())
	default:
		if strings.HasSuffix(name, "SUBSCRIBE") {
			s.subscribed = true
		}
		g.dispatch(s.peer, args)
	}
}

func (g *gate) unwatch(s *session) {
	s.watching = false
	mark := s.out.mark()
	g.dispatch(s.peer, []string{"UNWATCH"})
	s.out.cut(mark)
}

// exec gives the collected transaction to miniredis and logs it as one record.
func (g *gate) exec(s *session) *batch {
	if !s.multi {
		s.peer.WriteError("ERR EXEC without MULTI")
		return nil
	}
	queue := s.queue
	s.multi, s.queue = false, nil
	if s.dirty {
		g.unwatch(s)
		s.peer.WriteError("EXECABORT Transaction discarded because of previous errors.")
		return nil
	}
	var logged [][]string
	mark := s.out.mark()
	g.dispatch(s.peer, []string{"MULTI"})
	for _, args := range queue {
		cmd := g.table[strings.ToUpper(args[0])]
		volatile, _ := isVolatile(cmd.keysOf(args))
		args = absolute(args, g.now, g.tick)
		g.dispatch(s.peer, args)
		if cmd.kind != read && cmd.kind != control {
			g.written++
			if !volatile {
				logged = append(logged, args)
			}
		}
	}
	s.out.cut(mark)
	g.dispatch(s.peer, []string{"EXEC"})
	s.watching = false
	if g.log == nil {
		return nil
	}
	reply := s.out.since(mark)
	if len(logged) == 0 || strings.HasPrefix(reply, "-") || strings.HasPrefix(reply, "*-1") {
		return g.log.pending()
	}
	return g.append(logged)
}

// info answers INFO in the form of Redis, so that whoever asks about durability need not know the difference.
func (g *gate) info() string {
	var b bytes.Buffer
	used, aof := int64(0), 0
	if g.log != nil {
		used, aof = g.log.used(), 1
	}
	fmt.Fprintf(&b, "# Server\r\nredis_version:7.0.0\r\nredis_mode:embedded\r\nserver_time_usec:%d\r\n", g.now.UnixMicro())
	fmt.Fprintf(&b, "# Memory\r\nused_memory:%d\r\nmaxmemory:%d\r\nmaxmemory_policy:noeviction\r\n", used, g.limit)
	fmt.Fprintf(&b, "# Persistence\r\nloading:0\r\naof_enabled:%d\r\naof_last_write_status:ok\r\n", aof)
	fmt.Fprintf(&b, "# Keyspace\r\ndb0:keys=%d\r\n", len(g.m.Keys()))
	return b.String()
}
