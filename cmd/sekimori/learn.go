package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekimori/filters/bayes"
	"sekimori/internal/config"
	"sekimori/internal/mime"
	"sekimori/internal/store"
	"sekimori/reputation"
)

type learnCmd struct {
	Class string   `arg:"" enum:"spam,ham" help:"spam or ham."`
	Paths []string `arg:"" name:"path" help:"Files with one message each, mbox files, and directories of such (Maildirs too)."`
	JSON  bool     `help:"Print JSON."`
}

// Help is the long help.
func (learnCmd) Help() string {
	return "Only mails that the check is not sure of already teach it anything; the rest is counted as shown. A mail that was shown " +
		"before as the other class is moved. The running servers take over what was learned within seconds."
}

// maxLearn is the largest file that is read as a message; an mbox may be larger.
const maxLearn = 64 << 20

// Run shows every message to the learner and says how far it has come.
func (c learnCmd) Run(a *app) error {
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	class, _ := reputation.ParseClass(c.Class)
	reader := &learnReader{class: class, tokens: bayes.Tokenizer{Hostname: l.cfg.Hostname}}
	last := time.Now()
	progress, err := l.LearnAll(a.ctx, reader.samples(c.Paths), func(p reputation.Progress) {
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			fmt.Fprintf(a.err, "%d mails shown, %d learned …\n", p.Shown, p.Learned)
		}
	})
	for _, e := range reader.errs {
		fmt.Fprintln(a.err, "sekimori:", e)
	}
	if err != nil {
		return fmt.Errorf("%w; what was learned before is kept, and the same command can simply be given again", err)
	}
	if c.JSON {
		if err := a.json(progress); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "%s: %d mails shown, %d of them taught something, %d were known, %d were moved from the other class\n",
			c.Class, progress.Shown, progress.Learned, progress.Known, progress.Moved)
	}
	if len(reader.errs) > 0 || reader.files == 0 {
		if reader.files == 0 && len(reader.errs) == 0 {
			fmt.Fprintln(a.err, "sekimori: there is no message in", strings.Join(c.Paths, ", "))
		}
		return found
	}
	return nil
}

// learner is what was learned, with the store that it is kept in.
type learner struct {
	*reputation.Learner
	cfg   *config.Config
	store *store.Store
}

// openLearner opens the store and loads what was learned.
func (a *app) openLearner() (*learner, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		printErrors(a.err, err)
		return nil, found
	}
	st, err := store.Dial(a.ctx, store.Options{Redis: cfg.Redis, DataDir: cfg.DataDir})
	if err != nil {
		return nil, err
	}
	l := reputation.NewLearner(st.Client(), time.Now, slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err := l.Load(a.ctx); err != nil {
		_ = st.Close()
		return nil, fmt.Errorf("what was learned cannot be read from the store: %w", err)
	}
	return &learner{l, cfg, st}, nil
}

// learnReader finds the messages.
type learnReader struct {
	class  reputation.Class
	tokens bayes.Tokenizer
	files  int
	errs   []error
}

var errEnough = errors.New("no more wanted")

// samples walks the paths in order. What cannot be read is noted and passed over.
func (r *learnReader) samples(paths []string) iter.Seq[reputation.Sample] {
	return func(yield func(reputation.Sample) bool) {
		for _, path := range paths {
			err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
				switch {
				case err != nil:
					r.errs = append(r.errs, err)
					return nil
				case d.IsDir() && p != path && strings.HasPrefix(d.Name(), "."):
					// Maildir++ folders begin with a dot; other hidden directories hold no mail.
					if _, err := os.Stat(filepath.Join(p, "cur")); err != nil {
						return fs.SkipDir
					}
					return nil
				case !d.Type().IsRegular():
					return nil
				}
				return r.file(p, yield)
			})
			if errors.Is(err, errEnough) {
				return
			}
		}
	}
}

func (r *learnReader) file(path string, yield func(reputation.Sample) bool) error {
	b, err := os.ReadFile(path)
	if err != nil {
		r.errs = append(r.errs, err)
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	r.files++
	for msg := range messages(b) {
		if len(msg) > maxLearn {
			r.errs = append(r.errs, fmt.Errorf("%s: a message of %d octets is passed over", path, len(msg)))
			continue
		}
		m := mime.Parse(withCRLF(msg))
		if !yield(reputation.Sample{Class: r.class, Tokens: r.tokens.Tokens(m), Fingerprint: bayes.Fingerprint(m)}) {
			return errEnough
		}
	}
	return nil
}

// messages splits an mbox file (RFC 4155); any other file is one message.
func messages(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !bytes.HasPrefix(b, []byte("From ")) {
			yield(b)
			return
		}
		for len(b) > 0 {
			_, rest, _ := bytes.Cut(b, []byte("\n")) // the "From " line
			end := bytes.Index(rest, []byte("\nFrom "))
			msg := rest
			b = nil
			if end >= 0 {
				msg, b = rest[:end+1], rest[end+1:]
			}
			if len(msg) > 0 && !yield(msg) {
				return
			}
		}
	}
}

type bayesCmd struct {
	Stats bayesStatsCmd `cmd:"" help:"Say how much was learned, and whether it is enough."`
}

type bayesStatsCmd struct {
	JSON bool `help:"Print JSON."`
}

func (c bayesStatsCmd) Run(a *app) error {
	l, err := a.openLearner()
	if err != nil {
		return err
	}
	defer l.store.Close()
	s := l.Stats()
	if c.JSON {
		return a.json(s)
	}
	w := a.table()
	fmt.Fprintln(w, "CLASS\tSHOWN\tLEARNED\tTOKENS")
	fmt.Fprintf(w, "ham\t%d\t%d\t%d\nspam\t%d\t%d\t%d\n", s.HamShown, s.HamLearned, s.HamTokens, s.SpamShown, s.SpamLearned, s.SpamTokens)
	return w.Flush()
}
