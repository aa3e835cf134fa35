package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/relay"
	"sekimori/quarantine"
)

// holdUndeliverable keeps a mail that no backend will have although we acknowledged it. The ID is made from that of the
// queue's entry and the recipients, so that a call that is repeated after a crash holds it once, and recipients that fail
// later get a hold of their own.
func (s *server) holdUndeliverable(ctx context.Context, f relay.Failure) (relay.Fate, error) {
	content := f.Content.Bytes()
	m := mime.Parse(content)
	h := quarantine.Held{
		Class: "undeliverable", From: f.Entry.From, Subject: m.Subject, Time: time.Now(), Rule: "undeliverable",
		EightBit: f.Entry.EightBit, UTF8: f.Entry.UTF8, Body: mail.Content{content},
	}
	if len(m.From) > 0 {
		h.HeaderFrom = m.From[0].Raw
	}
	sum := fnv.New64a()
	for _, r := range f.Rcpts {
		_, _ = sum.Write([]byte(r.Addr.Key() + " "))
		h.Rcpts = append(h.Rcpts, r.Addr)
		h.Reasons = append(h.Reasons, mail.Counted{Name: "UNDELIVERABLE", Evidence: []mail.Evidence{{Key: "rcpt", Value: r.Addr.String()}, {Key: "reply", Value: r.Reply.String()}}})
	}
	h.Owners = s.rcpts.Owners(h.Rcpts)
	h.ID = fmt.Sprintf("%s.u%x", f.Entry.ID, sum.Sum64())
	err := s.keeper.Hold(ctx, h)
	s.log.Warn("undeliverable", "id", f.Entry.ID, "held_as", h.ID, "from", f.Entry.From.String(), "rcpts", len(f.Rcpts), "err", err)
	return relay.Fate{State: ledger.Moved, Detail: "held as " + h.ID}, err
}
