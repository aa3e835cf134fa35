package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// clearFor is how long a backend whose TLS handshake failed is spoken to in clear text, with mode opportunistic.
const clearFor = 10 * time.Minute

// smtpBackend is a server that speaks SMTP or LMTP.
type smtpBackend struct {
	target
	breaker
	tls    atomic.Pointer[tlsPolicy]
	hello  string
	late   time.Duration
	dialer dialer
	pool   *pool
	count  *Counters

	known atomic.Pointer[caps]
	clear atomic.Int64 // Unix nanoseconds until which no TLS is tried

	conf     config.Backend
	tell     clientMode
	auth     atomic.Pointer[authenticator] // nil: we do not log in
	noChunks atomic.Int64                  // Unix nanoseconds until which there is no BDAT
	lacking  atomic.Bool
	offered  atomic.Int64 // Unix nanoseconds at which a new connection last offered what tell needs
	log      *slog.Logger
	warn     func(cause, message string)
}

// noChunksFor is how long a backend that offered CHUNKING and did not know BDAT is given DATA.
const noChunksFor = time.Hour

func (b *smtpBackend) chunks() bool {
	return b.conf.Chunking && time.Now().UnixNano() >= b.noChunks.Load()
}

func (b *smtpBackend) name() string                      { return b.url }
func (b *smtpBackend) health() *breaker                  { return &b.breaker }
func (b *smtpBackend) counts() (busy, idle, waiting int) { return b.pool.counts() }
func (b *smtpBackend) shut(hard bool)                    { b.pool.shut(hard) }
func (b *smtpBackend) wake(err error)                    { b.pool.wake(err) }

func (b *smtpBackend) offers() (caps, bool) {
	k := b.known.Load()
	if k == nil {
		return caps{}, false
	}
	return *k, true
}

func (b *smtpBackend) send(ctx context.Context, j *job, before, until time.Time) result {
	for try := 0; ; try++ {
		era := b.pool.era.Load()
		c, res := b.connection(ctx, before, try > 0, j.client)
		if c == nil {
			return res
		}
		x := c.transact(j, before)
		if x.other && try < 2 {
			b.pool.drop(c)
			continue
		}
		if !x.stale && try < crowdTries && x.said421() {
			b.pool.drop(c)
			if b.crowded(era) {
				continue
			}
			return result{backend: b.url, fault: unwell, err: x.err}
		}
		if x.stale && try < 2 {
			// Servers close idle connections; nothing of the mail was sent, so a fresh one is tried without a word.
			b.count.Stale.Add(1)
			b.pool.drop(c)
			b.pool.flush()
			continue
		}
		if !x.sent {
			return b.unsent(c, x)
		}
		f := &flight{c: c, b: b, answers: x.answers, since: time.Now(), chunk: x.chunk}
		if until.IsZero() {
			until = f.since.Add(b.late)
		}
		return b.answer(f, until)
	}
}

// unsent ends an exchange in which the final dot was not sent.
func (b *smtpBackend) unsent(c *client, x *exchange) result {
	res := result{backend: b.url, answers: x.answers, err: x.err}
	if x.err == nil && !x.goAhead && !x.half || x.intact {
		b.pool.put(c)
	} else {
		b.pool.drop(c)
	}
	if x.err == nil || x.tooBig {
		b.ok()
		res.err = nil
		return res
	}
	res.fault, res.answers = unwell, nil
	var step *stepError
	switch {
	case errors.Is(x.err, errAborted):
		res.fault = aborted
	case refusedLogin(x.err), errors.As(x.err, &step) && step.err != nil && !x.intact:
		res.hard, res.blame = true, true
	}
	return res
}

// toData is the reply p to the data of a mail as one about the mail; closing says that the connection is not to be used again.
func (b *smtpBackend) toData(p reply, chunk bool) (about reply, closing bool) {
	switch {
	case p.code == 421:
		return p, true
	case chunk && p.code >= 500 && p.code <= 504:
		// That is about the command, which was offered: the mail is tried again with DATA.
		b.noChunks.Store(time.Now().Add(noChunksFor).UnixNano())
		return reply{code: 451, subject: 5, detail: 1, text: "BDAT was offered and refused: " + p.text}, true
	}
	return p, false
}

// answer waits for what is said to the final dot.
func (b *smtpBackend) answer(f *flight, until time.Time) result {
	res := result{backend: b.url, answers: f.answers}
	err := f.wait(until)
	if isTimeout(err) && time.Since(f.since) < b.late {
		res.flight, res.blame, res.err = f, true, err
		return res
	}
	f.end(err)
	if err == nil {
		b.ok()
		return res
	}
	res.answers, res.fault, res.err = nil, lost, &stepError{step: "final dot", err: err}
	res.hard, res.blame = true, true
	return res
}

// connection returns a connection on which a transaction can begin. Without one the result says why.
func (b *smtpBackend) connection(ctx context.Context, before time.Time, fresh bool, who mail.Client) (*client, result) {
	var err error
	for try := 0; ; try++ {
		era := b.pool.era.Load()
		var c *client
		if c, err = b.pool.get(ctx, before, fresh, who); c != nil {
			return c, result{}
		}
		if err == nil {
			if c, err = b.open(ctx, before, who); err == nil {
				return c, result{}
			}
		}
		// Where other connections of ours stand, there are too many, and one of them will be free soon.
		if !is421(err) || !b.crowded(era) {
			break
		}
		if fresh = false; try >= crowdTries {
			err = fmt.Errorf("%w: %w", errBusy, err)
			break
		}
	}
	res := result{backend: b.url, fault: unwell, err: err}
	var step *stepError
	switch {
	case ctx.Err() != nil:
		res.fault, res.err = aborted, ctx.Err()
	case errors.Is(err, errClosed), errors.Is(err, errBusy):
		res.fault = busy
	case errors.Is(err, errDead): // somebody else has seen it die
	case refusedLogin(err):
		res.hard, res.blame = true, true
	case errors.As(err, &step):
		res.hard, res.blame = step.err != nil, true
	default:
		res.hard, res.blame = true, true
	}
	return nil, res
}

// open makes a connection in a slot that the caller holds; with an error the slot is given back.
func (b *smtpBackend) open(ctx context.Context, before time.Time, who mail.Client) (*client, error) {
	c, err := b.handshake(ctx, before, who)
	if err == nil {
		err = b.pool.add(c)
	}
	if err != nil {
		if c != nil {
			c.close()
		}
		b.pool.forgo()
		return nil, err
	}
	return c, nil
}

// handshake connects, and once more in clear text when only an opportunistic TLS handshake failed.
func (b *smtpBackend) handshake(ctx context.Context, before time.Time, who mail.Client) (*client, error) {
	p := b.tls.Load()
	clear := !p.use || time.Now().UnixNano() < b.clear.Load()
	c, err := b.greet(ctx, before, clear, who)
	if err == nil || clear || p.required || !errors.Is(err, errTLS) {
		return c, err
	}
	b.clear.Store(time.Now().Add(clearFor).UnixNano())
	return b.greet(ctx, before, true, who)
}

// greet connects and goes through the dialogue up to where MAIL can be said.
func (b *smtpBackend) greet(ctx context.Context, before time.Time, clear bool, who mail.Client) (*client, error) {
	nc, err := b.dialer.connect(ctx, b.target, before)
	if err != nil {
		return nil, err
	}
	// Nothing is handed over yet: a shutdown need not wait for a backend that says nothing.
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	c := newClient(nc, b.scheme != "smtp", before)
	c.b = b
	if b.tell.perClient() {
		c.told = who
		if local, ok := nc.LocalAddr().(*net.TCPAddr); ok && b.tell == tellProxyV1 && !who.Addr.IsValid() {
			// Postfix does not know UNKNOWN: a connection of our own names ourselves.
			who = mail.Client{Addr: local.AddrPort().Addr().Unmap(), Port: local.AddrPort().Port()}
		}
		if _, err := c.Write(proxyHeader(b.tell, who, peer(nc))); err != nil {
			c.close()
			return nil, &stepError{step: "PROXY header", err: err}
		}
	}
	if err := b.dialogue(ctx, c, clear); err != nil {
		c.close()
		return nil, err
	}
	k := c.caps
	b.known.Store(&k)
	b.has(k, c.since)
	return c, nil
}

func (b *smtpBackend) dialogue(ctx context.Context, c *client, clear bool) error {
	if err := c.greet(); err != nil {
		return err
	}
	if err := c.hello(b.hello); err != nil {
		return err
	}
	if err := b.encrypt(ctx, c, clear); err != nil {
		return err
	}
	if a := b.auth.Load(); a != nil {
		return c.authenticate(a)
	}
	return nil
}

// encrypt changes to TLS as the policy says.
func (b *smtpBackend) encrypt(ctx context.Context, c *client, clear bool) error {
	p := b.tls.Load()
	if clear && !p.required {
		return nil
	}
	if !c.caps.starttls {
		if p.required {
			return &stepError{step: "STARTTLS", reply: reply{code: 502, text: "the backend does not offer it, and tls is required"}}
		}
		return nil
	}
	err := c.starttls(ctx, p.conf, b.hello)
	var step *stepError
	if err != nil && !p.required && errors.As(err, &step) && step.step == "STARTTLS" && step.err == nil && step.reply.code >= 400 && step.reply.code != 421 {
		return nil // refused in words: the connection is as it was
	}
	return err
}

// probe makes a connection and leaves it in the pool.
func (b *smtpBackend) probe(ctx context.Context) error {
	before := time.Now().Add(timeBanner)
	if !b.pool.try() {
		// All slots are taken by connections that wait for late answers; one more is needed to see whether it lives.
		c, err := b.handshake(ctx, before, mail.Client{})
		if err == nil {
			c.quit()
		}
		return err
	}
	c, err := b.open(ctx, before, mail.Client{})
	if err != nil {
		return err
	}
	b.pool.put(c)
	return nil
}

// dialTCP is the dialer of a relay that was given none.
func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
}
