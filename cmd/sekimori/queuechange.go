package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/ledger"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
)

// withKeeper lets f change the spool and the ledger when serve does not run; running reports that it does, and f was not called.
func withKeeper(cfg *config.Config, f func(relay.Keeper) error) (running bool, err error) {
	sp, err := spool.Open(spoolDir(cfg), spool.Options{})
	if errors.Is(err, spool.ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer sp.Close()
	l, err := ledger.Open(ledgerDir(cfg), ledger.Options{Retention: cfg.Relay.LedgerRetention.D()})
	if err != nil {
		return false, err
	}
	err = f(relay.Keeper{Spool: sp, Ledger: l})
	return false, errors.Join(err, l.Close())
}

type queueDeleteCmd struct {
	IDs    []string    `arg:"" optional:"" name:"id" help:"IDs, as list prints them."`
	Filter queueFilter `embed:""`
	All    bool        `help:"Everything in the queue; needs --yes."`
	Yes    bool        `help:"Do it, where filters or --all say which; without it they are only listed."`
}

// Help is the long help.
func (queueDeleteCmd) Help() string {
	return "Deletes mail that was acknowledged: nobody is told, neither the sender nor the recipient, and it cannot be undone; " +
		"`queue export` keeps a copy. The ledger says who did it. The running serve carries it out, a mail that is being sent just now once " +
		"that has failed; without a running serve the command does it itself."
}

// Run ends the entries as deleted.
func (c queueDeleteCmd) Run(a *app) error {
	r, cfg, err := a.openSpool()
	if err != nil {
		return err
	}
	ids, err := a.chosen(r, cfg, c.IDs, &c.Filter, c.All)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		fmt.Fprintln(a.out, "nothing in the queue matches")
		return nil
	}
	if len(c.IDs) == 0 && !c.Yes {
		for _, id := range ids {
			fmt.Fprintln(a.out, id)
		}
		return usage("these %d mails would be deleted: say --yes to do it", len(ids))
	}
	return a.endEntries(cfg, ids, ledger.Deleted, operator(), func() error {
		return relay.RequestDelete(spoolDir(cfg), time.Now(), operator(), ids...)
	})
}

// endEntries ends entries, itself or through the running serve.
func (a *app) endEntries(cfg *config.Config, ids []string, state ledger.State, detail string, ask func() error) error {
	failed := 0
	running, err := withKeeper(cfg, func(k relay.Keeper) error {
		for _, id := range ids {
			if err := k.End(id, state, detail); err != nil {
				failed++
				fmt.Fprintf(a.err, "sekimori: %s: %v\n", id, err)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case running:
		if err := ask(); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "asked the running server to end %d mails as %s: sekimori queue list\n", len(ids), state)
		return nil
	case failed > 0:
		return found
	}
	fmt.Fprintf(a.out, "%d mails are %s\n", len(ids), state)
	return nil
}

type queueExportCmd struct {
	Args   []string    `arg:"" name:"id… FILE.tar" help:"IDs, unless filters or --all say which, and last the file to write; - is standard output."`
	Filter queueFilter `embed:""`
	All    bool        `help:"Everything that is kept: the queue, and holds that wait on the disk for the quarantine's store."`
	Dir    string      `placeholder:"DATA_DIR" help:"Read this data_dir instead of the configured one: that of a dead node."`
	Remove bool        `help:"End the mails here once they are written: they go on where they are imported."`
}

// Help is the long help.
func (queueExportCmd) Help() string {
	return "Writes mail of the spool into a tar: KIND/ID.json is the envelope, KIND/ID.eml are the octets, in the format of the spool. " +
		"`queue import` on another node takes it over. Without --remove the mails stay here as well and are sent by both; with it serve must not run. " +
		"Mail that is sent at most once (digests) is then left out unless its ID is named or --remove is given; what was in flight here is not sent where it is imported."
}

// Run writes the tar under another name first, so that FILE is whole or not there.
func (c queueExportCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	if c.Dir != "" {
		cfg.DataDir = c.Dir
	}
	file := c.Args[len(c.Args)-1]
	if c.Remove {
		return c.remove(a, cfg, file)
	}
	r, err := spool.OpenReadOnly(spoolDir(cfg))
	if err != nil {
		return err
	}
	_, err = c.write(a, cfg, r, file)
	return err
}

func (c queueExportCmd) write(a *app, cfg *config.Config, r *spool.Reader, file string) ([]spool.Entry, error) {
	entries, err := c.entries(a, r, cfg, c.Args[:len(c.Args)-1])
	if err != nil {
		return nil, err
	}
	if !c.Remove {
		all := len(entries)
		entries = slices.DeleteFunc(entries, func(e spool.Entry) bool { return e.Once && !slices.Contains(c.Args, e.ID) })
		if left := all - len(entries); left > 0 {
			fmt.Fprintf(a.err, "sekimori: %d mails that are sent at most once are left out, because they stay here: name their IDs, or say --remove\n", left)
		}
	}
	wrote, err := writeExport(a.out, file, r, entries)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	fmt.Fprintf(a.err, "%d mails written to %s\n", len(wrote), file)
	return wrote, nil
}

// remove holds the spool from before the tar is written until the mails have ended here: what a running serve delivered in between would
// go out once more from where the tar is imported.
func (c queueExportCmd) remove(a *app, cfg *config.Config, file string) error {
	failed := 0
	running, err := withKeeper(cfg, func(k relay.Keeper) error {
		wrote, err := c.write(a, cfg, &k.Spool.Reader, file)
		if err != nil {
			return err
		}
		detail := "exported by " + operator() + " to " + filepath.Base(file)
		for i := range wrote {
			if err := k.End(wrote[i].ID, ledger.Moved, detail); err != nil {
				failed++
				fmt.Fprintf(a.err, "sekimori: %s: %v\n", wrote[i].ID, err)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case running:
		return fmt.Errorf("serve runs on %s, and mail that it delivers meanwhile would be sent by both nodes: stop it first, or leave out --remove", spoolDir(cfg))
	case failed > 0:
		return found
	}
	return nil
}

func (c queueExportCmd) entries(a *app, r *spool.Reader, cfg *config.Config, ids []string) ([]spool.Entry, error) {
	ids, err := a.chosen(r, cfg, ids, &c.Filter, c.All)
	if err != nil {
		return nil, err
	}
	var list []spool.Entry
	for _, id := range ids {
		e, err := r.Get(id)
		if errors.Is(err, spool.ErrNotFound) {
			continue // it was delivered meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if c.All && !c.Filter.any() {
		holds, err := r.List(spool.KindHold)
		return append(list, holds...), err
	}
	return list, nil
}

func writeExport(out io.Writer, file string, r *spool.Reader, entries []spool.Entry) ([]spool.Entry, error) {
	if file == "-" {
		return relay.Export(out, r, entries)
	}
	f, err := os.OpenFile(file+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	wrote, err := relay.Export(f, r, entries)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(file+".part", file)
	}
	if err == nil {
		err = syncDir(filepath.Dir(file)) // before anything ends here
	}
	if err != nil {
		os.Remove(file + ".part")
	}
	return wrote, err
}

func syncDir(dir string) error {
	d, err := spool.OpenDirSync(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
