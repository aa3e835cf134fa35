package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/xid"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/recipients"
	"sekimori/internal/spool"
)

type recipientsCmd struct {
	Sync recipientsSyncCmd `cmd:"" help:"Fetch the recipients of directories and databases now, and probe backends that are asked."`
	Show recipientsShowCmd `cmd:"" help:"Say whether an address is ours, who says so, what it stands for and whose quarantine its mail belongs to."`
	List recipientsListCmd `cmd:"" help:"List where the recipients of each domain are kept, and how old what we have of it is."`
}

type recipientsSyncCmd struct {
	Domain string `arg:"" optional:"" default:"all" help:"One of our domains, or all."`
	Force  bool   `help:"Fetch everything, and take over even what looks like a mistake: far fewer recipients than before."`
}

// Help is the long help.
func (recipientsSyncCmd) Help() string {
	return "The running serve does it; without one, this command does. A directory that does not answer leaves the copy as it is, and " +
		"the exit code is 1."
}

// syncWait is how long the command waits for serve's last word.
const syncWait = 15 * time.Minute

// syncReport is what serve has said so far about a sync that was asked for. It grows until Done.
type syncReport struct {
	Lines []string `json:"lines"`
	Done  bool     `json:"done"`
	Error string   `json:"error,omitempty"`
}

const verbSync = "recipients.sync"

func reportPath(cfg *config.Config, token string) string {
	return filepath.Join(recipientsDir(cfg), "sync-"+token+".json")
}

func (c recipientsSyncCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	domain, err := ourDomain(cfg, c.Domain)
	if err != nil {
		return err
	}
	dir := filepath.Join(cfg.DataDir, "spool")
	running, err := spool.Locked(dir)
	if err != nil {
		return fmt.Errorf("whether serve is running cannot be seen: %w", err)
	}
	if !running {
		return a.syncHere(cfg, domain, c.Force)
	}
	token := xid.New().String()
	args := []string{domain, fmt.Sprint(c.Force), token}
	if err := spool.Ask(dir, verbSync, args, time.Now()); err != nil {
		return err
	}
	return a.followSync(reportPath(cfg, token))
}

// ourDomain checks the operand, also as U-labels.
func ourDomain(cfg *config.Config, name string) (string, error) {
	if name == "all" {
		return name, nil
	}
	ascii, err := mail.ParseDomain(name)
	if err != nil {
		return "", usage("%q is neither a domain nor all", name)
	}
	var ours []string
	for _, d := range cfg.Domains {
		ours = append(ours, d.Names...)
	}
	if !slices.Contains(ours, ascii) {
		return "", fmt.Errorf("%s is none of our domains: %s", ascii, strings.Join(ours, ", "))
	}
	return ascii, nil
}

func (a *app) syncHere(cfg *config.Config, domain string, force bool) error {
	fmt.Fprintln(a.out, "serve is not running here; this command fetches")
	d, err := recipients.New(recipients.Options{Config: cfg, Dir: recipientsDir(cfg)})
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	err = d.Sync(a.ctx, domain, force, func(line string) { fmt.Fprintln(a.out, line) })
	if err = errors.Join(err, d.Close()); err != nil {
		return found // said by the progress
	}
	return nil
}

// followSync prints what serve says until it is done.
func (a *app) followSync(path string) error {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	end := time.Now().Add(syncWait)
	said := 0
	for time.Now().Before(end) {
		select {
		case <-a.ctx.Done():
			return errors.New("interrupted; serve goes on with it")
		case <-t.C:
		}
		var r syncReport
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			return err
		}
		for ; said < len(r.Lines); said++ {
			fmt.Fprintln(a.out, r.Lines[said])
		}
		if r.Done {
			_ = os.Remove(path)
			if r.Error != "" {
				return found
			}
			return nil
		}
	}
	return fmt.Errorf("serve has not finished after %s; what it does stands in its log", syncWait)
}

// recipientRequests carries out what `recipients sync` asks for, until ctx ends.
func (s *server) recipientRequests(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		list, err := s.spool.Requests("recipients.")
		if err != nil {
			s.log.Error("recipients: requests cannot be read", "err", err)
			continue
		}
		for _, q := range list {
			if err := s.spool.Answered(q); err != nil {
				s.log.Error("recipients: a request cannot be taken away", "err", err)
				continue
			}
			if q.Verb != verbSync || len(q.Args) != 3 || !spool.ValidID(q.Args[2]) {
				s.log.Error("recipients: a request that is not known", "verb", q.Verb)
				continue
			}
			s.syncRecipients(ctx, q.Args[0], q.Args[1] == "true", reportPath(s.cfg(), q.Args[2]))
		}
	}
}

func (s *server) syncRecipients(ctx context.Context, domain string, force bool, path string) {
	var r syncReport
	write := func() {
		b, err := json.Marshal(r)
		if err == nil {
			err = recipients.WriteFile(path, b)
		}
		if err != nil {
			s.log.Warn("recipients: what was done cannot be told", "file", path, "err", err)
		}
	}
	err := s.rcpts().Sync(ctx, domain, force, func(line string) {
		r.Lines = append(r.Lines, line)
		write()
	})
	if r.Done = true; err != nil {
		r.Error = err.Error()
	}
	write()
	s.log.Info("recipients: sync was asked for", "domain", domain, "force", force, "err", err)
}

// peekRecipients opens the recipients beside a running serve: the files, the copies on the disk, and questions to directories.
func peekRecipients(cfg *config.Config) (*recipients.Directory, error) {
	return recipients.New(recipients.Options{Config: cfg, Dir: recipientsDir(cfg), ReadOnly: true, Log: slog.New(slog.DiscardHandler)})
}

// recipientStatus is how every place is, with what the running serve heard last.
func recipientStatus(cfg *config.Config, d *recipients.Directory) []recipients.Status {
	all := d.Status()
	last, err := recipients.LastStatus(recipientsDir(cfg))
	if err != nil {
		return all // serve never ran here
	}
	for i := range all {
		for _, l := range last {
			if l.Source != all[i].Source {
				continue
			}
			if all[i].Error == "" {
				all[i].Error = l.Error
			}
			for _, f := range l.Forward {
				if !slices.Contains(all[i].Forward, f) {
					all[i].Forward = append(all[i].Forward, f)
				}
			}
		}
	}
	return all
}

type recipientsListCmd struct {
	JSON bool `help:"Print JSON."`
}

func (c recipientsListCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	d, err := peekRecipients(cfg)
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	defer func() { _ = d.Close() }()
	all := recipientStatus(cfg, d)
	if c.JSON {
		return a.json(all)
	}
	w := a.table()
	fmt.Fprintln(w, "DOMAINS\tSOURCE\tSTATE")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", strings.Join(s.Domains, ", "), s.Source, s.Words(time.Now()))
	}
	return w.Flush()
}
