package relay

import (
	"cmp"
	"context"
	"errors"
	"time"

	"sekimori/internal/mail"
)

const timeAsk = 10 * time.Second // for the question; the caller's deadline may be shorter

// AskRecipient asks the backends of a recipient whether they take mail for it: MAIL FROM:<>, RCPT and RSET on a connection of
// the pool. The zero Reply is yes; any other is what was said to RCPT. An error means that it did not come to that: no
// backend of the recipient lives, or it refused before. A backend that is down is not looked for by this.
func (r *Relay) AskRecipient(ctx context.Context, rcpt mail.Address) (mail.Reply, error) {
	before := time.Now().Add(timeAsk)
	if end, ok := ctx.Deadline(); ok && end.Before(before) {
		before = end
	}
	err := errDead
	for _, b := range r.router().of(rcpt).order(r.o.Rand) {
		s, ok := b.(*smtpBackend)
		if !ok {
			err = errors.New("a Maildir cannot be asked")
			continue
		}
		var reply mail.Reply
		if reply, err = s.askRcpt(ctx, rcpt, before); err == nil {
			return reply, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return mail.Reply{}, cmp.Or(ctx.Err(), err)
}

// askRcpt asks over one connection; when an idle one turns out to be closed, over a new one.
func (b *smtpBackend) askRcpt(ctx context.Context, rcpt mail.Address, before time.Time) (mail.Reply, error) {
	for try := 0; ; try++ {
		c, res := b.connection(ctx, before, try > 0, mail.Client{})
		if c == nil {
			return mail.Reply{}, res.err
		}
		pooled := c.pooled
		reply, err := c.askRcpt(rcpt, before)
		if err == nil {
			b.ok()
			b.pool.put(c)
			return reply, nil
		}
		b.pool.drop(c)
		var step *stepError
		if !pooled || try > 0 || errors.As(err, &step) && step.err == nil {
			return mail.Reply{}, err
		}
		b.count.Stale.Add(1)
		b.pool.flush()
	}
}

// askRcpt leaves the connection as it was when it returns no error: no transaction is open.
func (c *client) askRcpt(rcpt mail.Address, before time.Time) (mail.Reply, error) {
	c.before = before
	if c.b != nil && c.b.tell == tellXclient && !c.told.IsZero() {
		// What is said to one client must not be remembered for all: it may be on a block list of the backend's.
		return mail.Reply{}, errOtherClient
	}
	to, ok := path(rcpt)
	if !ok {
		return mail.Permanent(553, 1, 3, "the address cannot be written in a command"), nil
	}
	if c.dirty {
		if err := c.command("RSET", "RSET", nil); err != nil {
			return mail.Reply{}, err
		}
		c.dirty = false
	}
	from := "MAIL FROM:<>"
	if !isASCII(rcpt.Local) {
		if !c.caps.utf8 {
			return mail.Transient(451, 6, 7, "the backend does not offer SMTPUTF8"), nil
		}
		from += " SMTPUTF8"
	}
	if err := c.command("MAIL", from, nil); err != nil {
		return mail.Reply{}, err
	}
	c.dirty = true
	var said mail.Reply
	err := c.command("RCPT", "RCPT TO:"+to, nil)
	var step *stepError
	switch {
	case err == nil:
	case errors.As(err, &step) && step.err == nil && step.reply.code >= 400 && step.reply.code != 421:
		said = step.reply.mail()
	default:
		return mail.Reply{}, err
	}
	if err := c.command("RSET", "RSET", nil); err != nil {
		return mail.Reply{}, err
	}
	c.dirty = false
	return said, nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
