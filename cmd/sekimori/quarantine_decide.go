package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	auditlog "sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

// manyIDs is from how many mails on a command teaches the Bayesian check nothing: that says more about a rule than about them.
const manyIDs = 100

// which says what mail a release or a deletion is about when no IDs do.
type which struct {
	Rule    string    `placeholder:"RULE" help:"All mail that this rule held: its ID, or FILE:LINE."`
	From    string    `placeholder:"SENDER" help:"All mail of this address or domain, in the envelope or the header."`
	Subject string    `placeholder:"TEXT" help:"All mail whose subject contains this."`
	Class   string    `placeholder:"CLASS" help:"All mail of this class."`
	Since   timeValue `placeholder:"TIME" help:"All mail held since then: 09:00, 2026-11-20T14:00 or an age such as 3h."`
	Until   timeValue `placeholder:"TIME" help:"All mail held before then."`
	DryRun  bool      `help:"Only say which mails are meant."`
}

func (w *which) any() bool {
	return w.Rule != "" || w.From != "" || w.Subject != "" || w.Class != "" || !w.Since.IsZero() || !w.Until.IsZero()
}

type quarantineReleaseCmd struct {
	IDs   []string `arg:"" optional:"" name:"id" help:"IDs, as list prints them."`
	Rcpt  []string `placeholder:"ADDRESS" help:"Only for this recipient; may be repeated."`
	Allow bool     `help:"Let the sender's mail to these recipients through from now on, narrowly and for allow.lifetime."`
	JSON  bool     `help:"Print JSON."`
	which
}

// Help is the long help.
func (quarantineReleaseCmd) Help() string {
	return "Named mails leave at once. With --rule, --from, --class, --since and so on all mail that matches is released, after " +
		"quarantine.undo and with a receipt by which `quarantine undo` takes all of it back; --dry-run shows it before. " +
		"Mail of a class in quarantine.admin_only is released by its ID only."
}

func (c quarantineReleaseCmd) Run(a *app) error {
	return a.decide(decision{ids: c.IDs, rcpts: c.Rcpt, which: c.which, act: "release", allow: c.Allow, json: c.JSON})
}

type quarantineDeleteCmd struct {
	IDs  []string `arg:"" optional:"" name:"id" help:"IDs, as list prints them."`
	Rcpt []string `placeholder:"ADDRESS" help:"Only for this recipient; may be repeated."`
	JSON bool     `help:"Print JSON."`
	which
}

func (c quarantineDeleteCmd) Run(a *app) error {
	return a.decide(decision{ids: c.IDs, rcpts: c.Rcpt, which: c.which, act: "delete", json: c.JSON})
}

// decision is what release and delete were asked for.
type decision struct {
	which
	ids, rcpts []string
	act        string
	allow      bool
	json       bool
}

// desk is what the commands about held mail work with.
type desk struct {
	*acts.Service
	keeper *quarantine.Store
	log    *auditlog.Log
	actor  acts.Actor
}

// openDesk opens the quarantine for a command, with what people's acts need. teach lets them teach the Bayesian check.
func (a *app) openDesk(teach bool) (*desk, func(), error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, nil, found
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	q, done, err := a.keeperOf(cfg, st)
	if err != nil {
		return nil, nil, err
	}
	d := a.deskOf(cfg, st, q, teach)
	return d, done, nil
}

func (a *app) deskOf(cfg *config.Config, st *store.Store, q *quarantine.Store, teach bool) *desk {
	quiet := slog.New(slog.DiscardHandler)
	p := actsParts{cfg: func() *config.Config { return cfg }, store: st, keeper: q, allows: reputation.NewAllows(st.Client(), time.Now), log: quiet}
	if teach && cfg.Quarantine.Learn != "off" {
		p.learner, p.watch = newLearner(st.Client(), func() *config.Config { return cfg }, quiet)
	}
	service, log := newActs(p)
	return &desk{service, q, log, acts.Actor{Name: operator(), Role: acts.Admin, Via: "command"}}
}

// decide carries out a release or a deletion and says what became of each mail.
func (a *app) decide(c decision) error {
	switch {
	case len(c.ids) > 0 && c.any():
		return usage("IDs and --rule, --from, --subject, --class, --since or --until exclude each other")
	case len(c.ids) == 0 && !c.any():
		return usage("which mail? Give IDs as `sekimori quarantine list` prints them, or --rule, --from, --class, --since …")
	case c.DryRun && len(c.ids) > 0:
		return usage("--dry-run is for mails that are chosen by --rule, --from, --since and so on")
	case c.any() && (len(c.rcpts) > 1 || c.allow):
		return usage("with --rule, --from and so on there is at most one --rcpt, and no --allow")
	}
	var who []mail.Address
	for _, r := range c.rcpts {
		addr, err := mail.ParseAddress(r, true)
		if err != nil {
			return usage("--rcpt %s: %v", r, err)
		}
		who = append(who, addr)
	}
	d, done, err := a.openDesk(len(c.ids) < manyIDs)
	if err != nil {
		return err
	}
	defer done()
	if len(c.ids) == 0 {
		return a.bulk(d, c)
	}
	results := make([]decided, 0, len(c.ids))
	failed := false
	for _, id := range c.ids {
		r := d.one(a.ctx, c, id, who)
		results = append(results, r)
		failed = failed || r.Error != ""
		if c.json {
			continue
		}
		r.print(a)
	}
	if c.json {
		if err := a.json(results); err != nil {
			return err
		}
	}
	if failed {
		return found
	}
	return nil
}

// decided is what became of one mail.
type decided struct {
	ID      string   `json:"id"`
	Result  string   `json:"result,omitempty"`  // releasing | deleted | requested
	Receipt string   `json:"receipt,omitempty"` // for `quarantine undo`
	Allowed []string `json:"allowed,omitempty"`
	Learned string   `json:"learned,omitempty"` // ham | spam
	NotDone []string `json:"not_done,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// one decides about one mail. While the store does not answer, or does not have it yet, the request is left for the serve of this host.
func (d *desk) one(ctx context.Context, c decision, id string, who []mail.Address) decided {
	r := decided{ID: id, Result: "deleted"}
	var receipt acts.Receipt
	var err error
	later := d.keeper.Delete
	if c.act == "release" {
		r.Result, later = "releasing", d.keeper.Release
		receipt, err = d.Release(ctx, d.actor, id, who, acts.How{Allow: c.allow, Now: true})
	} else {
		receipt, err = d.Delete(ctx, d.actor, id, who)
	}
	if err != nil && !errors.Is(err, quarantine.ErrNotFound) && !errors.Is(err, acts.ErrNotFound) && !decidedOtherwise(ctx, d, id) {
		states, lerr := later(ctx, id, who, operator())
		if err = lerr; err == nil && states == nil {
			r.Result = "requested"
		}
	}
	if err != nil {
		r.Result, r.Error = "", heldError(id, err).Error()
		return r
	}
	r.Receipt, r.Learned, r.NotDone = receipt.ID, receipt.Learned, receipt.NotDone
	if receipt.UndoUntil.IsZero() {
		r.Receipt = ""
	}
	for _, p := range receipt.Allowed {
		r.Allowed = append(r.Allowed, p.String())
	}
	return r
}

// decidedOtherwise reports whether the store has the mail, so that its refusal is about the mail and not about the store.
func decidedOtherwise(ctx context.Context, d *desk, id string) bool {
	i, err := d.keeper.Show(ctx, id)
	return err == nil && !i.Pending
}

func (r decided) print(a *app) {
	switch r.Result {
	case "":
		fmt.Fprintln(a.err, "sekimori:", r.Error)
		return
	case "requested":
		fmt.Fprintf(a.out, "%s: the request waits for the running server\n", r.ID)
		return
	case "releasing":
		fmt.Fprintf(a.out, "%s: will be delivered by the running server\n", r.ID)
	default:
		fmt.Fprintf(a.out, "%s: %s\n", r.ID, r.Result)
	}
	for _, p := range r.Allowed {
		fmt.Fprintf(a.out, "%s: allowed from now on: %s\n", r.ID, p)
	}
	for _, why := range r.NotDone {
		fmt.Fprintf(a.err, "sekimori: %s: not done: %s\n", r.ID, why)
	}
}
