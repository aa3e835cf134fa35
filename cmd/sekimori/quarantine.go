package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/store"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

type quarantineCmd struct {
	List    quarantineListCmd    `cmd:"" help:"List held mail, newest first."`
	Show    quarantineShowCmd    `cmd:"" help:"Show one held mail: why it is held, or with --raw its octets."`
	Release quarantineReleaseCmd `cmd:"" help:"Let held mail through to its recipients."`
	Delete  quarantineDeleteCmd  `cmd:"" help:"Delete held mail; for an hour that can be undone."`
	Undo    quarantineUndoCmd    `cmd:"" help:"Take back a deletion, or a release that has not left yet."`
	Audit   quarantineAuditCmd   `cmd:"" help:"List who did what with held mail, newest first."`
	Allow   quarantineAllowCmd   `cmd:"" help:"Senders that people allow for themselves."`
	Export  quarantineExportCmd  `cmd:"" help:"Write all that is stored of one person into a directory or an archive."`
	Forget  quarantineForgetCmd  `cmd:"" help:"Delete all that is stored of one person; without --yes only say what."`
	Verify  quarantineVerifyCmd  `cmd:"" help:"Check the signature of a released mail."`
}

type quarantineListCmd struct {
	Rcpt    string    `placeholder:"TEXT" help:"Only mail to a recipient that contains this."`
	From    string    `placeholder:"TEXT" help:"Only mail whose sender, in the envelope or the header, contains this; a whole address or @example.com is found fastest."`
	Subject string    `placeholder:"TEXT" help:"Only mail whose subject contains this; case and width do not matter."`
	Rule    string    `placeholder:"ID" help:"Only mail that this rule held."`
	Class   string    `placeholder:"CLASS" help:"Only mail of this class, such as spam, spoof, refused, undeliverable."`
	Since   timeValue `placeholder:"TIME" help:"Only mail held since then: 2026-11-20, 2026-11-20T14:00 or an age such as 3h or 2d."`
	Until   timeValue `placeholder:"TIME" help:"Only mail held before then."`
	All     bool      `help:"Also mail that was released, deleted or has expired a short while ago."`
	Limit   int       `default:"100" help:"How many at the most; 0: all."`
	JSON    bool      `help:"Print JSON."`
}

// timeValue is a point in time on the command line.
type timeValue struct{ time.Time }

// UnmarshalText reads a date, a date with a time, a time of today (or, when that is still to come, of yesterday), or an age.
func (t *timeValue) UnmarshalText(b []byte) error {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339} {
		if at, err := time.ParseInLocation(layout, string(b), time.Local); err == nil {
			t.Time = at
			return nil
		}
	}
	now := time.Now()
	if at, err := time.Parse("15:04", string(b)); err == nil {
		t.Time = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, time.Local)
		if t.After(now) {
			t.Time = t.AddDate(0, 0, -1)
		}
		return nil
	}
	age, err := config.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is neither a time such as 09:00 or 2026-11-20T14:00 nor an age such as 3h", b)
	}
	t.Time = now.Add(-age)
	return nil
}

func parseAge(s string) (time.Duration, error) { return config.ParseDuration(s) }

// openQuarantine opens the store for a command.
func (a *app) openQuarantine() (*quarantine.Store, func(), error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, nil, found
	}
	st, err := dialStore(a.ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	return a.keeperOf(cfg, st)
}

func (a *app) keeperOf(cfg *config.Config, st *store.Store) (*quarantine.Store, func(), error) {
	q, err := quarantine.New(keeping(quarantine.Options{
		Store: st, SpoolDir: filepath.Join(cfg.DataDir, "spool"), Node: cfg.Hostname,
	}, cfg))
	if err != nil {
		_ = st.Close()
		return nil, nil, err
	}
	return q, func() { _ = st.Close() }, nil
}

type heldRow struct {
	ID      string                 `json:"id"`
	Rcpt    []string               `json:"rcpt"`
	From    string                 `json:"from"`
	Subject string                 `json:"subject"`
	Time    time.Time              `json:"time"`
	Class   string                 `json:"class"`
	Score   float64                `json:"score"`
	Rule    string                 `json:"rule"`
	Size    int64                  `json:"size"`
	States  []quarantine.RcptState `json:"states"`
	Pending bool                   `json:"pending"`
}

func row(i quarantine.Item) heldRow {
	r := heldRow{
		ID: i.ID, From: i.From.String(), Subject: i.Subject, Time: i.Time, Class: i.Class, Score: i.Score, Rule: i.Rule,
		Size: i.Size, States: i.States, Pending: i.Pending,
	}
	for _, a := range i.Rcpts {
		r.Rcpt = append(r.Rcpt, a.String())
	}
	return r
}

func (c quarantineListCmd) Run(a *app) error {
	q, done, err := a.openQuarantine()
	if err != nil {
		return err
	}
	defer done()
	query := quarantine.Query{Rcpt: c.Rcpt, From: c.From, Subject: c.Subject, Class: c.Class, Rule: c.Rule, Since: c.Since.Time, Until: c.Until.Time, All: c.All}
	rows := []heldRow{}
	partial := ""
	for c.Limit <= 0 || len(rows) < c.Limit {
		query.Limit = 500
		if c.Limit > 0 {
			query.Limit = min(500, c.Limit-len(rows))
		}
		page, err := q.List(a.ctx, query)
		if err != nil {
			return err
		}
		for _, i := range page.Items {
			rows = append(rows, row(i))
		}
		partial = page.Partial
		if query.Cursor = page.Next; page.Next == "" || partial != "" {
			break
		}
	}
	if partial != "" {
		fmt.Fprintln(a.err, "sekimori: the list is not complete:", partial)
	}
	if c.JSON {
		err = a.json(rows)
	} else if partial == "" || len(rows) > 0 {
		err = a.heldTable(rows)
	}
	if err == nil && partial != "" {
		return found
	}
	return err
}

func (a *app) heldTable(rows []heldRow) error {
	if len(rows) == 0 {
		fmt.Fprintln(a.out, "nothing is held that matches")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "ID\tTIME\tFROM\tTO\tSUBJECT\tSCORE\tCLASS\tRULE\tSTATE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.1f\t%s\t%s\t%s\n", r.ID, r.Time.Local().Format("01-02 15:04"), text.Clean(orNull(r.From), 40),
			text.Clean(strings.Join(r.Rcpt, ","), 40), text.Clean(r.Subject, 40), r.Score, r.Class, r.Rule, stateWords(r))
	}
	return w.Flush()
}

func orNull(from string) string {
	if from == "" {
		return "<>"
	}
	return from
}

// stateWords sums up the recipients' states.
func stateWords(r heldRow) string {
	if r.Pending {
		return "held (on this host's disk)"
	}
	var words []string
	for _, s := range r.States {
		if len(words) == 0 || words[len(words)-1] != s.State {
			words = append(words, s.State)
		}
	}
	return strings.Join(words, ",")
}

type quarantineShowCmd struct {
	ID   string `arg:"" help:"The mail's ID, as list prints it."`
	Raw  bool   `help:"Print the message's octets as they came in, and nothing else."`
	JSON bool   `help:"Print JSON."`
	Lang string `enum:"en,ja" default:"en" help:"Language of the words: en or ja."`
}

func (c quarantineShowCmd) Run(a *app) error {
	q, done, err := a.openQuarantine()
	if err != nil {
		return err
	}
	defer done()
	if c.Raw {
		content, release, err := q.Raw(a.ctx, c.ID)
		if err != nil {
			return heldError(c.ID, err)
		}
		defer release()
		for _, piece := range content {
			if _, err := a.out.Write(piece); err != nil {
				return err
			}
		}
		return nil
	}
	item, err := q.Show(a.ctx, c.ID)
	if err != nil {
		return heldError(c.ID, err)
	}
	if c.JSON {
		return a.json(item)
	}
	c.print(a, item)
	return nil
}

func (c quarantineShowCmd) print(a *app, i quarantine.Item) {
	w := a.table()
	fmt.Fprintf(w, "ID\t%s\nHeld\t%s, kept until %s\n", i.ID, i.Time.Local().Format("2006-01-02 15:04 MST"), i.Until.Local().Format("2006-01-02 15:04"))
	fmt.Fprintf(w, "Client\t%s, HELO %s\n", i.Client, text.Clean(i.Helo, 100))
	fmt.Fprintf(w, "Envelope from\t%s\nHeader from\t%s\n", orNull(i.From.String()), text.Clean(i.HeaderFrom, 200))
	for _, s := range i.States {
		by := ""
		if s.By != "" {
			by = fmt.Sprintf(" (%s, %s)", s.By, s.At.Local().Format("01-02 15:04"))
		}
		fmt.Fprintf(w, "To\t%s: %s%s\n", s.Rcpt, s.State, by)
	}
	fmt.Fprintf(w, "Subject\t%s\nSize\t%d octets\n", text.Clean(i.Subject, 200), i.Size)
	if i.Review != nil {
		fmt.Fprintf(w, "Sender asks\t%s: %s\n", i.Review.At.Local().Format("01-02 15:04"), text.Clean(i.Review.Note, 500))
	}
	_ = w.Flush()
	fmt.Fprintln(a.out)
	for _, line := range text.Report(i.Verdict(), text.Lang(c.Lang)) {
		fmt.Fprintln(a.out, line)
	}
}

// heldError adds the way out to what the store says.
func heldError(id string, err error) error {
	if errors.Is(err, quarantine.ErrNotFound) {
		return fmt.Errorf("there is no held mail %s; `sekimori quarantine list --all` shows what there is", id)
	}
	if store.IsFull(err) {
		return fmt.Errorf("%s: the store has no room for more; raise maxmemory of Redis, or delete held mail: %w", id, err)
	}
	return fmt.Errorf("%s: %w", id, err)
}

// operator is who gave the command, for the record.
func operator() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" {
		name = sudo
	}
	return "command:" + name
}
