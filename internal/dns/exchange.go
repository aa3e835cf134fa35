package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	miekg "github.com/miekg/dns"
)

const (
	headerLen = 12
	// ednsSize is what fits one packet on nearly every path (the DNS flag day of 2020), so that no answer is fragmented.
	ednsSize = 1232
	// maxForged bounds how many packets that are no answer to our question are passed over while we wait for the one that is.
	maxForged = 200
)

var errForged = errors.New("too many answers to other questions")

// query is one question in wire form (RFC 1035 section 4, RFC 6891).
type query struct {
	wire []byte
	end  int // of the question section
}

// newQuery packs a question under a random ID.
func newQuery(q question, edns bool) (query, error) {
	wire := make([]byte, headerLen+len(q.name)+2+4+11)
	binary.BigEndian.PutUint16(wire, uint16(rand.Uint32())) //nolint:gosec // ChaCha8, seeded by the system
	wire[2] = 1                                             // RD
	wire[5] = 1                                             // QDCOUNT
	off, err := miekg.PackDomainName(q.name, wire, headerLen, nil, false)
	if err != nil {
		return query{}, err
	}
	binary.BigEndian.PutUint16(wire[off:], q.qtype)
	binary.BigEndian.PutUint16(wire[off+2:], miekg.ClassINET)
	end := off + 4
	if !edns {
		return query{wire[:end], end}, nil
	}
	wire[11] = 1 // ARCOUNT: the OPT record, with the root as its name
	clear(wire[end : end+11])
	binary.BigEndian.PutUint16(wire[end+1:], miekg.TypeOPT)
	binary.BigEndian.PutUint16(wire[end+3:], ednsSize)
	return query{wire[:end+11], end}, nil
}

// answers reports whether msg answers this query: its ID, the QR bit, one question and that of ours, in any case. A
// FORMERR may come without the question.
func (q query) answers(msg []byte) bool {
	if len(msg) < headerLen || msg[0] != q.wire[0] || msg[1] != q.wire[1] || msg[2]&0x80 == 0 || msg[2]&0x78 != 0 {
		return false
	}
	if binary.BigEndian.Uint16(msg[4:]) == 0 {
		return msg[3]&15 == miekg.RcodeFormatError
	}
	if binary.BigEndian.Uint16(msg[4:]) != 1 || len(msg) < q.end {
		return false
	}
	for i := headerLen; i < q.end; i++ {
		a, b := q.wire[i], msg[i]
		if a >= 'A' && a <= 'Z' {
			a += 'a' - 'A'
		}
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		if a != b {
			return false
		}
	}
	return true
}

func truncated(msg []byte) bool { return msg[2]&2 != 0 }

// udp sends the query from a socket of its own (but see sockets), so that the port is as random as the ID, and waits for
// its answer at most limit. When half of it has passed in silence, half is called (if not nil).
func (q query) udp(ctx context.Context, from *sockets, limit time.Duration, half func()) (msg []byte, err error) {
	conn, err := from.take(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { from.give(conn, err == nil) }()
	start := time.Now()
	if _, err := conn.Write(q.wire); err != nil {
		return nil, err
	}
	end := start.Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	buf := make([]byte, 4096)
	first := end
	if half != nil {
		first = start.Add(limit / 2)
	}
	n, err := q.read(conn, buf, first)
	if half != nil && errors.Is(err, os.ErrDeadlineExceeded) && first.Before(end) {
		half()
		n, err = q.read(conn, buf, end)
	}
	return buf[:n], err
}

func (q query) read(conn net.Conn, buf []byte, deadline time.Time) (int, error) {
	if err := conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	for range maxForged {
		n, err := conn.Read(buf)
		if err != nil {
			return 0, err
		}
		if q.answers(buf[:n]) {
			return n, nil
		}
	}
	return 0, errForged
}

// tcp asks the same over TCP (RFC 7766).
func (q query) tcp(ctx context.Context, addr string, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(q.wire)), uint16(len(q.wire)))
	if _, err := conn.Write(append(framed, q.wire...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, msg); err != nil {
		return nil, err
	}
	if !q.answers(msg) || truncated(msg) {
		return nil, errForged
	}
	return msg, nil
}
