package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"sekimori/internal/mail"
)

// How long a step may take (RFC 5321 section 4.5.3.2). In front of a waiting client the budget ends it earlier.
const (
	timeBanner  = 5 * time.Minute
	timeCommand = 5 * time.Minute
	timeData    = 2 * time.Minute // for the 354
	timeBlock   = 3 * time.Minute // for one write of data
	writeBlock  = 1 << 20         // octets of one write
)

// client is one connection to an SMTP or LMTP server. For one goroutine at a time. Once any of its methods has failed, the
// connection can only be closed: a RSET or QUIT behind a half-sent mail would deliver the half.
type client struct {
	nc      net.Conn
	look    *looker // what lies below nc
	r       replyReader
	w       *bufio.Writer
	lmtp    bool
	caps    caps
	before  time.Time // no read or write lasts longer
	dirty   bool      // a transaction is open that RSET must end
	pooled  bool      // it has waited in the pool: the server may have closed it meanwhile
	used    int       // finished transactions
	written int64     // octets that Write was given
	since   time.Time // when it was made
	b       *smtpBackend
	told    mail.Client // who the server was told that the client is, by XCLIENT or PROXY
	login   bool        // we have logged in
	idle    time.Time   // since when it waits in the pool
}

// caps is what the server offers (RFC 5321 section 4.1.1.1).
type caps struct {
	pipelining, eightBit, utf8, starttls bool
	chunking                             bool       // RFC 3030
	size                                 int64      // RFC 1870; 0: not said
	auth                                 mechanisms // RFC 4954
	xclient, xforward                    attributes // Postfix' extensions: the attributes that may be named
}

// stepError says at which step of a dialogue the server refused, or the connection broke.
type stepError struct {
	step  string
	reply reply // zero when the connection broke
	err   error
}

func (e *stepError) Error() string {
	if e.err != nil {
		return e.step + ": " + e.err.Error()
	}
	if e.reply.text == "" {
		return fmt.Sprintf("%s: the answer was %d", e.step, e.reply.code)
	}
	return fmt.Sprintf("%s: the answer was %s", e.step, e.reply.mail())
}

func (e *stepError) Unwrap() error { return e.err }

func newClient(nc net.Conn, lmtp bool, before time.Time) *client {
	c := &client{lmtp: lmtp, before: before, since: time.Now(), look: newLooker(nc)}
	c.attach(c.look)
	return c
}

// attach makes nc the connection; nothing that was read from or written to an earlier one remains.
func (c *client) attach(nc net.Conn) {
	c.nc = nc
	c.r = replyReader{src: nc}
	c.w = bufio.NewWriterSize(c, 32<<10)
}

// Write sends p in blocks, each with a deadline, so that a server which stops reading is cut.
func (c *client) Write(p []byte) (int, error) {
	sent := 0
	c.written += int64(len(p))
	for len(p) > 0 {
		if err := c.nc.SetWriteDeadline(c.deadline(timeBlock)); err != nil {
			return sent, err
		}
		n, err := c.nc.Write(p[:min(len(p), writeBlock)])
		sent += n
		if err != nil {
			return sent, err
		}
		p = p[n:]
	}
	return sent, nil
}

func (c *client) deadline(step time.Duration) time.Time {
	d := time.Now().Add(step)
	if !c.before.IsZero() && c.before.Before(d) {
		return c.before
	}
	return d
}

// expect reads one reply within step.
func (c *client) expect(step time.Duration, each func([]byte)) (reply, error) {
	if err := c.nc.SetReadDeadline(c.deadline(step)); err != nil {
		return reply{}, err
	}
	return c.r.read(each)
}

// command sends one command and reads its reply, which must be of the wanted class (2).
func (c *client) command(name, line string, each func([]byte)) error {
	if err := c.unasked(); err != nil {
		return &stepError{step: name, err: err}
	}
	c.w.WriteString(line)
	c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return &stepError{step: name, err: err}
	}
	p, err := c.expect(timeCommand, each)
	if err != nil {
		return &stepError{step: name, err: err}
	}
	if !p.ok() {
		return &stepError{step: name, reply: p}
	}
	return nil
}

// greet reads the banner.
func (c *client) greet() error {
	p, err := c.expect(timeBanner, nil)
	if err != nil {
		return &stepError{step: "banner", err: err}
	}
	if p.code != 220 {
		return &stepError{step: "banner", reply: p}
	}
	return nil
}

// hello says EHLO or LHLO and learns what the server offers.
func (c *client) hello(name string) error {
	verb := "EHLO"
	if c.lmtp {
		verb = "LHLO"
	}
	c.caps = caps{}
	return c.command(verb, verb+" "+name, c.caps.learn)
}

func (k *caps) learn(line []byte) {
	word, arg, _ := bytes.Cut(line, []byte{' '})
	if rest, old := bytes.CutPrefix(word, []byte("AUTH=")); old { // as servers wrote it before RFC 2554
		k.auth |= mechanismsOf(rest)
	}
	switch string(bytes.ToUpper(word)) {
	case "PIPELINING":
		k.pipelining = true
	case "8BITMIME":
		k.eightBit = true
	case "SMTPUTF8":
		k.utf8 = true
	case "STARTTLS":
		k.starttls = true
	case "CHUNKING":
		k.chunking = true
	case "AUTH":
		k.auth |= mechanismsOf(arg)
	case "XCLIENT":
		k.xclient = attributesOf(arg)
	case "XFORWARD":
		k.xforward = attributesOf(arg)
	case "SIZE":
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(arg)), 10, 64); err == nil && n > 0 {
			k.size = n
		}
	}
}

// errTLS marks a failed handshake, after which an opportunistic client tries again in clear text.
var errTLS = errors.New("TLS handshake")

// starttls changes to TLS (RFC 3207) and says hello again. With a refusal of the command the connection is still usable.
func (c *client) starttls(ctx context.Context, conf *tls.Config, name string) error {
	if err := c.command("STARTTLS", "STARTTLS", nil); err != nil {
		return err
	}
	if c.r.buffered() {
		return &stepError{step: "STARTTLS", err: errors.New("the server sent clear text behind its answer")}
	}
	if err := c.nc.SetDeadline(c.deadline(timeCommand)); err != nil {
		return &stepError{step: "STARTTLS", err: err}
	}
	tc := tls.Client(c.nc, conf)
	if err := tc.HandshakeContext(ctx); err != nil {
		return &stepError{step: "STARTTLS", err: fmt.Errorf("%w: %w", errTLS, err)}
	}
	c.attach(tc)
	return c.hello(name)
}

// timeQuit is for QUIT and the server's end of the connection together.
const timeQuit = time.Second

// quit ends a connection on which all is well, and returns when the server has closed it or has had its time.
func (c *client) quit() {
	defer c.close()
	if c.nc.SetDeadline(time.Now().Add(timeQuit)) != nil {
		return
	}
	if _, err := c.nc.Write([]byte("QUIT\r\n")); err == nil {
		_, _ = io.Copy(io.Discard, c.nc)
	}
}

// close ends the connection at once. TLS is not said good-bye to: the alert could wait for a server that reads nothing.
func (c *client) close() {
	nc := c.nc
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	_ = nc.Close()
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
