package relay

import (
	"errors"
	"time"
)

var errFinal = errors.New("what came after the final dot is no answer to it")

// flight is a mail whose final dot was sent and whose answer is outstanding.
type flight struct {
	c       *client
	b       *smtpBackend
	answers []answer
	next    int // LMTP answers each accepted recipient by itself (RFC 2033 section 4.2); the first without an answer
	since   time.Time
	chunk   bool // the data went by BDAT
	closing bool // the server closes the connection
}

// wait reads the answer until the time given. With a time-out (isTimeout) it can be called again; after any other error the
// backend may or may not have the mail.
func (f *flight) wait(until time.Time) error {
	f.c.before = until
	if !f.c.lmtp {
		p, err := f.final(until)
		if err != nil {
			return err
		}
		for i := range f.answers {
			if f.answers[i].state == accepted {
				f.answers[i] = answerOf(p)
			}
		}
		return nil
	}
	for ; f.next < len(f.answers); f.next++ {
		if f.answers[f.next].state != accepted {
			continue
		}
		p, err := f.final(until)
		if err != nil {
			return err
		}
		f.answers[f.next] = answerOf(p)
	}
	return nil
}

// final reads one answer to the final dot, with its words: by them the backend's administrator finds the mail there ("queued as …").
func (f *flight) final(until time.Time) (reply, error) {
	f.c.r.words = true
	p, err := f.c.expect(time.Until(until), nil)
	if err != nil {
		return reply{}, err
	}
	f.c.r.words = false
	if p.code/100 == 3 {
		return reply{}, errFinal
	}
	about, closing := f.b.toData(p, f.chunk)
	f.closing = f.closing || closing
	if f.chunk && !p.ok() {
		f.c.dirty = true // what remains of the transaction is not defined (RFC 3030 section 3)
	}
	return about, nil
}

// end gives the connection back, or closes it when something was wrong.
func (f *flight) end(err error) {
	if err != nil || f.closing || f.c.r.buffered() {
		f.b.pool.drop(f.c)
		return
	}
	f.b.pool.put(f.c)
}
