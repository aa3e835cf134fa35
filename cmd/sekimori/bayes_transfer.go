package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekimori/reputation"
)

type bayesExportCmd struct {
	File  string `arg:"" help:"File to write; with .gz it is compressed; - is standard output."`
	Scope string `help:"Only what was learned for all, @DOMAIN or an address. Default: everything."`
	JSON  bool   `help:"Print JSON."`
}

// Help is the long help.
func (bayesExportCmd) Help() string {
	return "The file holds what each mail contributed: for whom, in which month, its words and a digest, but not the mail. The words are those " +
		"of people's mail: keep it as you keep mail. It is there when it is whole; nothing is written over."
}

// Run writes the file.
func (c bayesExportCmd) Run(a *app) error {
	var only *reputation.Scope
	if c.Scope != "" {
		s, err := parseScope(c.Scope)
		if err != nil {
			return err
		}
		only = &s
	}
	if c.File == "-" && c.JSON {
		return usage("--json: its output would stand in the export; give a file instead of -")
	}
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	bar := newProgressBar(a.err, c.JSON || c.File == "-", 0)
	var r struct {
		Mails int `json:"mails"`
		Left  int `json:"left"` // learned by a version that kept no words: they cannot be exported
	}
	export := func(w io.Writer) (err error) {
		r.Mails, r.Left, err = l.Export(a.ctx, w, only, func(done, all int) {
			bar.total = int64(all)
			bar.show(int64(done), fmt.Sprintf("%d of %d mails", done, all))
		})
		return err
	}
	if c.File == "-" {
		return export(a.out)
	}
	err = writeWhole(c.File, export)
	bar.end()
	switch {
	case err != nil:
		return err
	case c.JSON:
		return a.json(r)
	}
	fmt.Fprintf(a.out, "%s: what %d mails taught\n", c.File, r.Mails)
	if r.Left > 0 {
		fmt.Fprintf(a.out, "%d mails are left out: a version before learned them and kept no words\n", r.Left)
	}
	return nil
}

// writeWhole writes a file beside its place and moves it there when it is whole and on the disk.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already; name another file, or remove it", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600: these are words of people's mail
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if strings.HasSuffix(path, ".gz") {
		z := gzip.NewWriter(f)
		if err = write(z); err == nil {
			err = z.Close()
		}
	} else {
		err = write(f)
	}
	if err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

type bayesImportCmd struct {
	File string `arg:"" help:"File of bayes export, which may be compressed with gzip."`
	JSON bool   `help:"Print JSON."`
}

// Help is the long help.
func (bayesImportCmd) Help() string {
	return "The whole file is checked before anything is learned. It adds to what is there, and a mail that is known for somebody counts once: " +
		"a command that was interrupted is simply given again."
}

// Run checks the file, then adds what it holds.
func (c bayesImportCmd) Run(a *app) error {
	total, err := exported(c.File, func(f io.Reader) (int, error) { return reputation.CheckExport(f, time.Now()) })
	if err != nil {
		return fmt.Errorf("%s: %w; nothing was learned", c.File, err)
	}
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	bar := newProgressBar(a.err, c.JSON, int64(total))
	var r struct {
		Mails int `json:"mails"`
		Added int `json:"added"`
	}
	r.Mails = total
	r.Added, err = exported(c.File, func(f io.Reader) (int, error) {
		return l.Import(a.ctx, f, func(done int) { bar.show(int64(done), fmt.Sprintf("%d of %d mails", done, total)) })
	})
	bar.end()
	switch {
	case err != nil:
		return fmt.Errorf("%w; %d mails are added, and the same command can simply be given again", err, r.Added)
	case c.JSON:
		return a.json(r)
	}
	fmt.Fprintf(a.out, "%s: %d mails, of which %d taught something new\n", c.File, r.Mails, r.Added)
	return nil
}

// exported reads a file that may be compressed.
func exported(path string, read func(io.Reader) (int, error)) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		return read(f)
	}
	if err != nil {
		return 0, err
	}
	return read(z)
}

type bayesResetCmd struct {
	Scope string `help:"Only what was learned for all, @DOMAIN or an address. Default: everything."`
	Yes   bool   `help:"Do it. Without it, the command says what would go."`
	JSON  bool   `help:"Print JSON."`
}

// Help is the long help.
func (bayesResetCmd) Help() string {
	return "What is gone cannot be brought back, except from a file of bayes export. Without enough that was learned the check says nothing."
}

// Run says what would go, or lets it go.
func (c bayesResetCmd) Run(a *app) error {
	var only *reputation.Scope
	name := "everything"
	if c.Scope != "" {
		s, err := parseScope(c.Scope)
		if err != nil {
			return err
		}
		only, name = &s, "what was learned for "+s.String()
	}
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	var r struct {
		Mails int  `json:"mails"`
		Done  bool `json:"done"`
	}
	if r.Mails, err = l.Taught(a.ctx, only); err != nil {
		return err
	}
	if c.Yes {
		bar := newProgressBar(a.err, c.JSON, int64(r.Mails))
		r.Mails, err = l.Reset(a.ctx, only, func(done, all int) { bar.show(int64(done), fmt.Sprintf("%d of %d mails", done, all)) })
		bar.end()
		if err != nil {
			return fmt.Errorf("%w; what %d mails had taught is gone, and the same command can simply be given again", err, r.Mails)
		}
		r.Done = true
	}
	switch {
	case c.JSON:
		return a.json(r)
	case r.Done:
		fmt.Fprintf(a.out, "%s is forgotten: %d mails\n", name, r.Mails)
	default:
		fmt.Fprintf(a.out, "%s would be forgotten: %d mails. Keep a copy with: sekimori bayes export FILE. With --yes it is done.\n", name, r.Mails)
	}
	return nil
}
