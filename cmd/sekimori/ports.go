package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/front"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/metrics"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
	"sekimori/quarantine"
)

// The front says what it needs in interfaces of its own; these types fit the packages to them.

type relayPort struct{ *relay.Relay }

func (r relayPort) Deliver(ctx context.Context, e front.Envelope) ([]front.Answer, error) {
	answers, err := r.Relay.Deliver(ctx, toRelay(e))
	if errors.Is(err, relay.ErrDown) {
		err = fmt.Errorf("%w: %w", front.ErrDown, err)
	}
	out := make([]front.Answer, len(answers))
	for i, a := range answers {
		out[i] = front.Answer(a)
	}
	return out, err
}

func (r relayPort) Stage(ctx context.Context, e front.Envelope) (front.Staged, error) {
	st, err := r.Relay.Stage(ctx, toRelay(e))
	if err != nil {
		return nil, err
	}
	return st, nil
}

func (r relayPort) Queue(ctx context.Context, e front.Envelope) error {
	return r.Relay.Queue(ctx, toRelay(e))
}

func toRelay(e front.Envelope) relay.Envelope {
	return relay.Envelope{
		ID: e.ID, From: e.From, Rcpts: e.Rcpts, Content: e.Content, EightBit: e.EightBit, UTF8: e.UTF8, Client: e.Client,
		Meta: e.Meta, Lane: e.Lane,
	}
}

type keeperPort struct{ *quarantine.Store }

func (k keeperPort) Hold(ctx context.Context, h front.Held) error {
	return k.Store.Hold(ctx, quarantine.Held(h))
}

type spoolPort struct{ *spool.Spool }

func (s spoolPort) Temp(hint int64) (front.Temp, error) {
	t, err := s.Spool.Temp(hint)
	if err != nil {
		return nil, err
	}
	return temp{t}, nil
}

type temp struct{ *spool.Temp }

func (t temp) Map() ([]byte, error) { return t.Bytes() }

// endsPort writes into the ledger what the front acknowledges and keeps nowhere.
type endsPort struct {
	ledger *ledger.Ledger
	log    *slog.Logger
}

func endings(ends []front.End) []ledger.Ending {
	list := make([]ledger.Ending, len(ends))
	for i, e := range ends {
		list[i] = ledger.Ending{Rcpt: e.Rcpt, State: ledger.State(e.State), Detail: e.Detail}
	}
	return list
}

func (p endsPort) Direct(id string, ends []front.End) error {
	return p.ledger.Direct(id, endings(ends)...)
}

func (p endsPort) Undo(id string, ends []front.End) {
	if err := p.ledger.Undo(id, endings(ends)...); err != nil {
		p.log.Error("ledger: an end that was not acknowledged cannot be taken back", "id", id, "err", err)
	}
}

// releaser hands released mail to the relay's queue.
type releaser struct{ relay *relay.Relay }

// journal stages the archive's copy of a released mail, which was not accepted for anybody before.
func (r releaser) journal(ctx context.Context, m quarantine.Release) (*relay.Staged, error) {
	c := r.relay.Config()
	ours := slices.ContainsFunc(m.Rcpts, func(a mail.Address) bool {
		return c.Ours(a.Domain) && (len(c.Journal.Domains) == 0 || slices.Contains(c.Journal.Domains, a.Domain))
	})
	if !c.Journal.Enabled() || !ours {
		return nil, nil
	}
	st, err := r.relay.Stage(ctx, toRelay(front.JournalCopy(front.JournalOptions{Hostname: c.Hostname, To: c.Journal.To, Format: c.Journal.Format, ID: m.ID},
		front.Envelope{ID: m.ID, From: m.From, Rcpts: m.Rcpts, Content: m.Content, EightBit: m.EightBit, UTF8: m.UTF8})))
	if errors.Is(err, spool.ErrExists) {
		return nil, nil
	}
	return st, err
}

func (r releaser) Queue(ctx context.Context, m quarantine.Release) error {
	archive, err := r.journal(ctx, m)
	if err != nil {
		return err
	}
	lane := ""
	if c := r.relay.Config(); !slices.ContainsFunc(m.Rcpts, func(a mail.Address) bool { return c.Ours(a.Domain) }) {
		lane = relay.LaneOutbound // a redirected mail that was held as undeliverable
	}
	err = r.relay.Queue(ctx, relay.Envelope{
		Lane: lane, ID: m.ID, From: m.From, Rcpts: m.Rcpts, Content: m.Content, EightBit: m.EightBit, UTF8: m.UTF8,
		Meta: mail.Origin{Kind: mail.KindRelease}.Encode,
	})
	if errors.Is(err, spool.ErrExists) {
		archive.Commit()
		return nil // handed over before, by a process that was killed before it could say so
	}
	if err != nil {
		archive.Discard()
		return err
	}
	archive.Commit()
	return nil
}

// observer turns what the front tells into metrics.
type observer struct {
	m      *metrics.Registry
	past   func(front.Record)
	auto   func(front.Record)
	passed func(front.Record)

	stories *stories
}

func (o observer) Connections(open int)      { o.m.Open(open) }
func (o observer) Refusal(where, why string) { o.m.Refusal(where, why) }
func (o observer) Refused(r front.Refusal)   { o.stories.refused(r) }

func (o observer) Concluded(r front.Record) {
	o.past(r)
	o.auto(r)
	o.passed(r)
	o.stories.concluded(r)
	for _, v := range r.Verdicts {
		if v.Would != "" {
			o.m.Would(v.Would)
		}
		if word := v.Word(); word != v.Action.String() {
			o.m.Routed(word)
			continue
		}
		o.m.Mail(v.Action)
	}
	if r.Action == string(ledger.Learned) {
		o.m.Routed(r.Action)
	}
	if len(r.Verdicts) == 0 && r.Action != "aborted" && len(r.Reply) > 2 {
		code, err := strconv.Atoi(strings.Fields(r.Reply)[0])
		switch {
		case err != nil:
		case code >= 500:
			o.m.Mail(mail.Reject)
		case code >= 400:
			o.m.Mail(mail.Defer)
		}
	}
	for phase, d := range map[string]time.Duration{"receive": r.Receive, "judge": r.Judge, "dispose": r.Dispose, "total": r.Total} {
		o.m.Phase(phase, d)
	}
}
