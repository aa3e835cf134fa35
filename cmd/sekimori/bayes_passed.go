package main

import (
	"context"
	"strings"
	"sync/atomic"

	"sekimori/filters/bayes"
	"sekimori/internal/front"
	"sekimori/internal/mail"
	"sekimori/reputation"
)

// Bounds of what waits to be remembered. One mail always fits.
const (
	passedWaiting = 1000
	passedOctets  = 16 << 20
)

// passedMails tells the watch over the Bayesian check what became of the mails that it had a part in. Their bodies are hashed off the path
// of the mail. A mail that finds no room is lost and counted: its report will not count against the check, and nothing worse.
type passedMails struct {
	watch   *reputation.BayesWatch
	todo    chan passedMail
	waiting atomic.Int64 // octets
	lost    atomic.Int64 // mails
}

type passedMail struct {
	msg *mail.Message // is not changed any more
	to  []mail.Address
}

func newPassedMails(w *reputation.BayesWatch) *passedMails {
	return &passedMails{watch: w, todo: make(chan passedMail, passedWaiting)}
}

// concluded takes a mail that has ended. It does not wait. What was refused or deferred, be it by the backend, was neither held nor passed.
func (p *passedMails) concluded(r front.Record) {
	if r.Message == nil || len(r.Ends) != len(r.Verdicts) || !strings.HasPrefix(r.Reply, "2") {
		return
	}
	to := p.watch.Ended(r.Verdicts, func(n int) bool {
		if r.Verdicts[n].Action == mail.Hold {
			return r.Ends[n] == front.EndHeld
		}
		return r.Ends[n] == front.Delivered || r.Ends[n] == front.Queued
	})
	if len(to) == 0 {
		return
	}
	size := int64(len(r.Message.Raw))
	if n := p.waiting.Add(size); n > passedOctets && n > size {
		p.waiting.Add(-size)
		p.lost.Add(1)
		return
	}
	select {
	case p.todo <- passedMail{r.Message, to}:
	default:
		p.waiting.Add(-size)
		p.lost.Add(1)
	}
}

// run works until ctx ends, and then on what waits: that takes milliseconds.
func (p *passedMails) run(ctx context.Context) {
	for {
		select {
		case m := <-p.todo:
			p.remember(m)
			continue
		case <-ctx.Done():
		}
		for {
			select {
			case m := <-p.todo:
				p.remember(m)
			default:
				return
			}
		}
	}
}

func (p *passedMails) remember(m passedMail) {
	p.watch.Passed(m.to, bayes.Fingerprint(m.msg))
	p.waiting.Add(-int64(len(m.msg.Raw)))
}
