package imapfolder

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

var errFlood = errors.New("the server sends more than was asked for")

// guarded is a connection that waits for a bounded time and takes a bounded number of octets. Who uses it cannot lift the bounds. One
// goroutine reads, one writes.
type guarded struct {
	net.Conn
	idle time.Duration
	end  time.Time
	left int64       // octets that may still be read
	full atomic.Bool // there were more
}

func (g *guarded) deadline() time.Time {
	if t := time.Now().Add(g.idle); t.Before(g.end) {
		return t
	}
	return g.end
}

func (g *guarded) Read(b []byte) (int, error) {
	if g.left <= 0 {
		g.full.Store(true)
		return 0, errFlood
	}
	if err := g.Conn.SetReadDeadline(g.deadline()); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(b[:min(int64(len(b)), g.left)])
	g.left -= int64(n)
	return n, err
}

func (g *guarded) Write(b []byte) (int, error) {
	if err := g.Conn.SetWriteDeadline(g.deadline()); err != nil {
		return 0, err
	}
	return g.Conn.Write(b)
}

func (*guarded) SetDeadline(time.Time) error      { return nil }
func (*guarded) SetReadDeadline(time.Time) error  { return nil }
func (*guarded) SetWriteDeadline(time.Time) error { return nil }

// connect makes an encrypted connection with a verified certificate. Behind STARTTLS there is no greeting; one is put in its place,
// which begins the dialogue anew: what was said in clear text counts for nothing.
func connect(ctx context.Context, o *Options, g *guarded) (conn net.Conn, err error) {
	if g.Conn, err = o.Dial(ctx, "tcp", o.Addr); err != nil {
		return nil, err
	}
	raw := g.Conn
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if o.StartTLS {
		if err := startTLS(g); err != nil {
			_ = raw.Close()
			return nil, err
		}
	}
	encrypted := tls.Client(g, o.TLS)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if o.StartTLS {
		return &greeted{Conn: encrypted, greeting: []byte("* OK ready\r\n")}, nil
	}
	return encrypted, nil
}

// startTLS asks for encryption. It reads octet by octet, so that nothing a server (or who stands between) sent along with its answer is
// taken for what was said under encryption.
func startTLS(g *guarded) error {
	line, err := readLine(g)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(strings.ToUpper(line), "* OK") {
		return fmt.Errorf("the server begins with %q", printable(line))
	}
	if _, err := g.Write([]byte("s1 STARTTLS\r\n")); err != nil {
		return err
	}
	for range mostLines {
		if line, err = readLine(g); err != nil {
			return err
		}
		if rest, ok := strings.CutPrefix(line, "s1 "); ok {
			if strings.HasPrefix(strings.ToUpper(rest), "OK") {
				return nil
			}
			return fmt.Errorf("the server does not offer STARTTLS: %s", printable(rest))
		}
	}
	return errFlood
}

const (
	mostLines = 20
	mostLine  = 1000
)

func readLine(g *guarded) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) < mostLine {
		if _, err := g.Read(b[:]); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, b[0])
	}
	return "", errFlood
}

// greeted is a connection on which a greeting is read first.
type greeted struct {
	net.Conn
	greeting []byte
}

func (g *greeted) Read(b []byte) (int, error) {
	if len(g.greeting) > 0 {
		n := copy(b, g.greeting)
		g.greeting = g.greeting[n:]
		return n, nil
	}
	return g.Conn.Read(b)
}

// printable is what a server said, for a log.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F {
			return '?'
		}
		return r
	}, s)
}
