package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
	"sekimori/internal/text"
)

type queueCmd struct {
	List   queueListCmd   `cmd:"" help:"List mail that waits for a backend."`
	Show   queueShowCmd   `cmd:"" help:"Show one mail of the queue, or with --raw its octets."`
	Retry  queueRetryCmd  `cmd:"" help:"Try mail again now."`
	Delete queueDeleteCmd `cmd:"" help:"Delete mail from the queue for good."`
	Export queueExportCmd `cmd:"" help:"Write mail of the spool, or of a dead node's data_dir, into a tar."`
	Import queueImportCmd `cmd:"" help:"Take over what export wrote."`
	Check  queueCheckCmd  `cmd:"" help:"Compare the ledger with what is kept, and say in words whether anything is missing."`
}

type queueListCmd struct {
	Filter queueFilter `embed:""`
	JSON   bool        `help:"Print JSON."`
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

func (c queueListCmd) Run(a *app) error {
	r, cfg, err := a.openSpool()
	if err != nil {
		return err
	}
	items, err := c.Filter.pick(r, cfg)
	if err != nil {
		return err
	}
	stuck(cfg, items)
	if c.JSON {
		return a.json(items)
	}
	if len(items) == 0 {
		if c.Filter.any() {
			fmt.Fprintln(a.out, "nothing in the queue matches")
		} else {
			fmt.Fprintln(a.out, "the queue is empty")
		}
		return nil
	}
	w := a.table()
	fmt.Fprintln(w, "ID\tKIND\tSTATE\tAGE\tNEXT TRY\tFROM\tTO\tLAST WORDS")
	for i := range items {
		q := &items[i]
		var to []string
		for _, rc := range q.Rcpts {
			if !rc.Done {
				to = append(to, rc.Addr.String())
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", q.ID, q.Kind, stateOf(q), age(time.Since(q.Created)), next(q), text.Clean(orNull(q.From.String()), 40),
			text.Clean(strings.Join(to, ","), 60), text.Clean(q.Reason, 100))
	}
	return w.Flush()
}

// stateOf is the state of a mail in the queue, with whether it is sent at most once.
func stateOf(q *relay.Item) string {
	if q.Once {
		return q.State + ", once"
	}
	return q.State
}

// stuck says of mail whose backends are all known to be dead that it waits for one of them, and why.
func stuck(cfg *config.Config, items []relay.Item) {
	dead := deadBackends(cfg)
	if len(dead) == 0 {
		return
	}
	for i := range items {
		q := &items[i]
		k := slices.IndexFunc(q.Rcpts, func(c spool.Rcpt) bool { return !c.Done })
		if k < 0 || q.State == spool.StateInflight {
			continue
		}
		urls := backendsOf(cfg, q.Rcpts[k].Addr)
		if len(urls) == 0 || slices.ContainsFunc(urls, func(u string) bool { return dead[u] == "" }) {
			continue
		}
		q.WaitsFor = urls
		if q.Reason == "" {
			q.Reason = dead[urls[0]]
		}
	}
}

func next(q *relay.Item) string {
	if q.State == spool.StateInflight {
		return "the answer is awaited"
	}
	if len(q.WaitsFor) > 0 {
		return "when its backend is up"
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
	r, cfg, err := a.openSpool()
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("%s: the queue is empty", c.ID)
	}
	e, err := r.Get(c.ID)
	if errors.Is(err, spool.ErrNotFound) {
		if past, err := a.past(cfg, c.ID); err != nil || len(past) > 0 {
			return c.tellPast(a, past, err)
		}
		return fmt.Errorf("nothing is known of %s here: a backend took it before it was acknowledged, another host has it, or there is no such mail; "+
			"`sekimori queue list`, `sekimori quarantine list --all`", c.ID)
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
	item := []relay.Item{relay.ItemOf(&e, time.Now())}
	stuck(cfg, item)
	w := a.table()
	fmt.Fprintf(w, "ID\t%s\nState\t%s\nFrom\t%s\nSize\t%d octets\nSince\t%s\n", e.ID, e.State, orNull(e.From.String()), e.Size, e.Created.Local().Format(time.DateTime))
	fmt.Fprintf(w, "Next try\t%s\n", next(&item[0]))
	if e.Once {
		fmt.Fprintln(w, "Once\tit is sent at most once: when the answer to it is lost it ends as uncertain, and is not tried again")
	}
	for _, rc := range e.Rcpts {
		fmt.Fprintf(w, "To\t%s: %s, %s%s\n", rc.Addr, rc.Status, tries(rc.Attempts), text.Clean(lastWords(&rc, &item[0]), 300))
	}
	return w.Flush()
}

func tries(n int) string {
	switch n {
	case 0:
		return "not tried yet"
	case 1:
		return "tried once"
	}
	return fmt.Sprintf("tried %d times", n)
}

// lastWords are the last words about a recipient, with a colon in front; "" when there are none.
func lastWords(rc *spool.Rcpt, q *relay.Item) string {
	switch {
	case rc.Last != "":
		return ": " + rc.Last
	case !rc.Done && q.Reason != "":
		return ": " + q.Reason
	}
	return ""
}

// past returns the lines of the ledger about a mail and what it went on as.
func (a *app) past(cfg *config.Config, id string) ([]ledger.Event, error) {
	l, err := a.readLedger(cfg)
	if l == nil || err != nil {
		return nil, err
	}
	return l.History(func(x string) bool {
		return x == id || strings.HasPrefix(x, id+".") || strings.HasPrefix(x, id+"-")
	})
}

// tellPast says what became of a mail that is not in the queue any more.
func (c queueShowCmd) tellPast(a *app, past []ledger.Event, err error) error {
	switch {
	case err != nil:
		return err
	case c.Raw:
		return fmt.Errorf("%s has left the queue: its octets are not here any more", c.ID)
	case c.JSON:
		return a.json(past)
	}
	w := a.table()
	fmt.Fprintln(w, "TIME\tID\tTO\tWHAT\tDETAIL")
	for _, e := range past {
		what := e.Word
		switch {
		case e.Undone():
			what = "not acknowledged after all"
		case !e.Ends():
			what = "acknowledged, kept in the quarantine"
			if e.Word == string(ledger.Queue) {
				what = "acknowledged, kept in the queue"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format(time.DateTime), e.ID, text.Clean(e.Rcpt, 60), what, text.Clean(e.Detail, 200))
	}
	return w.Flush()
}

type queueRetryCmd struct {
	IDs    []string    `arg:"" optional:"" name:"id" help:"IDs, as list prints them."`
	Filter queueFilter `embed:""`
	All    bool        `help:"Everything in the queue."`
}

// Run leaves a request, which the running serve carries out within a second.
func (c queueRetryCmd) Run(a *app) error {
	r, cfg, err := a.openSpool()
	if err != nil {
		return err
	}
	ids, err := a.chosen(r, cfg, c.IDs, &c.Filter, c.All)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return errors.New("nothing in the queue matches: there is nothing to try again")
	}
	if c.All && !c.Filter.any() {
		ids = []string{"all"}
	}
	if err := relay.RequestRetry(spoolDir(cfg), time.Now(), ids...); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "asked the running server to try again now: sekimori queue list")
	return nil
}
