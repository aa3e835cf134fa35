package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/mail"
	"sekimori/internal/spool"
	"sekimori/quarantine"
)

// fresh is the age up to which an entry may be without a line: it stands there before its last recipient is answered for.
const fresh = 15 * time.Minute

func ledgerDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "ledger") }

// openSpool opens what keeps mail on our disk, and the record of it.
func (s *server) openSpool() error {
	r := s.cfg().Relay
	var err error
	s.spool, err = spool.Open(filepath.Join(s.cfg().DataDir, "spool"), spool.Options{
		DiskReserve: int64(r.DiskReserve), MostOctets: int64(r.SpoolLimit), MostMails: int64(r.SpoolLimitMails), Log: s.log,
	})
	if err != nil {
		return err
	}
	s.ledger, err = ledger.Open(ledgerDir(s.cfg()), ledger.Options{Retention: r.LedgerRetention.D(), Log: s.log})
	return err
}

// recorder writes into the ledger what the quarantine holds.
type recorder struct {
	l        *ledger.Ledger
	stories  *stories
	released func(quarantine.End) // is told of each recipient to whom a mail is released; does not block
}

// Held implements quarantine.Recorder.
func (r recorder) Held(id string, rcpts []mail.Address) error {
	err := r.l.Accept(ledger.Hold, ledger.Mail{ID: id, Rcpts: rcpts})
	if err == nil {
		r.stories.held(id, rcpts)
	}
	return err
}

// Ended implements quarantine.Recorder.
func (r recorder) Ended(e quarantine.End) error {
	state, detail := heldEnd(e.State, e.By)
	// A release or an expiry is told once, by the host that made it, which need not be the one that holds the mail; a deletion may be told
	// more than once.
	if e.State != quarantine.StateDeleted || r.l.IsOpen(e.ID, e.Rcpt) {
		r.stories.ended(e)
		if e.State == quarantine.StateReleased {
			r.released(e)
		}
	}
	return r.l.End(e.ID, ledger.Ending{Rcpt: e.Rcpt, State: state, Detail: detail})
}

// heldEnd says in the ledger's words how a held mail ended.
func heldEnd(state, by string) (ledger.State, string) {
	switch state {
	case quarantine.StateReleased:
		return ledger.Moved, "released into the queue by " + by
	case quarantine.StateExpired:
		return ledger.Expired, by
	}
	return ledger.Deleted, by
}

// sources is what the ledger is compared with. deep also reads the octets of every mail.
func sources(ctx context.Context, read func() (ledger.Snapshot, error), sp *spool.Reader, q *quarantine.Store, deep bool) ledger.Sources {
	return ledger.Sources{
		Ledger: read,
		Queue: func() (map[string]map[string]ledger.Where, map[string]string, error) {
			return kept(sp, spool.KindQueue, deep, func(e spool.Entry, all map[string]map[string]ledger.Where) {
				for _, c := range e.Rcpts {
					place(all, e.ID, ledger.Key(c.Addr), ledger.Where{Waits: !c.Done, Fresh: time.Since(e.Created) < fresh, State: ledger.State(c.End)})
				}
			})
		},
		Pending: func() (map[string]map[string]ledger.Where, map[string]string, error) {
			all, damaged, err := kept(sp, spool.KindHold, deep, func(spool.Entry, map[string]map[string]ledger.Where) {})
			for _, i := range q.Pending(ctx) {
				for _, st := range i.States {
					place(all, i.ID, ledger.Key(st.Rcpt), where(st))
				}
			}
			return all, damaged, err
		},
		Held: func(_ context.Context, rcpts map[string][]string) (map[string]map[string]ledger.Where, error) {
			states, err := q.States(ctx, rcpts)
			all := map[string]map[string]ledger.Where{}
			for id, list := range states {
				for rcpt, st := range list {
					place(all, id, rcpt, where(st))
				}
			}
			return all, err
		},
	}
}

func where(st quarantine.RcptState) ledger.Where {
	if st.State == quarantine.StateHeld || st.State == quarantine.StateReleasing {
		return ledger.Where{Waits: true}
	}
	state, by := heldEnd(st.State, st.By)
	return ledger.Where{State: state, By: by}
}

func place(all map[string]map[string]ledger.Where, id, rcpt string, w ledger.Where) {
	if all[id] == nil {
		all[id] = map[string]ledger.Where{}
	}
	all[id][rcpt] = w
}

// kept lists entries of the spool and says which are damaged. What ends meanwhile is neither.
func kept(sp *spool.Reader, kind string, deep bool, each func(spool.Entry, map[string]map[string]ledger.Where)) (map[string]map[string]ledger.Where, map[string]string, error) {
	all, damaged := map[string]map[string]ledger.Where{}, map[string]string{}
	if sp == nil {
		return all, damaged, nil
	}
	bad, err := sp.Walk(kind, func(e spool.Entry) {
		each(e, all)
		look := sp.CheckSize
		if deep {
			look = sp.Check
		}
		if err := look(&e); err != nil {
			if _, gone := sp.Get(e.ID); !errors.Is(gone, spool.ErrNotFound) {
				damaged[e.ID] = err.Error()
			}
		}
	})
	for id, err := range bad {
		damaged[id] = err.Error()
	}
	return all, damaged, err
}

// audit compares the ledger with what is kept, at start and then again and again, and tells the administrator.
type audit struct {
	mismatches atomic.Int64
	last       atomic.Pointer[ledger.Report]
}

// watchLedger runs the check until ctx ends.
func (s *server) watchLedger(ctx context.Context) {
	t := time.NewTicker(s.cfg().Relay.LedgerCheck.D())
	defer t.Stop()
	for {
		s.auditOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *server) auditOnce(ctx context.Context) {
	r, err := ledger.Compare(ctx, sources(ctx, s.ledger.Snapshot, &s.spool.Reader, s.keeper, false))
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.warn.set("ledger", "the ledger cannot be compared with what is kept: "+err.Error())
		return
	}
	for _, c := range r.Closing {
		if err := s.keeper.CatchUp(ctx, c.ID); err != nil {
			s.log.Warn("the end of a held mail cannot be read yet", "id", c.ID, "err", err)
			continue
		}
		var a mail.Address
		_ = a.UnmarshalText([]byte(c.Rcpt)) // never fails
		if err := s.ledger.End(c.ID, ledger.Ending{Rcpt: a, State: c.State, Detail: c.By}); err != nil {
			s.log.Error("the end of a held mail cannot be written down", "id", c.ID, "err", err)
		}
	}
	for _, m := range r.Mismatches {
		s.log.Error("ledger: mismatch", "kind", m.Kind, "id", m.ID, "rcpt", m.Rcpt, "ledger", m.Ledger, "found", m.Found, "do", m.Do)
	}
	s.audit.mismatches.Store(int64(len(r.Mismatches)))
	s.audit.last.Store(&r)
	message := ""
	if n := len(r.Mismatches); n > 0 {
		message = fmt.Sprintf("%d acknowledged mails are not where the ledger says, such as %s for %s (%s): sekimori queue check",
			n, r.Mismatches[0].ID, r.Mismatches[0].Rcpt, r.Mismatches[0].Kind)
	}
	s.warn.set("ledger", message)
}

// adoptHolds gives a line to holds that have none: the last run ended between the hold and its line, or they are older than the
// ledger. Mail in a shared store may belong to another host and is left alone.
func (s *server) adoptHolds(ctx context.Context) error {
	items := s.keeper.Pending(ctx)
	if s.store.Embedded() {
		for query := (quarantine.Query{Limit: 500}); ; {
			page, err := s.keeper.List(ctx, query)
			if err != nil {
				return err
			}
			items = append(items, page.Items...)
			if query.Cursor = page.Next; page.Next == "" {
				break
			}
		}
	}
	var mails []ledger.Mail
	for _, i := range items {
		if i.Refused {
			continue // it was not acknowledged
		}
		m := ledger.Mail{ID: i.ID, Detail: "found at start"}
		for _, st := range i.States {
			if where(st).Waits {
				m.Rcpts = append(m.Rcpts, st.Rcpt)
			}
		}
		mails = append(mails, m)
	}
	return s.ledger.Accept(ledger.Hold, mails...)
}

// ledgerGauges adds the metrics of the ledger.
func (s *server) ledgerGauges() {
	m := s.metrics
	m.Gauge("sekimori_ledger_mismatches", "Acknowledged mails that are not where the ledger says, as of the last comparison.",
		func() float64 { return float64(s.audit.mismatches.Load()) })
	m.Gauge("sekimori_ledger_queued", "Recipients whose mail was acknowledged and waits in the queue.", func() float64 { return float64(s.ledger.Totals().Queued) })
	m.Gauge("sekimori_ledger_held", "Recipients whose mail was acknowledged and is held.", func() float64 { return float64(s.ledger.Totals().Held) })
	m.Gauge("sekimori_spool_octets", "Octets of mail in the spool.", func() float64 { _, n := s.spool.Used(); return float64(n) })
	m.Gauge("sekimori_spool_mails", "Mails in the spool: queued, and holds that wait for the store.", func() float64 { n, _ := s.spool.Used(); return float64(n) })
	for _, st := range ledger.States() {
		m.Counter("sekimori_ledger_"+string(st)+"_total", "Recipients whose mail was acknowledged, kept, and ended as "+string(st)+".",
			func() float64 { return float64(s.ledger.Totals().Ended[st]) })
	}
}

// room is spool.Room, and a warning while there is none.
func (s *server) room() error {
	err := s.spool.Room()
	message := ""
	if err != nil {
		message = "new mail is answered 452 until there is room: " + err.Error()
	}
	s.warn.set("spool.full", message)
	return err
}

// readLedger opens the ledger for a command; nil when serve never ran here.
func (a *app) readLedger(cfg *config.Config) (*ledger.Reader, error) {
	r, err := ledger.OpenReader(ledgerDir(cfg))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r, err
}
