package store

import (
	"bufio"
	"errors"
	"net"
	"sync"

	"github.com/alicebob/miniredis/v2/server"
)

// session is one connection to the embedded store. A goroutine of its own sends the replies, so that a client which
// writes a long pipeline over a net.Pipe before it reads cannot block us, and so that a pipeline shares one sync.
type session struct {
	conn net.Conn
	peer *server.Peer
	out  *outbox

	// Guarded by the gate.
	multi, dirty         bool
	queue                [][]string
	watching, subscribed bool
}

func newSession(conn net.Conn) *session {
	out := &outbox{}
	out.cond = sync.NewCond(&out.mu)
	return &session{conn: conn, out: out, peer: server.NewPeer(bufio.NewWriter(out))}
}

// serve carries out the commands of one connection until it ends, and closes it.
func (g *gate) serve(conn net.Conn) {
	s := newSession(conn)
	g.mu.Lock()
	g.sessions[s] = struct{}{}
	g.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { s.out.send(conn) })
	r := bufio.NewReaderSize(conn, 16<<10)
	for !s.peer.Closed() {
		args, err := readCommand(r)
		if err != nil {
			if errors.Is(err, errProtocol) {
				s.peer.WriteError(err.Error())
				s.peer.Flush()
				s.out.seal(nil)
			}
			break
		}
		s.out.hold()
		b := g.do(s, args)
		s.peer.Flush()
		s.out.seal(b)
	}
	g.end(s)
	s.out.close()
	wg.Wait()
	_ = conn.Close()
}

// end forgets a session. miniredis does not notice by itself that a subscriber has gone.
func (g *gate) end(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s)
	if s.subscribed {
		s.out.hold()
		g.dispatch(s.peer, []string{"UNSUBSCRIBE"})
		g.dispatch(s.peer, []string{"PUNSUBSCRIBE"})
		s.out.seal(nil)
	}
}

// outbox collects replies and sends them in order, each when its batch is synced.
type outbox struct {
	mu      sync.Mutex
	cond    *sync.Cond
	held    bool // a command is running; what is written belongs to its reply
	scratch []byte
	queue   []reply
	closed  bool
}

type reply struct {
	octets []byte
	batch  *batch
}

// Write takes what miniredis says: a part of the reply while a command runs, else a message to a subscriber.
func (o *outbox) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.scratch = append(o.scratch, p...)
	if !o.held {
		o.sealLocked(nil)
	}
	return len(p), nil
}

func (o *outbox) hold() {
	o.mu.Lock()
	o.held = true
	o.mu.Unlock()
}

// seal ends the reply of the running command.
func (o *outbox) seal(b *batch) {
	o.mu.Lock()
	o.held = false
	o.sealLocked(b)
	o.mu.Unlock()
}

func (o *outbox) sealLocked(b *batch) {
	if len(o.scratch) > 0 && !o.closed {
		o.queue = append(o.queue, reply{o.scratch, b})
		o.cond.Signal()
	}
	o.scratch = nil
}

// mark, since and cut look at the reply of the running command.
func (o *outbox) mark() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.scratch)
}

// since returns the beginning of what was written after the mark.
func (o *outbox) since(mark int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.scratch[mark:min(len(o.scratch), mark+8)])
}

func (o *outbox) cut(mark int) {
	o.mu.Lock()
	o.scratch = o.scratch[:mark]
	o.mu.Unlock()
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.cond.Signal()
	o.mu.Unlock()
}

// send writes replies until the outbox is closed and empty or the connection fails; then it closes the connection, which
// ends the reading side too.
func (o *outbox) send(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && !o.closed {
			o.cond.Wait()
		}
		queue := o.queue
		o.queue = nil
		o.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		if err := sendAll(conn, queue); err != nil {
			o.close()
			return
		}
	}
}

// sendAll waits for each batch and writes what is ready in as few pieces as sensible.
func sendAll(conn net.Conn, queue []reply) error {
	var buf []byte
	for _, r := range queue {
		octets := r.octets
		if r.batch != nil {
			if err := r.batch.wait(); err != nil {
				octets = []byte("-MISCONF the embedded store could not write its log: " + oneLine(err) + "\r\n")
			}
		}
		if buf == nil {
			buf = octets
		} else {
			buf = append(buf, octets...)
		}
		if len(buf) >= 64<<10 {
			if _, err := conn.Write(buf); err != nil {
				return err
			}
			buf = nil
		}
	}
	if len(buf) == 0 {
		return nil
	}
	_, err := conn.Write(buf)
	return err
}
