package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"sekimori/internal/ledger"
	"sekimori/internal/spool"
)

type queueCheckCmd struct {
	JSON bool `help:"Print JSON."`
}

// Help is the long help.
func (queueCheckCmd) Help() string {
	return "Compares the ledger, the record of every mail that was acknowledged and kept here, with what is in the queue, on the disk " +
		"and in the quarantine's store, and reads every mail's octets. It works while serve runs: what moves is looked at again before it is " +
		"called a mismatch. Exit code 1 on a mismatch, or when something could not be compared. serve makes the same comparison " +
		"every ten minutes (relay.ledger_check), without reading the octets."
}

// Run prints the sums and every mismatch with what to do.
func (c queueCheckCmd) Run(a *app) error {
	q, done, err := a.openQuarantine()
	if err != nil {
		return err
	}
	defer done()
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	l, err := a.readLedger(cfg)
	if err != nil {
		return err
	}
	sp, err := spool.OpenReadOnly(filepath.Join(cfg.DataDir, "spool"))
	if errors.Is(err, fs.ErrNotExist) {
		sp, err = nil, nil
	}
	if err != nil {
		return err
	}
	read := func() (ledger.Snapshot, error) { return ledger.Snapshot{}, nil }
	if l != nil {
		read = l.Snapshot
	}
	r, err := ledger.Compare(a.ctx, sources(a.ctx, read, sp, q, true))
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.json(struct {
			Fine bool `json:"fine"`
			ledger.Report
			Closing int `json:"closing"`
		}{r.Fine(), r, len(r.Closing)})
	} else {
		a.tellCheck(&r)
	}
	if err == nil && !r.Fine() {
		return found
	}
	return err
}

func (a *app) tellCheck(r *ledger.Report) {
	if r.Since.IsZero() {
		fmt.Fprintln(a.out, "there is no ledger yet: serve has not run here")
	} else {
		fmt.Fprintf(a.out, "since %s, for each recipient: %d acknowledged and kept here\n", r.Since.Local().Format("2006-01-02 15:04"), r.Accepted)
		var words []string
		for _, s := range ledger.States() {
			if n := r.Ended[s]; n > 0 {
				words = append(words, fmt.Sprintf("%d %s", n, s))
			}
		}
		words = append(words, fmt.Sprintf("%d queued", r.Queued), fmt.Sprintf("%d held", r.Held))
		fmt.Fprintln(a.out, "of these:", strings.Join(words, ", "))
	}
	if n := len(r.Closing); n > 0 {
		fmt.Fprintf(a.out, "%d of the held ones have ended, at another node or a moment ago; the running serve writes that down\n", n)
	}
	for _, m := range r.Mismatches {
		fmt.Fprintf(a.out, "MISMATCH %s", m.Kind)
		for _, part := range [][2]string{{" ", m.ID}, {" for ", m.Rcpt}, {"\n  ledger: ", m.Ledger}, {"\n  found:  ", m.Found}, {"\n  do:     ", m.Do}} {
			if part[1] != "" {
				fmt.Fprint(a.out, part[0], part[1])
			}
		}
		fmt.Fprintln(a.out)
	}
	for _, n := range r.NotCompared {
		fmt.Fprintln(a.out, "NOT COMPARED", n)
	}
	switch {
	case r.Fine():
		fmt.Fprintln(a.out, "every one of them was found where the ledger says; nothing is missing")
	case len(r.Mismatches) == 0:
		fmt.Fprintln(a.out, "of what was compared nothing is missing")
	default:
		fmt.Fprintf(a.out, "%d mismatches\n", len(r.Mismatches))
	}
}
