package recipients

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sekimori/internal/mail"
)

const (
	probeEvery  = time.Hour
	probeAgain  = 15 * time.Second // after one that nobody answered
	believeFor  = 24 * time.Hour   // what a backend accepted is asked again after so long, if it answers
	mostCallout = 200_000
	saveEvery   = time.Minute
)

// calloutPlace asks the backend, by RCPT, and remembers. First it asks for an address that cannot exist: a backend that takes
// that one takes all at RCPT (Exchange since 2013 does, and refuses after DATA), and what it says proves nothing.
type calloutPlace struct {
	names []string
	asker Asker
	o     *Options
	live  *live
	path  string // of what is remembered, on the disk; "": none
	keep  time.Duration

	mu     sync.Mutex
	found  map[string]time.Time // Key -> when the backend last took it
	open   map[string]bool      // domain -> it takes every address; absent: not known yet
	next   time.Time            // of the probe
	saved  time.Time
	dirty  bool
	err    error // of the last question
	probes sync.Mutex
}

func (d *Directory) newCallout(names []string) (place, error) {
	r := d.o.Config.Recipients
	c := &calloutPlace{
		names: names, asker: d.o.Asker, o: &d.o, found: map[string]time.Time{}, open: map[string]bool{},
		keep: or(r.KnownFor.D(), 7*24*time.Hour),
		live: newLive(max(r.Lookups, 1), or(r.LookupTimeout.D(), 3*time.Second), d.o.unknownFor(), d.o.Now),
	}
	if d.o.Dir != "" {
		c.path = filepath.Join(d.o.Dir, "callout-"+names[0]+".json")
		if err := c.load(); err != nil {
			d.o.Warn("recipients."+c.label(), "what the backend accepted before cannot be read, it is asked anew: "+err.Error())
		}
	}
	return c, nil
}

func (c *calloutPlace) label() string { return "callout:" + strings.Join(c.names, ",") }
func (c *calloutPlace) tempo() *pace  { return &c.live.pace }

// known has what the backend took a short time ago, and everything when it takes everything.
func (c *calloutPlace) known(a mail.Address) (record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[a.Domain] {
		return record{}, a.Local == ""
	}
	at, ok := c.found[a.Key()]
	return record{}, ok && c.o.Now().Sub(at) < believeFor
}

func (c *calloutPlace) ask(ctx context.Context, a mail.Address) verdict {
	key := a.Key()
	if c.live.unknown(key) {
		return verdict{result: Unknown}
	}
	got, err := c.live.ask(ctx, key, func(ctx context.Context) ([]Entry, error) { return c.question(ctx, a) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	switch {
	case err == nil && len(got) > 0:
		c.remember(key)
		return verdict{result: Known, asked: true}
	case err == nil:
		delete(c.found, key)
		c.dirty = true
		return verdict{result: Unknown, asked: true}
	}
	if at, ok := c.found[key]; ok && c.o.Now().Sub(at) < c.keep {
		return verdict{result: Known, asked: true}
	}
	return verdict{result: NotNow, why: "the backend was asked and gave no answer: " + err.Error(), asked: true}
}

// remember notes that the backend took an address. The lock is held.
func (c *calloutPlace) remember(key string) {
	if len(c.found) >= mostCallout {
		for k := range c.found { // any will do; it is asked again
			delete(c.found, k)
			break
		}
	}
	c.found[key] = c.o.Now()
	c.dirty = true
}

// question asks for one address, after it is known whether the backend's answers mean anything.
func (c *calloutPlace) question(ctx context.Context, a mail.Address) ([]Entry, error) {
	all, err := c.takesAll(ctx, a.Domain)
	if err != nil {
		return nil, err
	}
	yes := []Entry{{Address: a}}
	if all {
		return yes, nil
	}
	reply, err := c.rcpt(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case reply.IsZero():
		return yes, nil
	case !reply.IsPermanent():
		return nil, fmt.Errorf("%w: %s", errAboutOne, reply)
	case saysUnknown(reply):
		return nil, nil
	}
	// It refuses for another reason (full, policy, closed to strangers): that is for it to say when the mail comes.
	return yes, nil
}

func (c *calloutPlace) rcpt(ctx context.Context, a mail.Address) (mail.Reply, error) {
	if c.asker == nil {
		return mail.Reply{}, errors.New("the backend is asked by the running server only")
	}
	return c.asker.AskRecipient(ctx, a)
}

// saysUnknown reports whether a refusal is about the existence of the address (RFC 3463: 5.1.x but for 5.1.7 and 5.1.8, which are
// about the sender, and 5.2.1 disabled), or a bare 550, 551 or 553.
func saysUnknown(r mail.Reply) bool {
	e := r.Enhanced()
	switch {
	case e[1] == 1 && (e[2] == 7 || e[2] == 8):
		return false
	case e[1] == 1, e[1] == 2 && e[2] == 1:
		return true
	case e[1] == 0 && e[2] == 0:
		return r.Code() == 550 || r.Code() == 551 || r.Code() == 553
	}
	return false
}

// takesAll says whether the backend takes every address of a domain, and finds out when that is not known.
func (c *calloutPlace) takesAll(ctx context.Context, domain string) (bool, error) {
	c.probes.Lock()
	defer c.probes.Unlock()
	c.mu.Lock()
	all, ok := c.open[domain]
	c.mu.Unlock()
	if ok {
		return all, nil
	}
	return c.probe(ctx, domain)
}

// probe asks for an address that nobody can have.
func (c *calloutPlace) probe(ctx context.Context, domain string) (bool, error) {
	var b strings.Builder
	b.WriteString("sekimori-probe-")
	for range 20 {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz"[c.o.Random(26)])
	}
	reply, err := c.rcpt(ctx, mail.Address{Local: b.String(), Domain: domain})
	if err == nil && !reply.IsZero() && !reply.IsPermanent() {
		err = errors.New(reply.String())
	}
	if err != nil {
		return false, err
	}
	all := !reply.IsPermanent() || !saysUnknown(reply)
	if !all && reply.Enhanced()[1] == 0 {
		// A bare 550 may be about the null sender or about us. Postmaster must exist (RFC 5321 section 4.5.1): who refuses that one
		// as well says nothing about addresses, and nobody would get mail any more.
		if all, err = c.refusesAll(ctx, domain); err != nil {
			return false, err
		}
	}
	message := ""
	switch {
	case reply.IsZero():
		message = fmt.Sprintf("the backend of %s accepts every address at RCPT (Exchange 2013 and later do), so callout cannot tell who exists: "+
			"every recipient is accepted, as with \"any\"; give it a list with file:, ldap: or sql:", domain)
	case all:
		message = fmt.Sprintf("the backend of %s refuses even to be asked (%s), so callout cannot tell who exists: every recipient is accepted, as with \"any\"", domain, reply)
	}
	c.o.Warn("recipients.callout."+domain, message)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[domain] && !all {
		clear(c.found) // what was found while everything was accepted means nothing
		c.o.Log.Info("recipients: the backend now tells who exists", "domain", domain)
	}
	c.open[domain] = all
	c.dirty = true
	return all, nil
}

func (c *calloutPlace) refusesAll(ctx context.Context, domain string) (bool, error) {
	reply, err := c.rcpt(ctx, mail.Address{Local: "postmaster", Domain: domain})
	if err == nil && !reply.IsZero() && !reply.IsPermanent() {
		err = errors.New(reply.String())
	}
	return err == nil && reply.IsPermanent(), err
}

// tick probes again when that is due, and writes down what is remembered.
func (c *calloutPlace) tick(ctx context.Context) {
	now := c.o.Now()
	c.mu.Lock()
	due, save := !now.Before(c.next), c.dirty && now.Sub(c.saved) >= saveEvery
	c.mu.Unlock()
	if due {
		_ = c.sync(ctx, false) // its error stands in the status
	}
	if save {
		c.save()
	}
}

// sync probes every domain anew; force forgets what the backend said.
func (c *calloutPlace) sync(ctx context.Context, force bool) error {
	c.live.forget()
	if force {
		c.mu.Lock()
		clear(c.found)
		c.mu.Unlock()
	}
	c.probes.Lock()
	defer c.probes.Unlock()
	var errs []error
	for _, name := range c.names {
		begun := time.Now()
		ctx, stop := context.WithTimeout(ctx, c.live.timeout)
		_, err := c.probe(ctx, name)
		stop()
		if err == nil {
			c.live.pace.add(time.Since(begun))
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	if c.next = c.o.Now().Add(probeEvery); err != nil {
		c.next = c.o.Now().Add(probeAgain)
	}
	return err
}

func (c *calloutPlace) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Entries: len(c.found), Taken: c.saved}
	for _, name := range c.names {
		if c.open[name] {
			s.Accepts = append(s.Accepts, name)
		}
	}
	slices.Sort(s.Accepts)
	if c.err != nil {
		s.Error = c.err.Error()
	}
	return s
}

func (c *calloutPlace) close() error {
	c.mu.Lock()
	dirty := c.dirty
	c.mu.Unlock()
	if dirty {
		c.save()
	}
	return nil
}
