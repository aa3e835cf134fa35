package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/disk"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/internal/spool"
)

type queueImportCmd struct {
	File string `arg:"" help:"The tar that queue export wrote."`
}

// Help is the long help.
func (queueImportCmd) Help() string {
	return "Takes over mail that `queue export` wrote. Checksums are verified first, for all of it. What is here or was here and ended is " +
		"left alone, so that an import can be repeated: it never sends a mail twice. Exit code 1 when something was left alone."
}

// Run looks through the whole file before anything is taken over.
func (c queueImportCmd) Run(a *app) error {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return found
	}
	read := func(each func(spool.Entry, mail.Content) error) error {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		return relay.Import(f, each)
	}
	total := 0
	if err := read(func(e spool.Entry, content mail.Content) error { total++; return spool.Verify(&e, content) }); err != nil {
		return fmt.Errorf("%s: nothing was imported: %w", c.File, err)
	}
	taken, left := 0, 0
	running, err := withKeeper(cfg, func(k relay.Keeper) error {
		return read(func(e spool.Entry, content mail.Content) error {
			err := k.Bring(e, content, "imported by "+operator())
			switch {
			case errors.Is(err, relay.ErrKnown):
				left++
				fmt.Fprintf(a.err, "sekimori: left alone: %v\n", err)
				return nil
			case err == nil:
				taken++
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("%d of %d imported: %w", taken, total, err)
	}
	if running {
		return c.hand(a, cfg, total)
	}
	fmt.Fprintf(a.out, "%d of %d mails imported; serve sends them when it runs\n", taken, total)
	if left > 0 {
		return found
	}
	return nil
}

// hand gives the file to the running serve and waits for what becomes of it.
func (c queueImportCmd) hand(a *app, cfg *config.Config, total int) error {
	dir := relay.ImportDir(spoolDir(cfg))
	if err := disk.Mkdir(dir); err != nil {
		return err
	}
	in, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	to, err := os.CreateTemp(dir, "*.tar")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, in)
	if err == nil {
		err = to.Sync()
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = disk.Own(to.Name())
	}
	if err == nil {
		err = relay.RequestImport(spoolDir(cfg), time.Now(), operator(), to.Name())
	}
	if err != nil {
		os.Remove(to.Name())
		return err
	}
	return c.wait(a, to.Name(), total)
}

// wait tells what the running serve says of the import.
func (c queueImportCmd) wait(a *app, name string, total int) error {
	for end := time.Now().Add(importPatience); ; time.Sleep(200 * time.Millisecond) {
		res, err := relay.ImportedFrom(name)
		switch {
		case err == nil:
			for _, why := range res.Left {
				fmt.Fprintln(a.err, "sekimori: left alone:", why)
			}
			fmt.Fprintf(a.out, "%d of %d mails imported by the running server\n", res.Taken, total)
			if len(res.Left) > 0 {
				return found
			}
			return nil
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case a.ctx.Err() != nil || time.Now().After(end):
			return fmt.Errorf("the running server has not taken over the %d mails yet; it goes on, and its log says what becomes of them", total)
		}
	}
}

const importPatience = 2 * time.Minute
