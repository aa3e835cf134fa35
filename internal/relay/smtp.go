package relay

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// clearFor is how long a backend whose TLS handshake failed is spoken to in clear text, with mode opportunistic.
const clearFor = 10 * time.Minute

// smtpBackend is a server that speaks SMTP or LMTP.
type smtpBackend struct {
	target
	breaker
	tls    tlsPolicy
	hello  string
	late   time.Duration
	dialer dialer
	pool   *pool
	count  *Counters

	known atomic.Pointer[caps]
	clear atomic.Int64 // Unix nanoseconds until which no TLS is tried
}

func (b *smtpBackend) name() string                      { return b.url }
func (b *smtpBackend) health() *breaker                  { return &b.breaker }
func (b *smtpBackend) counts() (busy, idle, waiting int) { return b.pool.counts() }
func (b *smtpBackend) reap(now time.Time)                { b.pool.reap(now) }
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
		c, res := b.connection(ctx, before, try > 0)
		if c == nil {
			return res
		}
		x := c.transact(j, before)
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
		f := &flight{c: c, b: b, answers: x.answers, since: time.Now()}
		if until.IsZero() {
			until = f.since.Add(b.late)
		}
		return b.answer(f, until)
	}
}

// unsent ends an exchange in which the final dot was not sent.
func (b *smtpBackend) unsent(c *client, x *exchange) result {
	res := result{backend: b.url, answers: x.answers, err: x.err}
	if x.err == nil && !x.goAhead || x.intact {
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
	case errors.As(x.err, &step) && step.err != nil && !x.intact:
		res.hard, res.blame = true, true
	}
	return res
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
func (b *smtpBackend) connection(ctx context.Context, before time.Time, fresh bool) (*client, result) {
	c, err := b.pool.get(ctx, before, fresh)
	if c != nil {
		return c, result{}
	}
	if err == nil {
		if c, err = b.open(ctx, before); err == nil {
			return c, result{}
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
	case errors.As(err, &step):
		res.hard, res.blame = step.err != nil, true
	default:
		res.hard, res.blame = true, true
	}
	return nil, res
}

// open makes a connection in a slot that the caller holds; with an error the slot is given back.
func (b *smtpBackend) open(ctx context.Context, before time.Time) (*client, error) {
	c, err := b.handshake(ctx, before)
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
func (b *smtpBackend) handshake(ctx context.Context, before time.Time) (*client, error) {
	clear := !b.tls.use || time.Now().UnixNano() < b.clear.Load()
	c, err := b.greet(ctx, before, clear)
	if err == nil || clear || b.tls.required || !errors.Is(err, errTLS) {
		return c, err
	}
	b.clear.Store(time.Now().Add(clearFor).UnixNano())
	return b.greet(ctx, before, true)
}

// greet connects and goes through the dialogue up to where MAIL can be said.
func (b *smtpBackend) greet(ctx context.Context, before time.Time, clear bool) (*client, error) {
	nc, err := b.dialer.connect(ctx, b.target, before)
	if err != nil {
		return nil, err
	}
	// Nothing is handed over yet: a shutdown need not wait for a backend that says nothing.
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	c := newClient(nc, b.scheme != "smtp", before)
	if err := b.dialogue(ctx, c, clear); err != nil {
		c.close()
		return nil, err
	}
	k := c.caps
	b.known.Store(&k)
	return c, nil
}

func (b *smtpBackend) dialogue(ctx context.Context, c *client, clear bool) error {
	if err := c.greet(); err != nil {
		return err
	}
	if err := c.hello(b.hello); err != nil {
		return err
	}
	if clear {
		return nil
	}
	if !c.caps.starttls {
		if b.tls.required {
			return &stepError{step: "STARTTLS", reply: reply{code: 502, text: "the backend does not offer it, and tls is required"}}
		}
		return nil
	}
	err := c.starttls(ctx, b.tls.conf, b.hello)
	var step *stepError
	if err != nil && !b.tls.required && errors.As(err, &step) && step.step == "STARTTLS" && step.err == nil && step.reply.code != 421 {
		return nil // refused in words: the connection is as it was
	}
	return err
}

// probe makes a connection and leaves it in the pool.
func (b *smtpBackend) probe(ctx context.Context) error {
	before := time.Now().Add(timeBanner)
	if !b.pool.try() {
		// All slots are taken by connections that wait for late answers; one more is needed to see whether it lives.
		c, err := b.handshake(ctx, before)
		if err == nil {
			c.quit()
		}
		return err
	}
	c, err := b.open(ctx, before)
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
