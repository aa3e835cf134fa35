package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/spool"
	"sekimori/internal/text"
)

type queueCmd struct {
	List  queueListCmd  `cmd:"" help:"List mail that waits for a backend."`
	Show  queueShowCmd  `cmd:"" help:"Show one mail of the queue, or with --raw its octets."`
	Retry queueRetryCmd `cmd:"" help:"Try mail again now."`
	Check queueCheckCmd `cmd:"" help:"Compare the ledger with what is kept, and say in words whether anything is missing."`
}

type queueListCmd struct {
	JSON bool `help:"Print JSON."`
}

// openSpool opens the spool for looking; it works while serve runs and while it does not.
func (a *app) openSpool() (*spool.Reader, *config.Config, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, nil, found
	}
	r, err := spool.OpenReadOnly(filepath.Join(cfg.DataDir, "spool"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cfg, nil
	}
	return r, cfg, err
}

type queueRow struct {
	ID    string       `json:"id"`
	State string       `json:"state"`
	From  string       `json:"from"`
	Rcpts []spool.Rcpt `json:"rcpts"`
	Size  int64        `json:"size"`
	Since time.Time    `json:"since"`
	Next  time.Time    `json:"next"`
}

func (c queueListCmd) Run(a *app) error {
	r, _, err := a.openSpool()
	if err != nil {
		return err
	}
	rows := []queueRow{}
	if r != nil {
		entries, err := r.List(spool.KindQueue)
		if err != nil {
			fmt.Fprintln(a.err, "sekimori: some entries cannot be read:", err)
		}
		for _, e := range entries {
			rows = append(rows, queueRow{e.ID, e.State, e.From.String(), e.Rcpts, e.Size, e.Created, e.Next})
		}
	}
	if c.JSON {
		return a.json(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.out, "the queue is empty")
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "ID\tSTATE\tAGE\tNEXT TRY\tFROM\tTO\tLAST WORDS")
	for _, q := range rows {
		var to, last []string
		for _, rc := range q.Rcpts {
			if rc.Done {
				continue
			}
			to = append(to, rc.Addr.String())
			if rc.Last != "" && (len(last) == 0 || last[len(last)-1] != rc.Last) {
				last = append(last, rc.Last)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", q.ID, q.State, age(time.Since(q.Since)), next(q), text.Clean(orNull(q.From), 40),
			text.Clean(strings.Join(to, ","), 60), text.Clean(strings.Join(last, "; "), 100))
	}
	return w.Flush()
}

func next(q queueRow) string {
	if q.State == spool.StateInflight {
		return "the answer is awaited"
	}
	if in := time.Until(q.Next); in > 0 {
		return "in " + age(in)
	}
	return "now"
}

// age prints a duration in its two largest units.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

type queueShowCmd struct {
	ID   string `arg:"" help:"The mail's ID, as list prints it."`
	Raw  bool   `help:"Print the message's octets with our header fields on top, and nothing else."`
	JSON bool   `help:"Print JSON."`
}

func (c queueShowCmd) Run(a *app) error {
	r, _, err := a.openSpool()
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("%s: the queue is empty", c.ID)
	}
	e, err := r.Get(c.ID)
	if errors.Is(err, spool.ErrNotFound) {
		return fmt.Errorf("%s is not in the queue; it was delivered, or it is a held mail: `sekimori queue list`, `sekimori quarantine list --all`", c.ID)
	}
	if err != nil {
		return err
	}
	if c.Raw {
		content, done, err := r.Content(c.ID)
		if err != nil {
			return err
		}
		defer done()
		for _, piece := range content {
			if _, err := a.out.Write(piece); err != nil {
				return err
			}
		}
		return nil
	}
	if c.JSON {
		return a.json(e)
	}
	w := a.table()
	fmt.Fprintf(w, "ID\t%s\nState\t%s\nFrom\t%s\nSize\t%d octets\nSince\t%s\n", e.ID, e.State, orNull(e.From.String()), e.Size, e.Created.Local().Format(time.DateTime))
	if !e.Next.IsZero() {
		fmt.Fprintf(w, "Next try\t%s\n", e.Next.Local().Format(time.DateTime))
	}
	for _, rc := range e.Rcpts {
		fmt.Fprintf(w, "To\t%s: %s after %d tries: %s\n", rc.Addr, rc.Status, rc.Attempts, text.Clean(rc.Last, 300))
	}
	return w.Flush()
}

type queueRetryCmd struct {
	IDs []string `arg:"" optional:"" name:"id" help:"IDs, as list prints them."`
	All bool     `help:"Everything in the queue."`
}

// Run leaves a request, which the running serve carries out within a second.
func (c queueRetryCmd) Run(a *app) error {
	if len(c.IDs) == 0 && !c.All {
		return usage("name the mails to try again, or say --all")
	}
	r, cfg, err := a.openSpool()
	if err != nil {
		return err
	}
	if r == nil {
		return errors.New("the queue is empty: there is nothing to try again")
	}
	ids := c.IDs
	if c.All {
		ids = []string{"all"}
	}
	failed := false
	for _, id := range c.IDs {
		if _, err := r.Get(id); err != nil {
			failed = true
			fmt.Fprintf(a.err, "sekimori: %s is not in the queue: `sekimori queue list` shows what is\n", id)
		}
	}
	if failed {
		return found
	}
	if err := spool.Ask(filepath.Join(cfg.DataDir, "spool"), "queue.retry", ids, time.Now()); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "asked the running server to try again now: sekimori queue list")
	return nil
}
