package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/config"
	"sekimori/internal/front"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/internal/text"
	"sekimori/rules"
)

type scanCmd struct {
	File   string   `arg:"" help:"File with the message, or - for standard input."`
	Client string   `required:"" placeholder:"IP" help:"Address of the client that sent it; with one of smtp.trusted_relays the client is read from the Received fields."`
	Helo   string   `required:"" placeholder:"NAME" help:"What it said in HELO or EHLO."`
	From   string   `required:"" placeholder:"ADDRESS" help:"MAIL FROM; empty or <> for a bounce."`
	Rcpt   []string `required:"" placeholder:"ADDRESS" help:"RCPT TO; may be repeated."`
	JSON   bool     `help:"Print JSON."`
	Lang   string   `enum:"en,ja" default:"en" help:"Language of the words: en or ja."`
}

// Help is the long help.
func (scanCmd) Help() string {
	return "Judges the message as serve would, with the same checks, rules and what the Bayesian check has learned, but nothing is " +
		"delivered, held or counted. Exit code 0 when it would be delivered, 1 when not."
}

// Run judges one message. Rate limits are counted in a store of its own, so that a scan uses up nothing.
func (c scanCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	e, err := c.envelope(cfg)
	if err != nil {
		return err
	}
	raw, err := c.read(a)
	if err != nil {
		return err
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	j, err := newJudge(a.ctx, cfg, judgeOptions{
		log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError})), store: st,
		observe: func(mail.Outcome) {}, warn: func(string, string) {}, dry: true,
	})
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	defer j.close()
	tx, verdicts, early := j.scan(a.ctx, e, raw)
	return c.print(a, &explainer{cfg, j.policy, text.Lang(c.Lang)}, scanned{tx, verdicts, early})
}

// envelope is who sends what to whom.
type envelope struct {
	session *mail.Session
	from    mail.Address
	rcpts   []mail.Address
}

func (c scanCmd) envelope(cfg *config.Config) (envelope, error) {
	var e envelope
	client, err := netip.ParseAddr(c.Client)
	if err != nil {
		return e, usage("--client %s is not an IP address", c.Client)
	}
	if c.From != "" && c.From != "<>" {
		if e.from, err = mail.ParseAddress(c.From, true); err != nil {
			return e, usage("--from %s: %v", c.From, err)
		}
	}
	for _, r := range c.Rcpt {
		rcpt, err := mail.ParseAddress(r, true)
		if err != nil {
			return e, usage("--rcpt %s: %v", r, err)
		}
		e.rcpts = append(e.rcpts, rcpt)
	}
	e.session = &mail.Session{ID: xid.New().String(), Client: client.Unmap(), Helo: c.Helo, Esmtp: true, Start: time.Now()}
	front.Trust(&cfg.SMTP, e.session)
	return e, nil
}

// read reads the message and gives it CRLF line ends, as it would have had on its way.
func (c scanCmd) read(a *app) ([]byte, error) {
	var raw []byte
	var err error
	if c.File == "-" {
		raw, err = io.ReadAll(a.in)
	} else {
		raw, err = os.ReadFile(c.File)
	}
	if err != nil {
		return nil, fmt.Errorf("the message cannot be read: %w", err)
	}
	return withCRLF(raw), nil
}

// withCRLF turns lone LF into CRLF and ends the last line.
func withCRLF(raw []byte) []byte {
	if n := bytes.Count(raw, []byte("\n")); n != bytes.Count(raw, []byte("\r\n")) {
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	}
	if len(raw) > 0 && !bytes.HasSuffix(raw, []byte("\r\n")) {
		raw = append(raw, "\r\n"...)
	}
	return raw
}

// dialStore opens the store for a command. Where nothing was ever stored, nothing is made.
func dialStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	o := store.Options{Redis: cfg.Redis, DataDir: cfg.DataDir}
	if cfg.Redis.Embedded() {
		if _, err := os.Stat(filepath.Join(cfg.DataDir, "store")); os.IsNotExist(err) {
			o.DataDir = ""
		}
	}
	return store.Dial(ctx, o)
}

// scan judges a message. early says which of the verdicts were spoken before the message.
func (j *judge) scan(ctx context.Context, e envelope, raw []byte) (tx *mail.Transaction, verdicts []mail.Verdict, early map[mail.Address]mail.Verdict) {
	visit := j.gate.Accept(ctx, e.session)
	defer visit.Close()
	visit.Helo(e.session)
	judging := visit.Begin(xid.New().String(), e.from, mail.Params{Size: int64(len(raw))})
	early = map[mail.Address]mail.Verdict{}
	for _, rcpt := range e.rcpts {
		if v := judging.Rcpt(ctx, rcpt, nil); v.Action >= mail.Defer {
			early[rcpt] = v
		}
		judging.Accept(rcpt)
	}
	message := mime.Parse(raw)
	if e.session.Relayed() {
		judging.Client(front.BehindRelay(&j.cfg.SMTP, e.session, message))
	}
	verdicts = judging.Conclude(ctx, message)
	for i, v := range verdicts {
		if at, ok := early[v.Rcpt]; ok {
			verdicts[i] = at
		}
	}
	return judging.Transaction(), verdicts, early
}

type scanFinding struct {
	Symbol   string            `json:"symbol"`
	Score    float64           `json:"score"`
	Evidence map[string]string `json:"evidence"`
}

type scanResult struct {
	ID       string        `json:"id"`
	Rcpt     string        `json:"rcpt"`
	Action   string        `json:"action"`
	Would    string        `json:"would,omitempty"` // what the policy's mode did not let happen
	Score    float64       `json:"score"`
	Rule     string        `json:"rule"`
	Findings []scanFinding `json:"findings"`
	Degraded []string      `json:"degraded"`
	Off      []string      `json:"off"` // checks that are switched off or not configured, and why
}

// scanned is what a scan gave.
type scanned struct {
	tx       *mail.Transaction
	verdicts []mail.Verdict
	early    map[mail.Address]mail.Verdict
}

// explain says why about one verdict.
func (s *scanned) explain(e *explainer, v mail.Verdict) explained {
	_, early := s.early[v.Rcpt]
	change := text.Needed(v, mail.Limits{})
	change.Early = early
	if !early && !strings.HasPrefix(v.RuleID, "degraded.") {
		change = e.policy.Without(s.tx, v.Rcpt)
	}
	return e.explain(&rules.Ask{Verdict: v, Proof: mail.ProofOf(s.tx), From: s.tx.From, Early: early}, change)
}

func (c scanCmd) print(a *app, e *explainer, s scanned) error {
	worst := mail.Deliver
	var results []scanResult
	for i, v := range s.verdicts {
		worst = max(worst, v.Action)
		if c.JSON {
			results = append(results, scanJSON(s.tx, v))
			continue
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		x := s.explain(e, v)
		x.say(a)
	}
	if off := checksOff(s.tx); len(off) > 0 && !c.JSON {
		fmt.Fprintln(a.out, text.Fill("report.off", e.lang))
		for _, d := range off {
			check, why, _ := strings.Cut(d, ": ")
			fmt.Fprintln(a.out, text.Fill("report.item", e.lang)+text.NotLooked(check+": skipped: "+why, e.lang))
		}
	}
	if len(results) == 1 {
		_ = a.json(results[0])
	} else if len(results) > 1 {
		_ = a.json(results)
	}
	if worst >= mail.Hold {
		return found
	}
	return nil
}

func scanJSON(tx *mail.Transaction, v mail.Verdict) scanResult {
	r := scanResult{ID: tx.ID, Rcpt: v.Rcpt.String(), Action: v.Word(), Would: v.Would, Score: v.Score, Rule: ruleName(v), Findings: []scanFinding{}, Degraded: v.Degraded}
	for _, counted := range v.Counted {
		f := scanFinding{Symbol: counted.Name, Score: counted.Points, Evidence: map[string]string{}}
		for _, e := range counted.Evidence {
			f.Evidence[e.Key] = e.Value
		}
		r.Findings = append(r.Findings, f)
	}
	if r.Degraded == nil {
		r.Degraded = []string{}
	}
	r.Off = checksOff(tx)
	return r
}

// checksOff says which checks look at no mail, and why: "geoip: no database is configured".
func checksOff(tx *mail.Transaction) []string {
	off := []string{}
	for i := range tx.Outcomes {
		if o := &tx.Outcomes[i]; o.Off {
			off = append(off, o.Check+": "+o.Why)
		}
	}
	return off
}

// ruleName is the deciding rule as id and place.
func ruleName(v mail.Verdict) string {
	if v.Rule == "" {
		return v.RuleID
	}
	return v.RuleID + " (" + v.Rule + ")"
}
