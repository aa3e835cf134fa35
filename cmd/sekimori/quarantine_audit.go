package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	auditlog "sekimori/internal/audit"
	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

type quarantineAuditCmd struct {
	Actor string    `placeholder:"TEXT" help:"Only acts of somebody whose name contains this."`
	Act   string    `placeholder:"ACT" help:"Only this act: release, delete, report-spam, undo, ask, answer, allow, revoke, look, bulk.release, bulk.delete, login, machine-open …"`
	ID    string    `placeholder:"ID" help:"Only acts on this mail."`
	Rcpt  string    `placeholder:"TEXT" help:"Only acts for a recipient that contains this."`
	Since timeValue `placeholder:"TIME" help:"Only acts since then: 09:00, 2026-11-20 or an age such as 2d."`
	Until timeValue `placeholder:"TIME" help:"Only acts before then."`
	Limit int       `default:"100" help:"How many at the most; 0: all."`
	JSON  bool      `help:"Print JSON."`
}

// Run lists who did what with held mail, newest first.
func (c quarantineAuditCmd) Run(a *app) error {
	d, done, err := a.openDesk(false)
	if err != nil {
		return err
	}
	defer done()
	q := auditlog.Query{Actor: c.Actor, Act: c.Act, ID: c.ID, Rcpt: c.Rcpt, Since: c.Since.Time, Until: c.Until.Time}
	entries := []auditlog.Entry{}
	for c.Limit <= 0 || len(entries) < c.Limit {
		q.Limit = 500
		if c.Limit > 0 {
			q.Limit = min(500, c.Limit-len(entries))
		}
		page, err := d.log.List(a.ctx, q)
		if err != nil {
			return err
		}
		entries = append(entries, page.Entries...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if c.JSON {
		return a.json(entries)
	}
	if len(entries) == 0 {
		fmt.Fprintln(a.out, "nobody did anything that matches")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "TIME\tWHO\tROLE\tACT\tMAIL\tFOR\tVIA\tFROM\tDETAIL")
	for _, e := range entries {
		ids := strings.Join(e.IDs[:min(len(e.IDs), 3)], ",")
		if len(e.IDs) > 3 {
			ids += fmt.Sprintf(" … (%d)", len(e.IDs))
		}
		peer := ""
		if e.Peer.IsValid() {
			peer = e.Peer.String()
		}
		act := text.Clean(e.Act, 20)
		if e.Count > 1 {
			act += fmt.Sprintf(" ×%d", e.Count)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format("2006-01-02 15:04:05"), text.Clean(e.Actor, 40), e.Role, act,
			ids, text.Clean(strings.Join(e.Rcpts, ","), 40), text.Clean(e.Via, 10), peer, text.Clean(e.Detail, 80))
	}
	return w.Flush()
}

type quarantineAllowCmd struct {
	List   allowListCmd   `cmd:"" help:"List the senders that people allow for themselves."`
	Revoke allowRevokeCmd `cmd:"" help:"Take such permissions away."`
}

type allowListCmd struct {
	Rcpt string `placeholder:"ADDRESS" help:"Only what this mailbox allows."`
	JSON bool   `help:"Print JSON."`
}

func (c allowListCmd) Run(a *app) error {
	var rcpts []mail.Address
	if c.Rcpt != "" {
		r, err := mail.ParseAddress(c.Rcpt, true)
		if err != nil {
			return usage("--rcpt %s: %v", c.Rcpt, err)
		}
		rcpts = append(rcpts, r)
	}
	d, done, err := a.openDesk(false)
	if err != nil {
		return err
	}
	defer done()
	list, err := d.Allows(a.ctx, d.actor, rcpts...)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(append([]reputation.Allow{}, list...))
	}
	if len(list) == 0 {
		fmt.Fprintln(a.out, "no sender is allowed")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "ID\tFOR\tSENDER\tUNTIL\tBY")
	for _, x := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", x.ID, x.Rcpt, text.Clean(x.String(), 80), x.Expires.Local().Format(time.DateOnly), text.Clean(x.By, 40))
	}
	return w.Flush()
}

type allowRevokeCmd struct {
	IDs []string `arg:"" name:"id" help:"IDs, as list prints them."`
}

func (c allowRevokeCmd) Run(a *app) error {
	d, done, err := a.openDesk(false)
	if err != nil {
		return err
	}
	defer done()
	failed := false
	for _, id := range c.IDs {
		err := d.Revoke(a.ctx, d.actor, id)
		switch {
		case errors.Is(err, acts.ErrNotFound):
			failed = true
			fmt.Fprintf(a.err, "sekimori: there is no permission %s; `sekimori quarantine allow list` shows what there is\n", id)
		case err != nil:
			return err
		default:
			fmt.Fprintf(a.out, "%s: no longer allowed\n", id)
		}
	}
	if failed {
		return found
	}
	return nil
}

type quarantineVerifyCmd struct {
	File   string `arg:"" help:"The mail as the backend has it; - reads it from the input."`
	Rcpt   string `required:"" placeholder:"ADDRESS" help:"The recipient whose copy it is."`
	MaxAge string `default:"30d" help:"How old the release may be; 0s: any age."`
	JSON   bool   `help:"Print JSON."`
}

// Help is the long help.
func (quarantineVerifyCmd) Help() string {
	return "Exit code 0: the mail was released here for this recipient, and its body is what it was. 1: it was not, or nobody can tell. For " +
		"scripts of a backend that has the key of quarantine.mark."
}

const maxVerify = 256 << 20

// Run checks the signature of a released mail.
func (c quarantineVerifyCmd) Run(a *app) error {
	rcpt, err := mail.ParseAddress(c.Rcpt, true)
	if err != nil {
		return usage("--rcpt %s: %v", c.Rcpt, err)
	}
	age, err := parseAge(c.MaxAge)
	if err != nil {
		return usage("--max-age: %v", err)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	key := string(cfg.Quarantine.Mark.Key)
	if key == "" {
		return errors.New("quarantine.mark.key_file is not set: released mails have no signature")
	}
	in := io.Reader(os.Stdin)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxVerify))
	if err != nil {
		return err
	}
	m, err := quarantine.VerifyMark(raw, rcpt, []string{key}, time.Now(), age)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(m)
	}
	fmt.Fprintf(a.out, "%s was released for %s at %s\n", m.ID, m.Rcpt, m.At.Local().Format("2006-01-02 15:04"))
	return nil
}
