package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

var errUnasked = errors.New("the server said something that it was not asked for")

// looker is a connection whose Read can look instead of wait. It lies below TLS, so that what a record holds back is found as well.
type looker struct {
	net.Conn
	looking bool

	raw  syscall.RawConn // nil: not a socket
	read func(uintptr) bool
	p    []byte // for read
	n    int
	err  error
}

func newLooker(nc net.Conn) *looker {
	l := &looker{Conn: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			l.raw = raw
		}
	}
	l.read = func(fd uintptr) bool {
		l.n, l.err = syscall.Read(int(fd), l.p) // the descriptor does not block
		return true
	}
	return l
}

// Read is that of the connection. While looking it does not wait: nothing there is a time-out, and so is
// everything when it is no socket.
func (l *looker) Read(p []byte) (int, error) {
	switch {
	case !l.looking || len(p) == 0:
		return l.Conn.Read(p)
	case l.raw == nil:
		return 0, os.ErrDeadlineExceeded
	}
	l.p = p
	err := l.raw.Read(l.read)
	l.p = nil
	switch {
	case err != nil:
		return 0, err
	case l.err == nil && l.n == 0:
		return 0, io.EOF
	case l.err == nil:
		return l.n, nil
	case errors.Is(l.err, syscall.EAGAIN), errors.Is(l.err, syscall.EINTR):
		return 0, os.ErrDeadlineExceeded
	}
	return 0, l.err
}

// unasked looks whether the server has said something although nothing was asked, or has closed the connection: nil says that all is
// well. An answer that is there before its question cannot be the answer. It costs one system call, and no time.
func (c *client) unasked() error {
	if c.r.buffered() {
		return c.r.said()
	}
	// A deadline that has passed would hide what is there.
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	c.look.looking = true
	err := c.r.fill()
	c.look.looking = false
	switch {
	case c.r.buffered():
		return c.r.said()
	case isTimeout(err):
		return nil
	}
	return err
}

// said is errUnasked with the words.
func (r *replyReader) said() error {
	line, _, _ := bytes.Cut(r.buf[r.r:r.w], []byte{'\n'})
	return fmt.Errorf("%w: %q", errUnasked, printable(line))
}

// data sends the mail. Its end, the final dot or the end of the last chunk, is the last octet written: with an error the server cannot
// have it. Before each of the two flushes that matter it looks whether the server has said something already: with one reply too many
// the next would be taken for that to the mail.
func (x *exchange) data() {
	c := x.c
	if err := c.unasked(); err != nil {
		x.fail("data", reply{}, err)
		return
	}
	write := writeStuffed
	if x.chunk {
		write = writeChunk
	}
	out := c.written
	err := write(c.w, x.j.content) // the last octet is in the buffer now
	if err == nil && x.j.beforeEnd != nil {
		if err := x.j.beforeEnd(); err != nil {
			x.err = errors.Join(errAborted, err)
			return
		}
	}
	if err == nil && c.written != out && c.w.Buffered() > 0 && c.unasked() != nil {
		x.early()
		return
	}
	if err == nil {
		err = c.w.Flush()
	}
	if err != nil {
		x.err = &stepError{step: "data", err: err}
		return
	}
	x.sent = true
}

// early takes what the server says while the mail is on its way to it. A refusal need not wait for the end of the mail. Anything else
// cannot be an answer to it.
func (x *exchange) early() {
	p, err := x.c.expect(timeData, nil)
	if err != nil || p.code < 400 || p.code == 421 || x.c.lmtp {
		if err == nil && p.code < 400 {
			p, err = reply{}, errUnasked
		}
		x.fail("data", p, err)
		return
	}
	p, _ = x.c.b.toData(p, x.chunk)
	for i := range x.answers {
		if x.answers[i].state == accepted {
			x.answers[i] = answerOf(p)
		}
	}
	x.half = true
}
