package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/front"
	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/quarantine"
	"sekimori/quarantine/digest"
	"sekimori/rules"
)

func historyDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "history") }

func historyLimits(cfg *config.Config) history.Limits {
	h := cfg.History
	return history.Limits{Keep: h.Keep.D(), KeepFacts: h.Facts.D(), Disk: int64(h.Disk)}
}

// stories writes the history of every mail. A nil one writes nothing. Safe for concurrent use.
type stories struct {
	w        *history.Writer
	refusals *history.Refusals

	mu     sync.Mutex
	minute time.Time
	early  map[string]int // facts of refused recipients in this minute, by client

	pages   map[[2]string]bool // that were opened since pagesOf: id and person
	pagesOf time.Time
}

// openHistory opens the history. A mail is more important: one that cannot be opened is told, and mail goes on.
func (s *server) openHistory() {
	if !s.cfg().History.Enabled {
		return
	}
	w, err := history.Open(historyDir(s.cfg()), history.Options{
		Limits: historyLimits(s.cfg()), Log: s.log, Warn: func(m string) { s.warn.set("history", m) },
	})
	if err != nil {
		s.warn.set("history", "what happens to mail is not kept: "+err.Error())
		return
	}
	s.stories = &stories{
		w: w, refusals: history.NewRefusals(w.Story, time.Now), early: map[string]int{},
	}
	m := s.metrics
	m.Gauge("sekimori_history_octets", "Octets of the history on the disk.", func() float64 { return float64(w.Stats().Octets) })
	m.Gauge("sekimori_history_waiting", "Events of the history that wait to be written.", func() float64 { return float64(w.Stats().Waiting) })
	m.Counter("sekimori_history_stories_total", "Events of mails written.", func() float64 { return float64(w.Stats().Stories) })
	m.Counter("sekimori_history_facts_total", "Mails of which the facts were written.", func() float64 { return float64(w.Stats().Facts) })
	m.Counter("sekimori_history_lost_total", "Events and facts that were not kept because the disk was too slow or full.",
		func() float64 { st := w.Stats(); return float64(st.LostStories + st.LostFacts) })
}

// run tells what was counted of floods when its minute is over, until ctx ends.
func (h *stories) run(ctx context.Context) {
	if h == nil {
		return
	}
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			h.refusals.Flush()
		}
	}
}

func (h *stories) close() error {
	if h == nil {
		return nil
	}
	h.refusals.Close()
	return h.w.Close()
}

// limit takes over what a reload changed.
func (h *stories) limit(cfg *config.Config) {
	if h != nil {
		h.w.Limit(historyLimits(cfg))
	}
}

const mostEarly = 20 // facts of refused recipients that are kept of one client in a minute

// facts keeps what the rules saw. It is a gate.Options.Keep.
func (h *stories) facts(p *rules.Policy, c *rules.Case, verdicts []mail.Verdict) {
	if h == nil || c.Tx.Stage < mail.Data && !h.room(c.Tx.Session.Client.String()) {
		return
	}
	h.w.Facts(time.Now(), c.Tx.ID, func(b []byte) []byte { return p.AppendCase(b, c, verdicts) })
}

// room reports whether the facts of another refused recipient of a client are kept in this minute.
func (h *stories) room(client string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := time.Now().Truncate(time.Minute); !m.Equal(h.minute) {
		h.minute = m
		clear(h.early)
	}
	if len(h.early) > 10_000 {
		return false
	}
	h.early[client]++
	return h.early[client] <= mostEarly
}

// tried tells of a try of delivery.
func (h *stories) tried(t relay.Try) {
	if h == nil {
		return
	}
	e := &history.Event{Kind: history.KindTry, ID: t.ID, Backend: t.Backend}
	for _, r := range t.Rcpts {
		e.Rcpts = append(e.Rcpts, history.Rcpt{Addr: r.Addr.String(), End: r.State, Words: short(r.Words, 300)})
	}
	h.w.Story(e)
}

// failed tells what became of recipients who were given up.
func (h *stories) failed(f relay.Failure, fate relay.Fate) {
	if h == nil {
		return
	}
	e := &history.Event{Kind: history.KindFailed, ID: f.Entry.ID, Action: string(fate.State), Hint: fate.Detail}
	for _, r := range f.Rcpts {
		e.Rcpts = append(e.Rcpts, history.Rcpt{Addr: r.Addr.String(), Words: short(r.Reply.String(), 300)})
	}
	h.w.Story(e)
}

// giveUp is relay.OnFailed: undeliverable, told to the history.
func (s *server) giveUp(ctx context.Context, f relay.Failure) (relay.Fate, error) {
	fate, err := s.undeliverable(ctx, f)
	if err == nil {
		s.stories.failed(f, fate)
	}
	return fate, err
}

// held and ended tell of the quarantine.
func (h *stories) held(id string, rcpts []mail.Address) {
	if h == nil {
		return
	}
	e := &history.Event{Kind: history.KindHeld, ID: id}
	for _, r := range rcpts {
		e.Rcpts = append(e.Rcpts, history.Rcpt{Addr: r.String()})
	}
	h.w.Story(e)
}

func (h *stories) ended(x quarantine.End) {
	if h == nil {
		return
	}
	h.w.Story(&history.Event{Kind: history.KindEnded, ID: x.ID, Action: x.State, By: x.By, Rcpts: []history.Rcpt{{Addr: x.Rcpt.String()}}})
}

// announced tells of the mails that a digest names, and to whom.
func (h *stories) announced(m digest.Mail) {
	if h == nil {
		return
	}
	now := time.Now()
	for _, id := range m.Names {
		h.w.Story(&history.Event{Time: now, Kind: history.KindDigest, ID: id, Ref: m.ID, Rcpts: []history.Rcpt{{Addr: m.To.String()}}})
	}
}

const (
	openedEvery = time.Hour // an opening of the same page by the same person within that time is told once
	mostOpened  = 20_000
)

// opened tells that a person opened the page of a held mail.
func (h *stories) opened(id, person string) {
	if h == nil {
		return
	}
	now := time.Now()
	h.mu.Lock()
	if len(h.pages) > mostOpened || now.Sub(h.pagesOf) > openedEvery {
		h.pages, h.pagesOf = map[[2]string]bool{}, now
	}
	seen := h.pages[[2]string{id, person}]
	h.pages[[2]string{id, person}] = true
	h.mu.Unlock()
	if !seen {
		h.w.Story(&history.Event{Time: now, Kind: history.KindOpened, ID: id, By: short(person, 320)})
	}
}

// concluded tells of a mail.
func (h *stories) concluded(r front.Record) {
	if h == nil {
		return
	}
	e := &history.Event{
		Kind: history.KindMail, ID: r.ID, From: r.From.String(), Action: r.Action, Why: r.Why, Reply: r.Reply, Size: r.Size, Took: r.Total.Milliseconds(),
	}
	whose(e, r.Session, r.Outcomes)
	for i, rcpt := range r.Rcpts {
		x := history.Rcpt{Addr: rcpt.String()}
		if i < len(r.Verdicts) {
			decidedFor(&x, &r.Verdicts[i])
		}
		if i < len(r.Ends) {
			x.End = r.Ends[i]
		}
		e.Rcpts = append(e.Rcpts, x)
	}
	if len(r.Verdicts) > 0 {
		counted(e, &r.Verdicts[0])
		e.Rules = r.Verdicts[0].Rules
	}
	if m := r.Message; m != nil {
		e.Subject, e.MessageID = short(m.Subject, 300), short(m.MessageID, 300)
		if len(m.From) > 0 {
			e.HeaderFrom = short(m.From[0].Addr.String(), 320)
		}
	}
	if len(r.Rcpts) == 0 { // what became of it was told with its recipients; a flood of such is counted
		e.Stage = "abandoned"
		h.refusals.Add(e)
		return
	}
	h.w.Story(e)
}

// refused tells of a connection, sender or recipient that was refused before a message.
func (h *stories) refused(r front.Refusal) {
	if h == nil {
		return
	}
	e := &history.Event{
		Kind: history.KindRefused, ID: r.ID, From: short(r.From, 320), Stage: r.Where, Why: r.Why, Reply: r.Reply,
	}
	if r.Rcpt != "" {
		e.Kind = history.KindRcpt
		x := history.Rcpt{Addr: short(r.Rcpt, 320)}
		if r.Why == "policy" {
			decidedFor(&x, &r.Verdict)
			counted(e, &r.Verdict)
			e.Rules = r.Verdict.Rules
		}
		e.Rcpts = []history.Rcpt{x}
	}
	whose(e, r.Session, r.Outcomes)
	h.refusals.Add(e)
}

// whose says from which client it came.
func whose(e *history.Event, s *mail.Session, outcomes []mail.Outcome) {
	if s == nil {
		return
	}
	e.Conn, e.Client, e.Relay, e.Helo, e.TLS = s.ID, s.Client, s.Relay, short(s.Helo, 255), s.TLS != nil
	for i := range outcomes {
		for _, f := range outcomes[i].Facts {
			switch v := f.Value.(type) {
			case string:
				switch f.Name {
				case "rdns.name":
					e.Host = v
				case "geoip.country":
					e.Country = v
				case "gateway.verdict":
					e.Gateway = v
				}
			case int:
				if f.Name == "geoip.asn" {
					e.ASN = v
				}
			}
		}
	}
}

func decidedFor(x *history.Rcpt, v *mail.Verdict) {
	x.Action, x.Rule, x.RuleAt, x.Class, x.Score, x.To = v.Word(), v.RuleID, v.Rule, v.Class, v.Score, v.Redirect.String()
	x.Watch, x.Blind, x.Would = v.Observed, v.Unknown, v.Would
	x.Limits = history.LimitsOf(v.Limits)
	for _, c := range v.Counted {
		if c.Rule != "" {
			x.Own = append(x.Own, history.Counted{Name: c.Name, Points: c.Points, RuleAt: c.Rule})
		}
	}
}

const (
	mostFindings = 40
	mostEvidence = 8
)

// counted says what the checks found, and what was not looked at.
func counted(e *history.Event, v *mail.Verdict) {
	e.NotLooked = v.Degraded
	for _, c := range v.Counted {
		if c.Rule != "" || len(e.Findings) >= mostFindings {
			continue
		}
		f := history.Finding{Name: c.Name, Points: c.Points}
		for _, x := range c.Evidence[:min(len(c.Evidence), mostEvidence)] {
			f.Evidence = append(f.Evidence, [2]string{x.Key, short(x.Value, 160)})
		}
		e.Findings = append(e.Findings, f)
	}
}

// short copies a text that may stand in the memory of a message, and cuts it at a letter.
func short(s string, n int) string {
	if len(s) > n {
		for n > 0 && s[n]&0xC0 == 0x80 {
			n--
		}
		s = s[:n]
	}
	return string([]byte(s))
}

// readHistory opens the history for a command.
func readHistory(cfg *config.Config) (*history.Reader, error) {
	if !cfg.History.Enabled {
		return nil, errors.New("history.enabled is false: nothing is kept that could be looked up")
	}
	return history.OpenReader(historyDir(cfg))
}
