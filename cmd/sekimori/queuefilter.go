package main

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
)

// queueFilter says which mails of the queue are meant. Empty fields do not restrict; those given must all be true.
type queueFilter struct {
	Rcpt    string    `placeholder:"TEXT" help:"Only mail to a recipient that contains this and still waits."`
	From    string    `placeholder:"TEXT" help:"Only mail whose envelope sender contains this; <> for reports without one."`
	Domain  string    `placeholder:"DOMAIN" help:"Only mail to this domain."`
	Backend string    `placeholder:"TEXT" help:"Only mail to domains with a backend whose URL contains this."`
	State   string    `enum:"queued,inflight," default:"" placeholder:"STATE" help:"Only mail in this state: queued or inflight (sent, the answer is awaited)."`
	Kind    string    `enum:"mail,report,journal,redirect,copy,release,alert,digest," default:"" placeholder:"KIND" help:"Only this kind: mail that came in, a report to a sender, a journal copy, what a rule redirected, a copy by a rule (bcc), a release from the quarantine, an alert, a digest."`
	Older   timeValue `placeholder:"TIME" help:"Only mail from before then: 2026-11-20, 2026-11-20T14:00 or an age such as 3h or 2d."`
	Reason  string    `placeholder:"TEXT" help:"Only mail whose last words contain this."`
	Limit   int       `placeholder:"N" help:"How many at the most, the oldest first; default: all."`
}

// any reports whether the filter restricts.
func (f *queueFilter) any() bool { return *f != queueFilter{} }

// pick returns the mails of the queue that match, oldest first.
func (f *queueFilter) pick(r *spool.Reader, cfg *config.Config) ([]relay.Item, error) {
	if r == nil {
		return []relay.Item{}, nil
	}
	items, err := relay.List(r, time.Now())
	items = slices.DeleteFunc(items, func(i relay.Item) bool { return !f.match(&i, cfg) })
	if f.Limit > 0 && len(items) > f.Limit {
		items = items[:f.Limit]
	}
	return items, err
}

func (f *queueFilter) match(i *relay.Item, cfg *config.Config) bool {
	has := func(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }
	rcpt := func(yes func(a mail.Address) bool) bool {
		return slices.ContainsFunc(i.Rcpts, func(c spool.Rcpt) bool { return !c.Done && yes(c.Addr) })
	}
	switch {
	case f.Rcpt != "" && !rcpt(func(a mail.Address) bool { return has(a.String(), f.Rcpt) }),
		f.Domain != "" && !rcpt(func(a mail.Address) bool { return strings.EqualFold(a.Domain, f.Domain) }),
		f.Backend != "" && !rcpt(func(a mail.Address) bool {
			return slices.ContainsFunc(backendsOf(cfg, a), func(u string) bool { return has(u, f.Backend) })
		}),
		f.From == "<>" && !i.From.IsNull(), f.From != "" && f.From != "<>" && !has(i.From.String(), f.From),
		f.State != "" && i.State != f.State, f.Kind != "" && i.Kind != f.Kind, !f.Older.IsZero() && !i.Created.Before(f.Older.Time), f.Reason != "" && !has(i.Reason, f.Reason):
		return false
	}
	return true
}

// backendsOf returns the URLs of the backends that an address's mail goes to.
func backendsOf(cfg *config.Config, a mail.Address) []string {
	var urls []string
	for _, d := range cfg.Domains {
		if !slices.Contains(d.Names, a.Domain) {
			continue
		}
		for _, r := range d.Routes {
			for _, pattern := range r.Match {
				if ok, _ := path.Match(pattern, a.Key()); ok {
					return urlsOf(r.Backends)
				}
			}
		}
		urls = urlsOf(d.Backends)
	}
	if urls == nil && cfg.Bounce.Configured() {
		urls = []string{cfg.Bounce.Backend.URL}
	}
	return urls
}

func urlsOf(list []config.Backend) []string {
	urls := make([]string, len(list))
	for i := range list {
		urls[i] = list[i].URL
	}
	return urls
}

// chosen returns the IDs that a command is about: those named, or those that a filter finds. Named ones must be there, but
// whether they can be read is for the command to say.
func (a *app) chosen(r *spool.Reader, cfg *config.Config, ids []string, f *queueFilter, all bool) ([]string, error) {
	if len(ids) > 0 && (f.any() || all) {
		return nil, usage("name IDs, or say which by filters, not both")
	}
	if len(ids) == 0 && !f.any() && !all {
		return nil, usage("name the mails by ID, by filters (--rcpt, --domain, …), or say --all")
	}
	if len(ids) == 0 {
		items, err := f.pick(r, cfg)
		for i := range items {
			ids = append(ids, items[i].ID)
		}
		return ids, err
	}
	failed := false
	for _, id := range ids {
		err := spool.ErrNotFound
		if r != nil {
			_, err = r.Get(id)
		}
		if errors.Is(err, spool.ErrNotFound) {
			failed = true
			fmt.Fprintf(a.err, "sekimori: %s is not in the queue: `sekimori queue list` shows what is\n", id)
		}
	}
	if failed {
		return nil, found
	}
	return ids, nil
}

func spoolDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "spool") }
