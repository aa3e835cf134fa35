package main

import (
	"context"
	"time"

	"sekimori/internal/bounce"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/relay"
	"sekimori/quarantine"
)

// undeliverable decides about a mail that no backend will have although we acknowledged it: its sender is told when that cannot
// hit anybody else, and otherwise the mail is held. The ID of either is made from that of the queue's entry and the recipients, so
// that a call that is repeated after a crash makes one of it, and recipients that fail later get one of their own.
func (s *server) undeliverable(ctx context.Context, f relay.Failure) (relay.Fate, error) {
	if fate, is, err := s.lostDigest(ctx, f); is {
		return fate, err
	}
	if f.Rcpts[0].Unknown {
		return relay.Fate{State: ledger.Uncertain, Detail: f.Rcpts[0].Reply.String()}, nil
	}
	content := f.Content.Bytes()
	m := mime.Parse(content)
	notice, why := s.report(bounce.Failed, f, m)
	if notice != nil {
		s.log.Warn("undeliverable, the sender is told", "id", f.Entry.ID, "report", notice.ID, "to", f.Entry.From.String(), "rcpts", len(f.Rcpts))
		return relay.Fate{State: ledger.Bounced, Detail: "report " + notice.ID, Notice: notice}, nil
	}
	if f.Entry.Lane == relay.LaneJournal {
		s.warn.set(relay.WarnJournal, "the archive did not take copies before journal.lifetime ended; they are held as undeliverable")
	}
	h := quarantine.Held{
		Class: "undeliverable", From: f.Entry.From, Subject: m.Subject, Time: time.Now(), Rule: "undeliverable",
		EightBit: f.Entry.EightBit, UTF8: f.Entry.UTF8, Body: mail.Content{content},
	}
	if len(m.From) > 0 {
		h.HeaderFrom, h.FromName = m.From[0].Raw, m.From[0].Name
	}
	h.Attachments, h.Attached = m.FileNames(quarantine.MaxNames)
	for _, r := range f.Rcpts {
		h.Rcpts = append(h.Rcpts, r.Addr)
		h.Reasons = append(h.Reasons, mail.Counted{Name: "UNDELIVERABLE", Evidence: []mail.Evidence{
			{Key: "rcpt", Value: r.Addr.String()}, {Key: "reply", Value: r.Reply.String()}, {Key: "no_report", Value: why},
		}})
	}
	h.Owners = s.rcpts().Owners(h.Rcpts)
	h.ID = bounce.ID(f.Entry.ID, "undeliverable", h.Rcpts)
	var err error
	if !f.Known(h.ID) {
		err = s.keeper.Hold(ctx, h)
	}
	if err != nil {
		s.log.Error("undeliverable mail cannot be held yet", "id", f.Entry.ID, "err", err)
	} else {
		s.log.Warn("undeliverable", "id", f.Entry.ID, "held_as", h.ID, "from", f.Entry.From.String(), "rcpts", len(f.Rcpts), "no_report", why)
	}
	return relay.Fate{State: ledger.Moved, Detail: "held as " + h.ID + "; no report to the sender: " + why}, err
}

// delayed tells the sender that a mail still waits; nil when it must not be told.
func (s *server) delayed(_ context.Context, f relay.Failure) *relay.Envelope {
	notice, why := s.report(bounce.Delayed, f, mime.Parse(f.Content.Bytes()))
	if notice == nil {
		s.log.Info("delayed, the sender is not told", "id", f.Entry.ID, "why", why)
		return nil
	}
	s.log.Info("delayed, the sender is told", "id", f.Entry.ID, "report", notice.ID, "to", f.Entry.From.String())
	return notice
}

// report writes the report of a failure or delay, or says why there is none.
func (s *server) report(action string, f relay.Failure, m *mail.Message) (*relay.Envelope, string) {
	cfg := s.relay.Config()
	if !cfg.Bounce.Configured() {
		return nil, "[bounce] is not configured"
	}
	origin, err := mail.ParseOrigin(f.Entry.Meta)
	if err != nil {
		return nil, err.Error()
	}
	if why := bounce.Refusal(f.Entry.From, origin, m); why != "" {
		return nil, why
	}
	r := bounce.Report{
		Action: action, Hostname: cfg.Hostname, From: cfg.Bounce.From, Lang: cfg.Bounce.Lang, To: f.Entry.From, Now: time.Now(),
		Origin: origin, Arrived: origin.Arrived, Until: f.Entry.Created.Add(cfg.Relay.QueueLifetime.D()),
		Message: m, UTF8: f.Entry.UTF8,
	}
	rcpts := make([]mail.Address, 0, len(f.Rcpts))
	for _, c := range f.Rcpts {
		rcpts = append(rcpts, c.Addr)
		r.Rcpts = append(r.Rcpts, bounce.Rcpt{Addr: c.Addr, Reply: c.Reply, Own: c.Own, By: c.By, At: c.At})
	}
	r.ID = bounce.ID(f.Entry.ID, action, rcpts)
	return &relay.Envelope{
		ID: r.ID, Rcpts: []mail.Address{r.To}, Content: mail.Content{r.Bytes()}, UTF8: r.NeedsUTF8(), Lane: relay.LaneOutbound,
		Meta: mail.Origin{Kind: mail.KindReport, ID: origin.ID}.Encode,
	}, ""
}
