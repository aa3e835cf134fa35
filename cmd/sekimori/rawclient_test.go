package main

import (
	"bufio"
	"net"
	"strings"
	"time"
)

// rawClient is a client for load: it never fails a test, since its server may be killed at any moment.
type rawClient struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialRaw(addr string) (*rawClient, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(40 * time.Second))
	if strings.HasSuffix(addr, ":0") {
		return nil, net.ErrClosed
	}
	return &rawClient{conn, bufio.NewReader(conn)}, nil
}

// ok sends a line, unless it is empty, and reports whether the reply begins with prefix.
func (c *rawClient) ok(line, prefix string) bool {
	if line != "" {
		if _, err := c.conn.Write([]byte(line + "\r\n")); err != nil {
			return false
		}
	} else {
		// Ours stand behind a balancer in these tests.
		if _, err := c.conn.Write([]byte("PROXY TCP4 192.0.2.9 127.0.0.1 40000 25\r\n")); err != nil {
			return false
		}
	}
	for {
		got, err := c.r.ReadString('\n')
		if err != nil || len(got) < 4 {
			return false
		}
		if got[3] != '-' {
			return strings.HasPrefix(got, prefix)
		}
	}
}
