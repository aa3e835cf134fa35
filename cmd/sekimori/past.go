package main

import (
	"context"
	"log/slog"
	"time"

	"sekimori/internal/front"
	"sekimori/internal/mail"
	"sekimori/reputation"
)

// pastWriter remembers of which senders mail was delivered, off the path of the mail. What cannot be written in time is forgotten: it
// makes a sender seem newer than he is, and nothing worse.
type pastWriter struct {
	history *reputation.History
	log     *slog.Logger
	todo    chan pastMail
}

type pastMail struct {
	sender string
	rcpts  []mail.Address
}

func newPastWriter(h *reputation.History, log *slog.Logger) *pastWriter {
	return &pastWriter{history: h, log: log, todo: make(chan pastMail, 1000)}
}

// concluded takes a mail that has ended. It does not wait.
func (p *pastWriter) concluded(r front.Record) {
	sender, rcpts := "", []mail.Address(nil)
	for i, end := range r.Ends {
		if end == front.Delivered || end == front.Queued {
			rcpts = append(rcpts, mailboxOf(r, i))
		}
	}
	if len(rcpts) == 0 {
		return
	}
	for i := range r.Outcomes {
		for _, f := range r.Outcomes[i].Facts {
			if f.Name == "history.sender" {
				sender, _ = f.Value.(string)
			}
		}
	}
	if sender == "" {
		return
	}
	select {
	case p.todo <- pastMail{sender, rcpts}:
	default:
		p.log.Debug("what was delivered is not remembered, the store is too slow", "id", r.ID)
	}
}

func mailboxOf(r front.Record, i int) mail.Address {
	if boxes := r.Mailboxes[r.Rcpts[i]]; len(boxes) == 1 {
		return boxes[0]
	}
	return r.Rcpts[i]
}

// run writes until ctx ends.
func (p *pastWriter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-p.todo:
			write, stop := context.WithTimeout(ctx, 5*time.Second)
			if err := p.history.Note(write, d.sender, d.rcpts, reputation.Delivered); err != nil {
				p.log.Debug("what was delivered is not remembered", "err", err)
			}
			stop()
		}
	}
}
